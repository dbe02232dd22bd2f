"""Runs uvicorn with less delay: one system call for a reply, no waiting at start and stop, no signal handlers."""

from __future__ import annotations

import asyncio
import logging
import socket
import time  # noqa: TID251 - the date of a reply is that of the machine, as with uvicorn
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from functools import partial
from wsgiref.handlers import format_date_time

import uvicorn
from starlette.types import ASGIApp

from .reply_writer import Turn
from .uvicorn import GRACE, Limits, StateOf, Where, options, sockets_of
from .uvicorn_connection import Connection
from .uvicorn_refusals import Admission

#: How many turns of the event loop asyncio needs to make a connection of a client that it has accepted.
_TURNS_OF_ACCEPTING = 3

_log = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def quick_serve(
    app: ASGIApp, where: Where, *, limits: Limits, state_of: StateOf, before_end: Callable[[], None]
) -> AsyncIterator[None]:
    """Serve in the running event loop. See `Serve`."""
    server = _Server(app, where, limits, state_of, before_end)
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

    def __init__(
        self, app: ASGIApp, where: Where, limits: Limits, state_of: StateOf, before_end: Callable[[], None]
    ) -> None:
        self._admission = Admission(limits)
        protocol = partial(Connection, turn=Turn(), state_of=state_of, admission=self._admission)
        super().__init__(uvicorn.Config(app, http=protocol, **options(where, limits)))  # type: ignore[arg-type]  # called as a class
        self._before_end = before_end
        self._must_end = asyncio.get_running_loop().create_future()
        self.server_state.connections = _InOrder()  # type: ignore[assignment]  # all that uvicorn does with its set
        #: Set once it answers.
        self.answers = asyncio.Event()

    def end(self) -> None:
        """End soon."""
        self.should_exit = True
        if not self._must_end.done():
            self._must_end.set_result(None)

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # uvicorn's is a generator
        """Leave signals to the caller."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer."""
        await super().startup(sockets=sockets)
        self.answers.set()

    async def main_loop(self) -> None:
        """Answer until `end` is called. Uvicorn's own loop looks only every tenth of a second."""
        self._tick()
        try:
            await self._must_end
        finally:
            self._next_tick.cancel()

    def _tick(self) -> None:
        """Do what is due each second. A timer calls it: a task that sleeps in between costs several times as much."""
        self._next_tick = self._must_end.get_loop().call_later(1, self._tick)
        # As uvicorn's `on_tick`, which takes several times as long to write the date.
        self.server_state.default_headers = [(b"date", format_date_time(time.time()).encode())]
        self._look_after_connections()

    def _look_after_connections(self) -> None:
        """Refuse clients that make no progress, and log how many connections were beyond the limit."""
        for connection in list(self.server_state.connections):
            connection.tick()  # type: ignore[union-attr]  # all of them are ours
        admission = self._admission
        if admission.refused:
            _log.warning(
                "refused %s connections: %s are open (--max-connections)",
                f"{admission.refused:,}",
                f"{admission.limits.connections:,}",
            )
            admission.refused = 0

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the caller closes them
        """Give requests a moment to be answered, and drop the others: one that hangs must not delay the end."""
        self._before_end()
        await self._stop_listening()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.001)
        for connection in (*self.server_state.connections, *self._admission.turned_away):
            connection.transport.abort()
        with _cancellations_unlogged():
            tasks = list(self.server_state.tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=GRACE)

    async def _stop_listening(self) -> None:
        """Close the connections that have just come, and then the listening sockets.

        asyncio needs some turns to make a connection of a client that it has accepted. If its server is closed in
        between, it loses the client's socket.
        """
        self._admission.is_over = True
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.SelectorEventLoop):
            for listener in (listener for server in self.servers for listener in server.sockets):
                loop.remove_reader(listener)
            for _ in range(_TURNS_OF_ACCEPTING):
                await asyncio.sleep(0)
        for server in self.servers:
            server.close()


class _InOrder(dict[Connection, None]):
    """Connections in the order in which they came. The order of a set would be another one in each run."""

    def add(self, connection: Connection) -> None:
        """Add a connection."""
        self[connection] = None

    def discard(self, connection: Connection) -> None:
        """Remove a connection, if it is there."""
        self.pop(connection, None)


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
