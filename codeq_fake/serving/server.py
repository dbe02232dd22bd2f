"""A fake on a port: uvicorn on httptools and uvloop, quick to start and quick to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import struct
import sys
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from codeq_fake.http.faults.broken_replies import CUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from starlette.types import ASGIApp

    from codeq_fake.http.faults.broken_replies import Way
    from codeq_fake.runtime.fake_server import Runtime

#: How long a request that is under way may take to end when the server stops, in seconds.
_GRACE = 0.5
_BACKLOG = 2048
#: With a lingering time of 0 the system ends a connection with a reset.
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


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


class _OneWrite:
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


class _Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP on httptools, writing each reply at once."""

    def __init__(self, *args: Any, turn: _Turn, **named: Any) -> None:
        super().__init__(*args, **named)
        self._turn = turn

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {CUT: self._cut}
        super().connection_made(_OneWrite(transport, self._turn))  # type: ignore[arg-type]

    def _cut(self, way: Way) -> None:
        """End the connection, for whom a fault wants it."""
        if way == "close":
            self.transport.close()
            return
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def drop(self) -> None:
        """Close the connection whose request hangs; that this request fails is not worth a traceback in the log."""
        if self.cycle is not None:
            self.cycle.logger = logging.Logger("dropped", logging.CRITICAL + 1)  # noqa: LOG001 - a silent one
        self.transport.abort()


class PortTakenError(OSError):
    """The address cannot be bound; the text says which and why."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With protocol 0 uvicorn would not turn Nagle's algorithm off: 23 requests a second instead of thousands.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PortTakenError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which a listening socket is reached."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn, which tells when it answers, ends at once when told to, and lets parked long polls go."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        config = uvicorn.Config(
            app,
            http=partial(_Protocol, turn=_Turn()),  # type: ignore[arg-type] # called as a class would be
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        super().__init__(config)
        self._runtime = runtime
        self._told_to_end = asyncio.Event()
        #: Set once it answers.
        self.answers = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets=sockets)
        self.answers.set()

    async def main_loop(self) -> None:
        """Answer until :meth:`end`. Uvicorn's own loop looks only every tenth of a second."""
        while not await self.on_tick(0):  # renews the Date header
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told_to_end.wait(), 1)

    def end(self) -> None:
        """End soon."""
        self.should_exit = True
        self._told_to_end.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the caller's to close
        """Answer who waits, and end. What is being sent is dropped: a receiver that hangs must not hold the end up."""
        self._runtime.release()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.001)
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Protocol):
                connection.drop()
        for task in list(self.server_state.tasks):
            task.cancel()


def serve(
    app: ASGIApp,
    runtime: Runtime,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    within: AbstractContextManager[None],
) -> None:
    """Answer until SIGINT or SIGTERM, ``within`` a context of its own. ``ready`` is called once it answers."""
    # A fake holds many objects and makes few cycles: what is there now need not be looked at again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)

    async def until_stopped() -> None:
        stopped = asyncio.Event()
        if sys.platform != "win32":
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        with closing(listener), within:
            async with served(app, runtime, listener):
                ready()
                load_ahead()
                await stopped.wait()

    with asyncio.Runner(loop_factory=_fast_loop()) as runner, suppress(KeyboardInterrupt):
        runner.run(until_stopped())


def load_ahead() -> None:
    """Load in a thread what the first callback needs: to load it then would stop the whole server for that long."""
    _ = asyncio.get_running_loop().run_in_executor(None, import_module, "codeq_fake.webhooks.transport")


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - there is none for Windows and PyPy
    except ImportError:
        return None
    return new_event_loop


@asynccontextmanager
async def served(app: ASGIApp, runtime: Runtime, listener: socket.socket) -> AsyncIterator[str]:
    """Answer in the running event loop as long as the context lasts; gives the URL. Signals stay the caller's.

    The listener is closed at the end.
    """
    server = Server(app, runtime)
    with closing(listener):
        serving = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001 - serve() would take the signals
        try:
            await server.answers.wait()
            yield url_of(listener)
        finally:
            server.end()
            await serving
