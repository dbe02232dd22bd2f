"""A fake on a port: how it listens, serves and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager, nullcontext, suppress
from functools import partial
from importlib import import_module
from threading import Event
from typing import Any

from starlette.types import ASGIApp

from codeq_fake.compat import httpx
from codeq_fake.compat.uvicorn import Limits
from codeq_fake.compat.uvicorn_choice import best_serve
from codeq_fake.http.faults.broken_replies import END_CONNECTION, CloseMode
from codeq_fake.runtime.fake_server import FakeServer

from . import descriptors

DEFAULT_LIMITS = Limits()
#: What the first request under `/_fake` needs, the first large body, the first callback, the first request for metrics,
#: and the first visitor of the page. A package comes before its modules: the import of a module does not wait for
#: another thread that imports its package, and finds half of it.
_LATE = (
    "starlette",
    "codeq_fake.serving.fake_router",
    "anyio",
    "codeq_fake.compat.anyio",
    "codeq_fake.webhooks.transport",
    "prometheus_client",
    "prometheus_client.core",
    "jinja2",
    "codeq_fake.page.site",
)
#: How long nothing is loaded in advance (s): the first requests would wait for the thread that loads.
_BEFORE_LOADING = 0.05
#: How long the templates of the page are not compiled yet (s). It takes nearly as long as the whole start: the first
#: requests would feel it, and a server that lives for one test needs none.
_BEFORE_TEMPLATES = 2
#: The garbage collector looks at some 10,000 objects at a time, which takes a ms or two, and rarely at all of them.
GC_THRESHOLDS = (2_500, 3, 4000)
#: With a lingering time of 0 the system ends a connection with a reset.
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class PortTakenError(OSError):
    """The address cannot be bound; the text says which and why."""


def listen(host: str, port: int, *, backlog: int = DEFAULT_LIMITS.backlog) -> socket.socket:
    """A listening socket; port 0 picks a free one. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With protocol 0 the event loop would not turn Nagle's algorithm off: 23 requests a second instead of thousands.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise PortTakenError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return listener


def url_of(where: socket.socket | tuple[str, int]) -> str:
    """The URL of a listening socket, or of a host and port."""
    host, port, *_ = where if isinstance(where, tuple) else where.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: ASGIApp,
    runtime: FakeServer,
    listener: socket.socket,
    *,
    limits: Limits,
    ready: Callable[[], None],
    within: AbstractContextManager[None],
) -> None:
    """Serve until a signal of `stop_signals`, inside of the context `within`. Calls `ready` once it answers."""
    # The reply tells the sender of a form what is wrong with it. In the log, strangers could write what they like.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # A fake holds many objects and makes few cycles: the collector need not look again at what exists now.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

    async def until_stopped() -> None:
        stopped = asyncio.Event()
        for number in stop_signals():
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        with closing(listener), within:
            async with served(app, runtime, listener, limits=limits):
                ready()
                with loading_ahead():
                    await stopped.wait()

    with asyncio.Runner(loop_factory=_fast_loop()) as runner, suppress(KeyboardInterrupt):
        runner.run(until_stopped())


def stop_signals() -> list[signal.Signals]:
    """The signals that end a server in an orderly way. Under `nohup` a hang-up is ignored."""
    if sys.platform == "win32":
        return []  # its event loops have no signal handlers
    hang_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGINT, signal.SIGTERM, *hang_up]


@contextmanager
def loading_ahead() -> Iterator[None]:
    """A context that begins by loading, in a thread, what only some requests need.

    Loading it then would stop the whole server for that long, and would fail if no more files can be opened.
    """
    is_over = Event()
    _ = asyncio.get_running_loop().run_in_executor(None, _load, is_over)
    try:
        yield
    finally:
        is_over.set()  # a server that ends at once does not wait for all of it


def _load(is_over: Event) -> None:
    if is_over.wait(_BEFORE_LOADING):
        return
    httpx.load()
    for module in _LATE:
        if is_over.is_set():
            return
        import_module(module)
    if is_over.wait(_BEFORE_TEMPLATES):
        return
    from codeq_fake import page  # noqa: PLC0415 - see `_LATE`

    for _ in page.loaded_ahead():
        if is_over.is_set():
            return


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - there is none for Windows and PyPy
    except ImportError:
        return None
    return new_event_loop


@asynccontextmanager
async def served(
    app: ASGIApp, runtime: FakeServer, where: socket.socket | tuple[str, int], *, limits: Limits | None = None
) -> AsyncIterator[str]:
    """Serve in the running event loop as long as the context lasts; yields the URL. Signals stay with the caller.

    Without `limits` it takes as many connections as the system's limit of open files allows.

    `where` is a listening socket, which is closed at the end, or the host and port on which the event loop is to
    listen: an event loop that simulates a network has no sockets.
    """
    limits = limits or descriptors.limits(callbacks=runtime.config.max_callbacks)
    with nullcontext() if isinstance(where, tuple) else closing(where):
        # What is being sent is dropped at the end: a receiver that hangs must not delay it.
        async with best_serve()(app, where, limits=limits, state_of=connection_state, before_end=runtime.release):
            yield url_of(where)


def connection_state(transport: asyncio.Transport) -> dict[str, Any]:
    """What the ASGI scope's `state` holds for the requests of a connection: how a fault ends it."""
    return {END_CONNECTION: partial(_end_connection, transport)}


def _end_connection(transport: asyncio.Transport, mode: CloseMode) -> None:
    """End a connection as a fault says."""
    if mode == "close":
        transport.close()
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
