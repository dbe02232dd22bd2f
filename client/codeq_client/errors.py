"""All errors of this package: what happened, and what to do.

CodeQError
├── ConfigurationError        a wrong argument or setting; nothing was sent. Correct the caller.
│   ├── ClientClosed          the client was closed before. Call inside of its `with` block, or make another client.
│   ├── EncodeError           JSON, or the server's numbers, cannot represent the value. Send it as text.
│   └── SubjectChanged        a new token has another subject while leases are held. Use one subject per worker.
├── DecodeError               a payload or result does not have the requested type. Correct type or sender.
├── Unavailable               no usable answer arrived. `sent` says whether the server may have acted.
│   ├── BadReply              an answer arrived that is not CodeQ's. Check the URL and the proxies.
│   ├── CertificateError      the server's certificate is not trusted. Set SSL_CERT_FILE, or correct the URL.
│   └── NoFreeConnection      the client's 100 connections were all in use. Make fewer calls at a time.
├── Refused                   the server refused; `status` and `message` are from its answer.
│   ├── BadRequest            400, 422: wrong arguments. Correct the caller.
│   ├── Unauthorized          401: no valid token. Check the token's expiry, issuer and audience.
│   ├── Forbidden             403: the token lacks a scope or an event type. Use another token.
│   │   └── InvalidTenant     403: the token's tenant claims disagree or are malformed. Correct their issuer.
│   ├── NotOwner              403: the task is not, or no longer, leased to this worker. Stop the work.
│   ├── NotInProgress         409: the task was requeued or is finished. Stop the work.
│   ├── NotFound              404: it does not exist.
│   │   ├── TaskNotFound      no such task: a wrong id, or it was cleaned up (24 h after its last change).
│   │   ├── ResultNotFound    the task has no result: it is not finished, or it is a dead letter.
│   │   ├── SubscriptionNotFound  the subscription expired and was removed. Subscribe again.
│   │   └── TopicNotFound     the caller's tenant has no such topic.
│   ├── RateLimited           429: try again in `retry_after` seconds.
│   └── ServerError           5xx: the server, or a proxy in front of it, failed.
├── HandlerProcessError      a handler's process died, or its exception cannot leave it. The task is retried.
├── LeaseLost                 a handler's lease has ended, for `reason`. Stop at once: another worker may have it.
├── TaskFailed                the awaited task ended as FAILED; `message` is the worker's or the server's text.
│   └── TaskDead              it used up its attempts and is a dead letter: it will never have a result.
├── WaitTimeout               the awaited task did not end in time, but may end later. Also a `TimeoutError`.
└── InvalidSignature          a webhook was not signed with our secret, or too long ago. Ignore it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._display import excerpt
from ._task import Task


class CodeQError(Exception):
    """Base class of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Take an error to another process, whatever the arguments of its class."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[CodeQError], arguments: tuple[Any, ...], fields: Mapping[str, Any]) -> CodeQError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(fields)
    return error


class ConfigurationError(CodeQError, ValueError):
    """An argument or a setting is wrong; nothing was sent."""


class ClientClosed(ConfigurationError):
    """The client was closed; nothing was sent."""

    def __init__(self) -> None:
        super().__init__("the client is closed: call it inside of its `with` block, or make another client")


class EncodeError(ConfigurationError):
    """A value cannot be sent unchanged: JSON has no such value, or the server would round it (T1)."""


class SubjectChanged(ConfigurationError):
    """A new worker token has another subject while leases are held, which only the old subject can renew."""


class DecodeError(CodeQError):
    """A payload or a result does not have the requested type; the message contains the path."""


class Unavailable(CodeQError):
    """No usable answer: refused, reset, timed out. `sent` is False only if the server certainly received nothing."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class BadReply(Unavailable):
    """An answer that is not CodeQ's: not JSON, or not as documented. Whether the server acted is unknown."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=True)


class CertificateError(Unavailable):
    """The server's certificate is not trusted, or is for another host. Nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class NoFreeConnection(Unavailable):
    """All connections of the client were in use for the whole time of the request. Nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class Refused(CodeQError):
    """The server answered with an error. `status` is the HTTP status, `message` the server's text."""

    #: What follows the server's text, for a person.
    advice = ""

    def __init__(self, message: str, *, status: int, request_id: str = "", retry_after: float = 0) -> None:
        self.message = excerpt(message)
        super().__init__(
            f"{self.message} (HTTP {status}{f', request {request_id}' if request_id else ''}){self.advice}"
        )
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        """For how many seconds the server asks to wait, 0 if it does not say."""


class BadRequest(Refused):
    """400, for a topic 422: the server does not accept the arguments."""


class Unauthorized(Refused):
    """401: the token is missing, expired or from another issuer; on admin routes also: not an administrator's."""


class Forbidden(Refused):
    """403: the token lacks the route's scope, or a command is not among its event types."""


class InvalidTenant(Forbidden):
    """403: a server of CodeQ's main branch takes no call with this token, because of its tenant (G4)."""

    advice = (
        ": the claims tid, tenantId, tenant_id, organizationId and organization_id of the token must all be the same"
        " text, of 2 to 63 of a-z, 0-9 and -, with a letter first; without any of them, its subject must be such a text"
    )


class NotOwner(Refused):
    """403: the task is leased to another worker, or no longer leased (H2, N1, S1)."""


class NotInProgress(Refused):
    """409: the task was requeued, or is finished (N1, S1)."""


class NotFound(Refused):
    """404: it does not exist."""


class TaskNotFound(NotFound):
    """The task does not exist; heartbeat and abandon report this with a 500 (H2)."""


class ResultNotFound(NotFound):
    """The task exists but has no result: it is unfinished, or a dead letter (S7)."""


class SubscriptionNotFound(NotFound):
    """The subscription expired and was removed (U9)."""


class TopicNotFound(NotFound):
    """The caller's tenant has no such topic (G3)."""


class RateLimited(Refused):
    """429: too many calls with this token; `retry_after` is in seconds (L1)."""


class ServerError(Refused):
    """5xx: the server, or a proxy in front of it, failed. Whether it acted is unknown."""


class HandlerProcessError(CodeQError):
    """The process of a handler with `pool="process"` died, or the handler's exception cannot be taken out of it."""


class LeaseLost(CodeQError):
    """The lease on the task has ended, for `reason`; further work of its handler has no effect."""

    def __init__(self, task_id: str, reason: str) -> None:
        super().__init__(f"the lease on task {task_id} is lost: {reason}")
        self.task_id = task_id
        self.reason = reason


class TaskFailed(CodeQError):
    """The awaited task ended as FAILED. `message` is its error text, `task` its last state."""

    def __init__(self, task: Task, message: str) -> None:
        super().__init__(f"task {task.id} ({task.command}) failed: {excerpt(message)}")
        self.task = task
        self.message = message


class TaskDead(TaskFailed):
    """The awaited task used up its attempts and is a dead letter (N4)."""


class WaitTimeout(CodeQError, TimeoutError):
    """The awaited task did not end in time; `task` is its last known state."""

    def __init__(self, task: Task, seconds: float) -> None:
        leased = f" ({excerpt(task.worker_id)}, leased until {task.lease_until})" if task.lease_until else ""
        super().__init__(f"task {task.id} ({task.command}) is still {task.status}{leased} after {seconds:g} s")
        self.task = task


class InvalidSignature(CodeQError):
    """A webhook's signature is missing, wrong or too old (W2)."""
