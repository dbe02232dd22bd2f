"""aiohttp: what an upgrade broke if one of these fails is said in its assertion."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import aiohttp
import pytest

from codeq_client._compat.aiohttp import Connector, LoopConnector, new_connector


class LoopWithoutNetwork(asyncio.SelectorEventLoop):
    """A loop that simulates its network, and has neither sockets nor names."""

    async def create_connection(self, _factory: Any, host: Any = None, port: Any = None, **_options: Any) -> Any:  # type: ignore[override]
        raise ConnectionRefusedError(f"simulated: {host}:{port}")


def test_a_loop_may_simulate_connections() -> None:
    async def main() -> str:
        async with aiohttp.ClientSession(connector=new_connector()) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as caught:
                await session.get("http://no-such-host.test:81/")
        return str(caught.value.os_error)

    with asyncio.Runner(loop_factory=LoopWithoutNetwork) as runner:
        seen = runner.run(main())
    assert seen == "simulated: no-such-host.test:81", "connections are opened past `loop.create_connection`"


def test_a_connector_that_is_dropped_touches_no_connection() -> None:
    closed = []

    class Watched(Connector):
        def _close_immediately(self, **_options: Any) -> list[Any]:
            closed.append(1)
            return []

    async def main() -> None:
        connector = Watched()
        connector._conns[object()].append(object())  # type: ignore[index,arg-type]  # noqa: SLF001 - aiohttp under test
        del connector
        gc.collect()

    asyncio.run(main())
    assert not closed, "a forked process would unregister its parent's connections at their epoll instance"
    assert issubclass(LoopConnector, Connector)
