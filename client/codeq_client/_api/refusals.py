"""Errors for the server's refusals: one table from message and HTTP status to the exception classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime

from codeq_client._display import excerpt
from codeq_client.errors import (
    BadReply,
    BadRequest,
    Forbidden,
    InvalidTenant,
    NotFound,
    NotInProgress,
    NotOwner,
    RateLimited,
    Refused,
    ResultNotFound,
    ServerError,
    TaskNotFound,
    TopicNotFound,
    Unauthorized,
)

from .calls import Call, Reply, T

_BY_MESSAGE: Mapping[str, type[Refused]] = {
    "not-owner": NotOwner,
    "not-in-progress": NotInProgress,
    "task not found": TaskNotFound,
    "not found": TaskNotFound,
    "result not found": ResultNotFound,
    "invalid tenant claims": InvalidTenant,
}
_BY_STATUS: Mapping[int, type[Refused]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: NotInProgress,
    422: BadRequest,
}


def decode(call: Call[T], reply: Reply, now: Callable[[], float]) -> T:
    """Return the value of a reply; raises `Refused` for a refusal, `BadReply` for a reply that is not CodeQ's.

    `now` returns the seconds since the epoch.
    """
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's success statuses
        raise _refusal(call, reply, now)
    if reply.status == 204 and call.on_no_content:  # noqa: PLR2004 - No Content (K3)
        return call.on_no_content()
    try:
        return call.decode(reply.json())
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        beginning = excerpt(reply.body[:60].decode(errors="replace"))
        raise BadReply(
            f"{call.method} {call.path}: HTTP {reply.status}, but not a reply of CodeQ: {beginning!r} "
            f"({excerpt(repr(error))})"
        ) from error


def item_error(message: str) -> Refused:
    """Return the error for one item of a batch (C9, S6): the same messages, but without an HTTP status."""
    return _BY_MESSAGE.get(message, BadRequest)(message, status=200)


def _refusal(call: Call[T], reply: Reply, now: Callable[[], float]) -> Refused:
    """Return the error for a refusal: by its message, which says more, or else by its status."""
    message = _message(reply)
    if reply.status == 429:  # noqa: PLR2004 - Too Many Requests
        kind: type[Refused] = RateLimited
    elif message == "not-found":  # a 500 for heartbeat and abandon, a 404 elsewhere (H2, N1, U2)
        kind = call.missing
    elif message.startswith("queue topic "):
        kind = TopicNotFound
    elif message in _BY_MESSAGE:
        kind = _BY_MESSAGE[message]
    else:
        kind = _BY_STATUS.get(reply.status, ServerError if reply.status >= 500 else Refused)  # noqa: PLR2004 - HTTP's server errors
    request_id = excerpt(reply.headers.get("x-request-id", ""))
    return kind(message, status=reply.status, request_id=request_id, retry_after=_retry_after(reply, now))


def _message(reply: Reply) -> str:
    try:
        return str(reply.json()["error"])
    except (ValueError, TypeError, LookupError, RecursionError):
        location = reply.headers.get("location")
        text = f"a redirect to {location}" if location else reply.body[:2000].decode(errors="replace").strip()
        return text or "no error text"


def _retry_after(reply: Reply, now: Callable[[], float]) -> float:
    """Return the seconds of `Retry-After`, a number or a date; by default 1 for a 429, otherwise 0."""
    value = reply.headers.get("retry-after", "").strip()
    default = 1.0 if reply.status == 429 else 0.0  # noqa: PLR2004 - Too Many Requests
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError, OverflowError):
        return max(0.0, _until(value, reply.headers.get("date", ""), now))
    return default


def _until(moment: str, sent: str, now: Callable[[], float]) -> float:
    """Return the seconds to a moment from when the reply was sent, by the server's clock if it says so."""
    begin = _timestamp(sent) if sent else now()
    return _timestamp(moment) - begin


def _timestamp(text: str) -> float:
    """Return a date of HTTP in seconds since 1970. The form of asctime has no zone, and means UTC."""
    moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
