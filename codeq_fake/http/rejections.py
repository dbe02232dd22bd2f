"""Refused requests of the operations: the status and text of each refusal (B2, B3, L1, and those of the core).

Not here: the texts about tokens (`auth`: headers and scopes in `authenticator`, fixed tokens in `providers`, claims in
`claims`, the form in `jwt`, signatures in `jwks`), the texts about a limit (where it is checked: `bodies`,
`worker_calls`), the 404 of an unknown path and the 400 of a bad target (`replies`), and what a fault rule answers
(`faults`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import MappingProxyType

from codeq_fake import wire
from codeq_fake.auth import Forbidden, Unauthenticated
from codeq_fake.core import Version, errors

from . import replies
from .limits import LARGEST_BODY
from .replies import Reply


class Rejected(Exception):
    """A request is answered with `reply` before the core is called."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


class BadRequest(Rejected):
    """A request exceeds a limit of its route, or has a field that cannot be read."""

    def __init__(self, text: str) -> None:
        super().__init__(replies.error(400, text))


class TooMany(BadRequest):
    """A list of a request has more than `most` items."""

    def __init__(self, items: str, most: int) -> None:
        super().__init__(f"{items} exceed maximum of {most}")


class ForeignHost(Rejected):
    """A request over loopback names another host than this machine: it may be that of a web page."""

    def __init__(self, host: str) -> None:
        text = f"call this fake as localhost, not as {host}; with --any-host or tokens that you set any name is allowed"
        super().__init__(replies.error(403, text))


class BodyTooLarge(Rejected):
    """A request body is larger than `LARGEST_BODY`."""

    def __init__(self) -> None:
        super().__init__(replies.error(413, f"body exceeds {LARGEST_BODY} bytes"))


class BodyNeedsMemory(Rejected):
    """A request body takes more memory to decode than the system gives."""

    def __init__(self) -> None:
        super().__init__(replies.error(413, "body needs more memory than this machine has"))


class NoWorkerProcess(Rejected):
    """The worker process that decodes a large request body cannot start."""

    def __init__(self, reason: str) -> None:
        super().__init__(replies.error(503, f"no process to decode this body: {reason}"))


class RateLimited(Rejected):
    """The caller's bucket of `scope` is empty. The next token comes in `wait` seconds (L1)."""

    def __init__(self, scope: str, operation: str, wait: int) -> None:
        error = "rate limit exceeded"
        text = f'{{"error":"{error}","operation":"{operation}","retryAfterSeconds":{wait},"scope":"{scope}"}}'
        headers = (*replies.JSON, (b"retry-after", b"%d" % wait))
        reason = f"this token has used up the rate limit of the {scope} scope, the next request counts in {wait} s (L1)"
        super().__init__(Reply(429, text.encode(), headers, error=error, reason=reason))


#: All that is answered with an error.
REJECTIONS = (Unauthenticated, Forbidden, Rejected, wire.BadBody, errors.Refused, errors.LeaseRefused)

#: By operation, where the routes differ; None stands for all others.
_TABLE: Mapping[type[Exception], Mapping[str | None, tuple[int, str]]] = MappingProxyType(
    {
        wire.BadBody: {"submit": (400, "invalid request body"), None: (400, "invalid body")},  # B2
        errors.InvalidCommand: {None: (400, "invalid command")},  # C2
        errors.InvalidWebhook: {None: (400, "invalid webhook url")},  # C3
        errors.InvalidRunAt: {None: (400, "invalid 'runAt' (use RFC3339)")},  # C6
        errors.InvalidDelay: {None: (400, "invalid 'delaySeconds' (must be >= 0)")},  # C6
        errors.EventTypeNotAllowed: {None: (403, "event type not allowed")},  # K1
        errors.WorkerRequired: {None: (500, "workerId is required")},  # A9
        errors.TaskNotFound: {
            "heartbeat": (500, "not-found"),  # H2
            "abandon": (500, "not-found"),  # D2
            "nack": (404, "not-found"),  # N1
            "get": (404, "not found"),  # S8
            None: (404, "task not found"),  # S1, S7
        },
        errors.NotOwner: {None: (403, "not-owner")},  # H2, N1, S1
        errors.NotInProgress: {None: (409, "not-in-progress")},  # N1, S1
        errors.ResultRequired: {None: (400, "result required when status=COMPLETED")},  # S1
        errors.ErrorRequired: {None: (400, "error required when status=FAILED")},  # S1
        errors.InvalidStatus: {None: (400, "invalid status")},  # S1
        errors.ResultNotFound: {None: (404, "result not found")},  # S7
        errors.SubscriptionNotFound: {None: (404, "not-found")},  # U2
        errors.InvalidCallbackUrl: {None: (400, "invalid callback url")},  # U1
        errors.InvalidDeliveryMode: {None: (400, "invalid deliveryMode")},  # U1
        errors.GroupRequired: {None: (400, "groupId is required")},  # U1
    }
)


def status_and_text(rejection: Exception, operation: str) -> tuple[int, str]:
    """The status and the error text of a rejection on the route of `operation`, on v0.3.3."""
    if isinstance(rejection, (Unauthenticated, Forbidden)):
        return 401 if isinstance(rejection, Unauthenticated) else 403, rejection.text
    by_operation = _TABLE.get(type(rejection))
    if by_operation is not None:
        return by_operation.get(operation) or by_operation[None]
    return _with_reason(rejection)


def _with_reason(rejection: Exception) -> tuple[int, str]:
    """The status and the error text of a rejection whose text is not always the same."""
    match rejection:
        case errors.ArtifactUndecodable():
            return 400, f"artifact {rejection.name} base64 decode: {rejection.reason}"  # S5
        case errors.ArtifactRefused():
            return 400, f"artifact {rejection.name} upload: {rejection.reason}"  # G9
        case errors.InvalidTopic():
            return 422, f"invalid {rejection.field}: {rejection.reason}"  # G3
        case errors.TopicNotFound():
            return 404, f"queue topic {wire.quote(rejection.topic_id)} not found"  # G3
        case errors.LeaseRefused():
            return 500, f"pipeline lease/task/ttl update: {rejection.reason}"  # K11
        case _:
            raise rejection


def reasons_of(outcomes: Iterable[object]) -> str:
    """Why items of a batch are refused, for the journal."""
    numbered = enumerate(outcomes, start=1)
    return " ".join(f"item {n}: {outcome}" for n, outcome in numbered if isinstance(outcome, errors.Refused))


def reply_to(rejection: Exception, operation: str, version: Version, reason: str) -> Reply:
    """The reply to a request that is rejected on the route of `operation`. The `reason` is for the journal alone."""
    if isinstance(rejection, Rejected):
        return rejection.reply
    status, text = status_and_text(rejection, operation)
    if operation == "claim" and status == HTTPStatus.INTERNAL_SERVER_ERROR and version.claim_errors_are_400:
        status = HTTPStatus.BAD_REQUEST  # G7
    reply = replies.error(status, text, reason)
    if isinstance(rejection, errors.InvalidTopic):
        return reply._replace(body=b'%b,"field":"%b"}' % (reply.body[:-1], rejection.field.encode()))
    return reply
