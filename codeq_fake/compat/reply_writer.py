"""When replies are written: the first one of a turn of the event loop at once, the others at its end."""

from __future__ import annotations

import asyncio
from typing import Any


class Turn:
    """A turn of the event loop, as far as replies go: which one of them is the first since a client was last read."""

    def __init__(self) -> None:
        self._has_reply = False

    def begin(self) -> None:
        """Begin a turn, because data of a client has come: the next reply is the first one."""
        self._has_reply = False

    def take_first(self) -> bool:
        """Note that a reply comes up. Returns whether it is the first one of the turn."""
        is_first, self._has_reply = not self._has_reply, True
        return is_first


class ReplyWriter:
    """A transport that writes a reply at once.

    Uvicorn writes the head and the body of a reply apart, which costs a system call and often a packet more for each:
    about a sixth of the time of a small request. So the head waits for the body; and where many replies come up in a
    turn of the event loop, all but the first wait for its end, because each one that is sent wakes up a client that
    wants a processor.

    Each writer has its own callback at the end of the turn: the error of one connection cannot stop the others.
    """

    def __init__(self, transport: asyncio.Transport, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._turn = turn
        self._loop = loop
        self._waiting: list[bytes] = []
        self._has_begun = False
        self.is_closing = transport.is_closing  # asked at each reply: `__getattr__` would take longer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Take the head or a part of the body. The head waits for what follows it, at most until the turn ends."""
        self._waiting.append(data)
        if len(self._waiting) == 1:
            self._loop.call_soon(self.flush)
        elif self._turn.take_first():
            self.flush()

    def write_reply(self, head: bytes, body: bytes) -> None:
        """Take a whole reply."""
        self._waiting.append(head + body)
        if self._turn.take_first():
            self.flush()
        else:
            self._loop.call_soon(self.flush)

    def close(self) -> None:
        """Close the connection after what waits."""
        self.flush()
        self._transport.close()

    def begin(self) -> None:
        """Send the first byte of the next reply, an H, before the rest is known. `flush` leaves it out then."""
        if not (self._has_begun or self._waiting or self.is_closing()):
            self._has_begun = True
            self._transport.write(b"H")

    def write_eof(self) -> None:
        """Send what waits, and that nothing more follows."""
        self.flush()
        if not self.is_closing():
            self._transport.write_eof()

    def flush(self) -> None:
        """Write what waits. A connection that died in the meantime takes nothing: uvloop raises an error there."""
        if self._waiting:
            data, self._waiting = b"".join(self._waiting), []
            if self._has_begun:
                data, self._has_begun = data[1:], False
            if not self.is_closing():
                self._transport.write(data)
