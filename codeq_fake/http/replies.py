"""What a handler returns: a reply, or a wait for one. And how a reply is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from starlette.types import Send

from codeq_fake import wire
from codeq_fake.core.slices import Slices
from codeq_fake.journal import TouchedTask

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json; charset=utf-8"),)  # R21
TEXT: Headers = ((b"content-type", b"text/plain"),)

_NO_CONTENT = 204


class Reply(NamedTuple):
    """A status, a body and the headers that describe it. Status 0 means that a fault keeps the reply back.

    The journal also notes the `tasks` that the operation created or claimed, the text of an `error`, and the `reason`
    of the error, or of an empty reply, for a person.
    """

    status: int
    body: bytes = b""
    headers: Headers = ()
    tasks: tuple[TouchedTask, ...] = ()
    error: str = ""
    reason: str = ""
    #: Writes the body, if that takes a while.
    writing: Slices[bytes] | None = None


def at_once() -> int:
    """The `next_chance` of a `Wait` whose attempts may all find something: at once."""
    return 0


class Wait(NamedTuple):
    """A reply that may take time: call `attempt` with the time every `interval` ns for `seconds`.

    If none of the attempts returned a reply, call `over` with the time then: it returns the reply, or raises a
    rejection (K9, G1). After an attempt, `next_chance` returns the instant (ns) before which another one finds nothing
    unless a queue changes, None for never.
    """

    attempt: Callable[[int], Reply | None]
    seconds: int
    interval: int
    over: Callable[[int], Reply]
    next_chance: Callable[[], int | None] = at_once


NO_REPLY = Reply(0)
NO_CONTENT = Reply(_NO_CONTENT)
NOT_FOUND = Reply(404, b"404 page not found", TEXT, reason="CodeQ has no such method and path (R18)")
#: The answer of Go's server to `OPTIONS *`.
OPTIONS = Reply(200)
#: What Go's server answers to what is no HTTP request. It ends the connection.
BAD_REQUEST = Reply(
    400, b"400 Bad Request", ((b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close"))
)


def json(text: str, status: int = 200, tasks: tuple[TouchedTask, ...] = (), reason: str = "") -> Reply:
    """A reply of JSON text."""
    return Reply(status, text.encode(), JSON, tasks, reason=reason)


def error(status: int, text: str, reason: str = "") -> Reply:
    """An error: `{"error": text}` (R22). The `reason` is not sent."""
    return Reply(status, f'{{"error":{wire.quote(text)}}}'.encode(), JSON, error=text, reason=reason or text)


async def send_reply(send: Send, reply: Reply, request_id: bytes | None, *, with_body: bool = True) -> None:
    """Send a reply with the request's id, which redirects do not have (R20). The reply to HEAD has no body."""
    headers = list(reply.headers)
    if request_id is not None:
        headers.append((b"x-request-id", request_id))
    if reply.status != _NO_CONTENT:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})
