"""A server on uvicorn: the quick one, or the plain one if uvicorn lacks the private names that the quick one needs.

The plain server uses only public names. It sends the head and the body of a reply separately, takes some tenths of a
second longer to start and to stop, and cannot break a connection: faults that should do so are answered with a 500. Of
the limits it knows only the time between two requests.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import uvicorn
from starlette.types import ASGIApp

#: A listening socket, or the host and port on which the event loop is to listen.
Where = socket.socket | tuple[str, int]
#: What the ASGI scope's `state` holds for the requests of a connection.
StateOf = Callable[[asyncio.Transport], dict[str, Any]]

#: What the quick server needs, and uvicorn does not document.
INSIDES = (
    "uvicorn.server:Server.startup",
    "uvicorn.server:Server.main_loop",
    "uvicorn.server:Server.on_tick",
    "uvicorn.server:Server.shutdown",
    "uvicorn.server:Server.capture_signals",
    "uvicorn.protocols.http.flow_control:FlowControl.resume_reading",
    "uvicorn.protocols.http.httptools_impl:RequestResponseCycle",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.connection_made",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.connection_lost",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.data_received",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.eof_received",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_message_begin",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_headers_complete",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_message_complete",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_response_complete",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.send_400_response",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.timeout_keep_alive_handler",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol._unset_keepalive_if_required",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.shutdown",
)

#: How long a request that is under way may take to end when the server stops (s).
GRACE = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """What the clients of a server may use."""

    connections: int = 4096
    """Connections that are open at once. Those beyond are refused with 503."""
    head_bytes: int = 1024 * 1024
    """Bytes of a request's head. A longer one is refused with 431, as by Go's server."""
    head_seconds: int = 30
    """Seconds for a head, and for a body since its last byte. A slower client is refused with 408."""
    idle_seconds: int = 5
    """Seconds from a reply to the next request. After them the connection is closed."""
    backlog: int = 2048
    """Connections that wait to be accepted."""


class Serve(Protocol):
    """Serves an application as long as a context lasts."""

    def __call__(
        self, app: ASGIApp, where: Where, *, limits: Limits, state_of: StateOf, before_end: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """`before_end` is called when the server stops, so that requests which wait can be answered."""
        ...


def missing() -> list[str]:
    """Which of the insides this version of uvicorn has no longer."""
    return [inside for inside in INSIDES if not _exists(inside)]


def best_serve() -> Serve:
    """The quick server if this version of uvicorn has its insides, else the plain one."""
    if missing():
        return plain_serve
    from .uvicorn_quick import quick_serve  # noqa: PLC0415 - cannot be imported where the insides are missing

    return quick_serve


def options(where: Where, limits: Limits) -> dict[str, Any]:
    """Options of `uvicorn.Config` for both servers."""
    host, port = where if isinstance(where, tuple) else ("127.0.0.1", 0)
    return {
        "host": host,
        "port": port,
        "backlog": limits.backlog,
        "timeout_keep_alive": limits.idle_seconds,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
    }


def sockets_of(where: Where) -> list[socket.socket] | None:
    """The listening socket as uvicorn takes it, None if uvicorn is to listen itself."""
    return None if isinstance(where, tuple) else [where]


@asynccontextmanager
async def plain_serve(
    app: ASGIApp,
    where: Where,
    *,
    limits: Limits,
    state_of: StateOf,  # noqa: ARG001 - a `Serve`; the public names do not lead to a connection
    before_end: Callable[[], None],
) -> AsyncIterator[None]:
    """Serve by uvicorn's documented names."""
    server = uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1, **options(where, limits)))
    serving = asyncio.create_task(server.serve(sockets=sockets_of(where)))
    while not (server.started or serving.done()):  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        before_end()
        server.should_exit = True
        await serving


def _exists(inside: str) -> bool:
    module, _, path = inside.partition(":")
    try:
        value = import_module(module)
        for name in path.split("."):
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return False
    return True
