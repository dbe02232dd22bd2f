"""The end of a reply that a fault has touched: it is not sent, cut, or malformed, and its connection may die."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

#: What becomes of a reply. ``gone``: its client has hung up. ``reset``: nothing is sent, and the connection is reset.
#: ``drop_reply``: nothing is sent either, and the connection is closed. ``cut``: closed after half of the body.
#: ``malformed``: half of the body looks whole.
End = Literal["sent", "gone", "reset", "drop_reply", "cut", "malformed"]

#: Where a server keeps, in an ASGI scope's state, the function that ends the request's connection.
CUT = "codeq_fake.cut"

#: ``reset``: at once, with a TCP reset. ``close``: orderly, after what was sent so far.
Way = Literal["reset", "close"]


class Ending:
    """Takes the two messages of a reply, its head and its body, and sends what is left of them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        #: What is to become of it; to be set before the reply is sent.
        self.end: End = "sent"
        self._scope = scope
        self._receive = receive
        self._send = send
        self._head: Message = {}

    async def send(self, message: Message) -> None:
        """Take the next message. In process, raises what a client on a port would see as httpx does."""
        if self.end == "sent":
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._head = message
        elif self.end == "reset":
            await self._die("reset", "[Errno 104] Connection reset by peer")
        elif self.end == "drop_reply" or (self.end != "gone" and not message["body"]):
            await self._die("close", "Server disconnected without sending a response.")
        elif self.end == "cut":
            await self._cut(message["body"])
        elif self.end == "malformed":
            await self._malform(message["body"])

    async def _cut(self, body: bytes) -> None:
        half = body[: len(body) // 2]
        await self._send(self._head)
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        counted = f"received {len(half)} bytes, expected {len(body)}"
        await self._die("close", f"peer closed connection without sending complete message body ({counted})")

    async def _malform(self, body: bytes) -> None:
        half = body[: len(body) // 2]
        headers = [pair for pair in self._head["headers"] if pair[0] != b"content-length"]
        await self._send({**self._head, "headers": [*headers, (b"content-length", b"%d" % len(half))]})
        await self._send({"type": "http.response.body", "body": half})

    async def _die(self, way: Way, seen: str) -> None:
        """Let the connection die, and return when it is dead; ``seen`` is what a client says of it."""
        cut: Callable[[Way], None] | None = self._scope.get("state", {}).get(CUT)
        if cut is None:
            import httpx  # noqa: PLC0415 - takes a quarter of a second, and whoever calls in process has it

            raise httpx.ReadError(seen) if way == "reset" else httpx.RemoteProtocolError(seen)
        cut(way)
        while (await self._receive())["type"] != "http.disconnect":
            pass
