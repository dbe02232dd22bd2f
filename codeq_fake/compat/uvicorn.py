"""A server on uvicorn by its documented names: the plain one, and what the quick one shares with it.

The plain server uses only public names. It sends the head and the body of a reply separately, takes some tenths of a
second longer to start and to stop, and cannot break a connection: faults that should do so are answered with a 500. Of
the limits it holds only the number of connections and the time between two requests.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, Protocol

import uvicorn
from starlette.types import ASGIApp

#: A listening socket, or the host and port on which the event loop is to listen.
Where = socket.socket | tuple[str, int]
#: What the ASGI scope's `state` holds for the requests of a connection.
StateOf = Callable[[asyncio.Transport], dict[str, Any]]

#: How long a request that is under way may take to end when the server stops (s).
GRACE = 0.5


class Limits(NamedTuple):
    """What the clients of a server may use."""

    connections: int = 4096
    """Connections that are open at once. Those beyond are refused with 503."""
    head_bytes: int = 1024 * 1024
    """Bytes of a request's head. A longer one is refused with 431, as by Go's server."""
    head_seconds: int = 30
    """Seconds for a head, and for a body since its last byte. A slower client is refused with 408."""
    body_rate: int = 1024
    """Bytes of a body in a second, on average, after the first `head_seconds`. A slower client is refused with 408."""
    idle_seconds: int = 5
    """Seconds from a reply to the next request. Within a second after them the connection is closed."""
    backlog: int = 2048
    """Connections that wait to be accepted."""


class Serve(Protocol):
    """Serves an application as long as a context lasts."""

    def __call__(
        self, app: ASGIApp, where: Where, *, limits: Limits, state_of: StateOf, before_end: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """`before_end` is called when the server stops, so that requests which wait can be answered."""
        ...


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
    # It counts requests, too, and refuses from this number on.
    most = limits.connections + 1
    config = uvicorn.Config(app, timeout_graceful_shutdown=1, limit_concurrency=most, **options(where, limits))
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=sockets_of(where)))
    while not (server.started or serving.done()):  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        before_end()
        server.should_exit = True
        await serving
