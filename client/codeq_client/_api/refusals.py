"""Errors for the server's refusals: one table from message and HTTP status to the exception classes."""

from __future__ import annotations

from collections.abc import Mapping

from codeq_client.errors import (
    BadReply,
    BadRequest,
    Forbidden,
    NotFound,
    NotInProgress,
    NotOwner,
    RateLimited,
    Refused,
    ResultNotFound,
    ServerError,
    TaskNotFound,
    Unauthorized,
)

from .calls import Call, Reply, T

_BY_MESSAGE: Mapping[str, type[Refused]] = {
    "not-owner": NotOwner,
    "not-in-progress": NotInProgress,
    "task not found": TaskNotFound,
    "not found": TaskNotFound,
    "result not found": ResultNotFound,
}
_BY_STATUS: Mapping[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: NotInProgress,
}


def decode(call: Call[T], reply: Reply) -> T:
    """Return the value of a reply; raises `Refused` for a refusal, `BadReply` for a reply that is not CodeQ's."""
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's success statuses
        raise _refusal(call, reply)
    if reply.status == 204 and call.on_no_content:  # noqa: PLR2004 - No Content (K3)
        return call.on_no_content()
    try:
        return call.decode(reply.json())
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        beginning = reply.body[:60].decode(errors="replace")
        raise BadReply(
            f"{call.method} {call.path}: HTTP {reply.status}, but not a reply of CodeQ: {beginning!r} ({error!r})"
        ) from error


def item_error(message: str) -> Refused:
    """Return the error for one item of a batch (C9, S6): the same messages, but without an HTTP status."""
    return _BY_MESSAGE.get(message, BadRequest)(message, status=200)


def _refusal(call: Call[T], reply: Reply) -> Refused:
    """Return the error for a refusal: by its message, which says more, or else by its status."""
    message = _message(reply)
    request_id = reply.headers.get("x-request-id", "")
    if reply.status == 429:  # noqa: PLR2004 - Too Many Requests
        return RateLimited(message, status=429, request_id=request_id, retry_after=_retry_after(reply))
    if message == "not-found":  # a 500 for heartbeat and abandon, a 404 elsewhere (H2, N1, U2)
        kind: type[Refused] = call.missing
    elif message in _BY_MESSAGE:
        kind = _BY_MESSAGE[message]
    else:
        kind = _BY_STATUS.get(reply.status, ServerError if reply.status >= 500 else Refused)  # noqa: PLR2004 - HTTP's server errors
    return kind(message, status=reply.status, request_id=request_id)


def _message(reply: Reply) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, TypeError, LookupError, RecursionError):
        location = reply.headers.get("location")
        text = f"a redirect to {location}" if location else reply.body.decode(errors="replace").strip()[:200]
        return text or "no error text"


def _retry_after(reply: Reply) -> float:
    try:
        return max(0.0, float(reply.headers.get("retry-after", "1")))
    except ValueError:
        return 1.0  # a date, as some proxies send; their clock may differ from ours
