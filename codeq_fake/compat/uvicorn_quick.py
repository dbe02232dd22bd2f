"""Runs uvicorn with less delay: one system call for a reply, no waiting at start and stop, no signal handlers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .uvicorn import GRACE, StateOf, Where, options, sockets_of


@asynccontextmanager
async def quick_serve(
    app: ASGIApp, where: Where, *, state_of: StateOf, before_end: Callable[[], None]
) -> AsyncIterator[None]:
    """Serve in the running event loop. See `Serve`."""
    server = _Server(app, where, state_of, before_end)
    serving = asyncio.create_task(server.serve(sockets=sockets_of(where)))
    try:
        answers = asyncio.create_task(server.answers.wait())
        await asyncio.wait({answers, serving}, return_when=asyncio.FIRST_COMPLETED)
        answers.cancel()
        yield
    finally:
        server.end()
        await serving


class _Server(uvicorn.Server):
    """Uvicorn without its waits of a tenth of a second at the start and at the end."""

    def __init__(self, app: ASGIApp, where: Where, state_of: StateOf, before_end: Callable[[], None]) -> None:
        protocol = partial(_HttpProtocol, turn=_Turn(), state_of=state_of)
        super().__init__(uvicorn.Config(app, http=protocol, **options(where)))  # type: ignore[arg-type]  # called as a class
        self._before_end = before_end
        self._must_end = asyncio.Event()
        #: Set once it answers.
        self.answers = asyncio.Event()

    def end(self) -> None:
        """End soon."""
        self.should_exit = True
        self._must_end.set()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        """Leave signals to the caller."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets=sockets)
        self.answers.set()

    async def main_loop(self) -> None:
        """Answer until `end` is called. Uvicorn's own loop looks only every tenth of a second."""
        while not await self.on_tick(0):  # renews the Date header
            with suppress(TimeoutError):
                await asyncio.wait_for(self._must_end.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the caller closes them
        """Give requests a moment to be answered, and drop the others: one that hangs must not delay the end."""
        self._before_end()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.001)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        with _cancellations_unlogged():
            tasks = list(self.server_state.tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE)


class _HttpProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP on httptools, which writes each reply at once."""

    def __init__(self, *args: Any, turn: _Turn, state_of: StateOf, **options: Any) -> None:
        super().__init__(*args, **options)
        self._turn = turn
        self._state_of = state_of

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # asyncio's type is wider
        writer: Any = _ReplyWriter(transport, self._turn)
        self.app_state = self._state_of(writer)
        super().connection_made(writer)


class _Turn:
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

    def __init__(self, transport: asyncio.Transport, turn: _Turn) -> None:
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


@contextmanager
def _cancellations_unlogged() -> Iterator[None]:
    """Keep uvicorn from logging requests that are cancelled, because the end of the server cancels them."""
    log = logging.getLogger("uvicorn.error")
    log.addFilter(_is_no_cancellation)
    try:
        yield
    finally:
        log.removeFilter(_is_no_cancellation)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, asyncio.CancelledError)
