"""How a reply is sent while there are fault rules: as it is, or broken. A fault may hold back, cut or malform it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from starlette.types import Message, Receive, Scope, Send

from codeq_fake.http.request import hang_up

#: What happens to a reply. `gone`: the client has hung up. `reset`: nothing is sent, the connection is reset.
#: `drop_reply`: nothing is sent, the connection is closed. `cut`: the connection is closed after half of the body.
#: `malformed`: half of the body is sent as if it were the whole.
ReplyOutcome = Literal["sent", "gone", "reset", "drop_reply", "cut", "malformed"]

#: Key of an ASGI scope's state: the server's function that ends the connection of the request.
END_CONNECTION = "codeq_fake.end_connection"

#: `reset`: at once, with a TCP reset. `close`: in order, after all that was sent.
CloseMode = Literal["reset", "close"]


class BreakableReply:
    """A reply, given as its two ASGI messages head and body. It is sent as it is, or as a fault breaks it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        #: To be set before the reply is sent.
        self.outcome: ReplyOutcome = "sent"
        self._scope = scope
        self._receive = receive
        self._send = send
        self._head: Message = {}

    async def send(self, message: Message) -> None:
        """Take the next message. In process, raises the httpx error that a client on a port would get."""
        if self.outcome == "sent":
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._head = message
        elif self.outcome == "reset":
            await self._end_connection("reset", "[Errno 104] Connection reset by peer")
        elif self.outcome == "drop_reply" or (self.outcome != "gone" and not message["body"]):
            # An empty body cannot be cut or malformed: drop the reply.
            await self._end_connection("close", "Server disconnected without sending a response.")
        elif self.outcome == "cut":
            await self._cut(message["body"])
        elif self.outcome == "malformed":
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

    async def _end_connection(self, mode: CloseMode, client_error: str) -> None:
        """End the connection, and return when it is closed. `client_error` is the text of the error in process."""
        end: Callable[[CloseMode], None] | None = self._scope.get("state", {}).get(END_CONNECTION)
        if end is None:
            import httpx  # noqa: PLC0415 - takes 250 ms, and callers in process have loaded it

            raise httpx.ReadError(client_error) if mode == "reset" else httpx.RemoteProtocolError(client_error)
        end(mode)
        await hang_up(self._receive)
