"""Replies that a fault breaks: not sent, cut or malformed, with the connection closed or reset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from codeq_fake.http.request import hang_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

#: What happens to a reply. `gone`: the client has hung up. `reset`: nothing is sent, the connection is reset.
#: `drop_reply`: nothing is sent, the connection is closed. `cut`: the connection is closed after half of the body.
#: `malformed`: half of the body is sent as if it were the whole.
End = Literal["sent", "gone", "reset", "drop_reply", "cut", "malformed"]

#: Key of an ASGI scope's state: the server's function that ends the connection of the request.
CUT = "codeq_fake.cut"

#: `reset`: at once, with a TCP reset. `close`: in order, after all that was sent.
Way = Literal["reset", "close"]


class BrokenReply:
    """Takes the two ASGI messages of a reply, head and body, and sends what is left of them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        #: To be set before the reply is sent.
        self.end: End = "sent"
        self._scope = scope
        self._receive = receive
        self._send = send
        self._head: Message = {}

    async def send(self, message: Message) -> None:
        """Take the next message. In process, raises the httpx error that a client on a port would get."""
        if self.end == "sent":
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._head = message
        elif self.end == "reset":
            await self._end_connection("reset", "[Errno 104] Connection reset by peer")
        elif self.end == "drop_reply" or (self.end != "gone" and not message["body"]):
            await self._end_connection("close", "Server disconnected without sending a response.")
        elif self.end == "cut":
            await self._cut(message["body"])
        elif self.end == "malformed":
            await self._malform(message["body"])

    async def _cut(self, body: bytes) -> None:
        half = body[: len(body) // 2]
        await self._send(self._head)
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        counted = f"received {len(half)} bytes, expected {len(body)}"
        await self._end_connection("close", f"peer closed connection without sending complete message body ({counted})")

    async def _malform(self, body: bytes) -> None:
        half = body[: len(body) // 2]
        headers = [pair for pair in self._head["headers"] if pair[0] != b"content-length"]
        await self._send({**self._head, "headers": [*headers, (b"content-length", b"%d" % len(half))]})
        await self._send({"type": "http.response.body", "body": half})

    async def _end_connection(self, way: Way, seen: str) -> None:
        """End the connection, and return when it is closed. `seen` is the text of the client's error."""
        cut: Callable[[Way], None] | None = self._scope.get("state", {}).get(CUT)
        if cut is None:
            import httpx  # noqa: PLC0415 - takes 250 ms, and callers in process have loaded it

            raise httpx.ReadError(seen) if way == "reset" else httpx.RemoteProtocolError(seen)
        cut(way)
        await hang_up(self._receive)
