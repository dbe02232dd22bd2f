"""How the quick server answers one request: uvicorn's cycle, with a shorter way for the replies of the contract."""

from __future__ import annotations

import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

#: The headers of the contract's replies (R20, R21). None of them changes how a reply is framed.
_PLAIN_HEADERS = frozenset({b"content-type", b"x-request-id"})
#: What no value of a header may hold, as uvicorn checks it.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Cycle(RequestResponseCycle):
    """A request and its reply.

    Uvicorn reads each header of a reply to find out how it is framed. A reply that states its length, as those of the
    contract do, needs less. All others are uvicorn's.
    """

    #: The head of the reply, while it waits for the body.
    _head = b""

    async def receive(self) -> Any:  # noqa: ANN401 - uvicorn's type is private
        """The body if it is complete already, else what uvicorn has of it."""
        event = self.message_event
        is_over = self.disconnected or self.response_complete
        if self.more_body or self.waiting_for_100_continue or is_over or not event.is_set():
            return await super().receive()
        if self.flow.read_paused:
            self.flow.resume_reading()
        event.clear()
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:  # noqa: ANN401 - as above
        """Send the head or the body of a reply. A plain head waits for the body."""
        if self.disconnected or self.flow.write_paused or not self.keep_alive or self.scope["method"] == "HEAD":
            pass
        elif not self.response_started:
            self._head = self._plain_head(message) if message["type"] == "http.response.start" else b""
            if self._head:
                self.response_started, self.waiting_for_100_continue = True, False
                return
        elif self._head and self._is_rest(message):
            head, self._head = self._head, b""
            self.response_complete = True
            self.message_event.set()
            self.transport.write_reply(head, message.get("body", b""))  # type: ignore[attr-defined]  # it is a ReplyWriter
            self.on_response()
            return
        if self._head:
            self.transport.write(self._head)
            self._head = b""
        await super().send(message)

    def _plain_head(self, message: Any) -> bytes:  # noqa: ANN401 - as above
        """The head of a reply that states its length, or has no body; empty for any other head."""
        status = message["status"]
        length = 0 if status == 204 else None  # noqa: PLR2004 - No Content
        lines = [STATUS_LINE[status]]
        for name, value in self.default_headers:  # uvicorn's own: the date
            lines += name, b": ", value, b"\r\n"
        for name, value in message["headers"]:
            if name == b"content-length" and length is None:
                length = int(value)
            elif name not in _PLAIN_HEADERS or _CONTROL.search(value):
                return b""
            lines += name, b": ", value, b"\r\n"
        if length is None:
            return b""
        self.expected_content_length, self.chunked_encoding = length, False
        lines.append(b"\r\n")
        return b"".join(lines)

    def _is_rest(self, message: Any) -> bool:  # noqa: ANN401 - as above
        """Whether this is all of the body that was promised."""
        return (
            message["type"] == "http.response.body"
            and not message.get("more_body")
            and len(message.get("body", b"")) == self.expected_content_length
        )
