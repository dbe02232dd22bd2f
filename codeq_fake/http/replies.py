"""Replies as values, and the way they go out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from codeq_fake import wire
from codeq_fake.journal import TouchedTask

if TYPE_CHECKING:
    from starlette.types import Send

Headers = tuple[tuple[bytes, bytes], ...]

JSON: Headers = ((b"content-type", b"application/json; charset=utf-8"),)  # R21
TEXT: Headers = ((b"content-type", b"text/plain"),)

_NO_CONTENT = 204


class Reply(NamedTuple):
    """A status, a body and the headers that describe it.

    The journal also notes the `tasks` that the operation created or claimed, and the text of an `error`.
    """

    status: int
    body: bytes = b""
    headers: Headers = ()
    tasks: tuple[TouchedTask, ...] = ()
    error: str = ""


NO_CONTENT = Reply(_NO_CONTENT)
NOT_FOUND = Reply(404, b"404 page not found", TEXT)  # R18


def json(text: str, status: int = 200, tasks: tuple[TouchedTask, ...] = ()) -> Reply:
    """A reply of JSON text."""
    return Reply(status, text.encode(), JSON, tasks)


def error(status: int, text: str) -> Reply:
    """A refusal: ``{"error": text}`` (R22)."""
    return Reply(status, f'{{"error":{wire.quote(text)}}}'.encode(), JSON, error=text)


async def send_reply(send: Send, reply: Reply, request_id: bytes, *, with_body: bool = True) -> None:
    """Send a reply; every one carries the request's id (R20). A HEAD request gets no body."""
    headers = [*reply.headers, (b"x-request-id", request_id)]
    if reply.status != _NO_CONTENT:
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body if with_body else b""})
