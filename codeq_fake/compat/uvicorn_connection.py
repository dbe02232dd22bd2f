"""A connection of the quick server: uvicorn's HTTP on httptools, which writes each reply at once."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .uvicorn import StateOf


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *args: Any, turn: Turn, state_of: StateOf, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turn = turn
        self._state_of = state_of

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # asyncio's type is wider
        """Begin to serve the client."""
        writer: Any = _ReplyWriter(transport, self._turn)
        self.app_state = self._state_of(writer)
        super().connection_made(writer)


class Turn:
    """Counts the replies that come up in one turn of the event loop."""

    def __init__(self) -> None:
        self._replies = 0

    def count(self) -> None:
        """Count one more reply."""
        if self._replies == 0:
            asyncio.get_running_loop().call_soon(self._end)
        self._replies += 1

    @property
    def is_quiet(self) -> bool:
        """Whether no more than one reply came up so far."""
        return self._replies == 1

    def _end(self) -> None:
        self._replies = 0


class _ReplyWriter:
    """A transport that writes a reply at once.

    Uvicorn writes the head and the body of a reply apart, which costs a system call and often a packet more for each:
    about a sixth of the time of a small request. So the head waits for the body; and where many replies come up in a
    turn of the event loop, all but the first wait for its end, because each one that is sent wakes up a client that
    wants a processor.

    Each writer has its own callback at the end of the turn: the error of one connection cannot stop the others.
    """

    def __init__(self, transport: asyncio.Transport, turn: Turn) -> None:
        self._transport = transport
        self._turn = turn
        self._waiting: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        if len(self._waiting) == 1:
            self._turn.count()
            asyncio.get_running_loop().call_soon(self._flush)
        elif self._turn.is_quiet:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        """Write what waits. A connection that died in the meantime takes nothing: uvloop raises an error there."""
        if self._waiting:
            data, self._waiting = b"".join(self._waiting), []
            if not self._transport.is_closing():
                self._transport.write(data)
