"""aiohttp: connect by `loop.create_connection`, and leave alone the connections of a parent process."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

_NEXT_ADDRESS_AFTER = 0.25
"""After how many seconds the next address of a host is tried as well (RFC 8305)."""


class Connector(aiohttp.TCPConnector):
    """Connections of one event loop, closed only by `close`.

    aiohttp's own destructor unregisters the sockets at the loop. In a forked process this would also unregister those
    of the parent, which has the same epoll instance.
    """

    def __del__(self, *_: Any) -> None:
        """Do nothing. The transports close their sockets."""


class LoopConnector(Connector):
    """Connects by a public method of the loop, which a loop with a simulated network replaces.

    aiohttp itself opens a socket first.
    """

    async def _wrap_create_connection(self, *args: Any, addr_infos: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - aiohttp's
        host, port = addr_infos[0][4][:2]
        kwargs["happy_eyeballs_delay"] = _NEXT_ADDRESS_AFTER
        return await self._wrap_existing_connection(*args, host, port, **kwargs)


class _NamesForLoop(AbstractResolver):
    """Leaves host names to `loop.create_connection`."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the name itself as the address."""
        return [ResolveResult(hostname=host, host=host, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Do nothing."""


def new_connector(**options: Any) -> Connector:
    """Return a connector for the running loop. uvloop tries one address at a time, so there aiohttp connects."""
    if isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop):
        return LoopConnector(resolver=_NamesForLoop(), use_dns_cache=False, **options)
    return Connector(use_dns_cache=False, **options)
