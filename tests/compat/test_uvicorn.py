"""Canaries for the insides of uvicorn: each says what an upgrade has broken. And what holds when they are gone."""

from __future__ import annotations

import asyncio
import re
import time  # noqa: TID251 - how long a real server takes to end
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn.protocols.http.auto  # before a test takes away what it imports
import uvicorn.protocols.http.httptools_impl

from codeq_fake.cli.startup import limits_of
from codeq_fake.clocks import WallClock
from codeq_fake.compat import uvicorn_choice as compat
from codeq_fake.compat.uvicorn import Limits, plain_serve
from codeq_fake.compat.uvicorn_quick import quick_serve
from codeq_fake.faults import reset
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.serving.server import listen, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.port

TASKS = "/v1/codeq/tasks"
TOKEN = {"authorization": "Bearer dev-token"}

MISSING = "uvicorn has renamed what the quick server needs: the plain one serves now, which is slower"
STATE = "uvicorn no longer copies app_state into each scope: faults cannot break a connection any more"
ONE_WRITE = "uvicorn no longer writes through the transport of the protocol: each reply costs two system calls"
DATE = "uvicorn no longer takes the Date header from default_headers"


class Memory(asyncio.Transport):
    """A connection without a socket, which keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 1), "sockname": ("10.0.0.2", 80)})
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...


class NetworkOfItsOwn(asyncio.SelectorEventLoop):
    """An event loop that simulates a network: it listens without a socket, and hands out the protocol of the server."""

    protocol: Callable[[], asyncio.Protocol]

    async def create_server(self, protocol_factory: Any, *_: Any, **options: Any) -> Any:
        self.protocol = protocol_factory
        self.address = (options["host"], options["port"])
        server = await super().create_server(protocol_factory, "127.0.0.1", 0, start_serving=False)
        self.call_soon(server.close)
        return server


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-length", b"5"), (b"x-mark", scope["state"]["mark"])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"whole"})


def test_uvicorn_has_all_that_the_quick_server_needs() -> None:
    assert compat.missing() == [], MISSING
    assert compat.best_serve() is quick_serve


def test_a_request_knows_its_connection_and_its_reply_is_one_write_on_any_network() -> None:
    async def story() -> None:
        loop, transport = asyncio.get_running_loop(), Memory()
        assert isinstance(loop, NetworkOfItsOwn)
        where = ("fake.test", 80)
        async with quick_serve(
            _answer, where, limits=Limits(), state_of=lambda _: {"mark": b"mine"}, before_end=lambda: None
        ):
            assert loop.address == where
            protocol = loop.protocol()
            protocol.connection_made(transport)
            protocol.data_received(b"GET / HTTP/1.1\r\nHost: fake.test\r\n\r\n")
            for _ in range(10):
                await asyncio.sleep(0)
            protocol.connection_lost(None)
        assert len(transport.written) == 1, ONE_WRITE
        assert b"x-mark: mine\r\n" in transport.written[0], STATE
        assert (date := re.search(rb"\r\ndate: (.* GMT)\r\n", transport.written[0])), DATE
        assert abs(parsedate_to_datetime(date[1].decode()).timestamp() - time.time()) < 60
        assert transport.written[0].endswith(b"\r\n\r\nwhole")

    with asyncio.Runner(loop_factory=NetworkOfItsOwn) as runner:
        runner.run(story())


def test_a_request_that_does_not_wait_makes_no_task_and_no_further_turn_of_the_loop() -> None:
    async def story() -> None:
        loop, transport = asyncio.get_running_loop(), Memory()
        assert isinstance(loop, NetworkOfItsOwn)
        created: list[object] = []

        def create(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
            created.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **options)

        async with quick_serve(
            _answer, ("fake.test", 80), limits=Limits(), state_of=lambda _: {"mark": b""}, before_end=lambda: None
        ):
            protocol = loop.protocol()
            protocol.connection_made(transport)
            loop.set_task_factory(create)
            protocol.data_received(b"GET / HTTP/1.1\r\nHost: fake.test\r\n\r\n")
            await asyncio.sleep(0)
            assert len(transport.written) == 1
            assert created == []
            loop.set_task_factory(None)
            protocol.connection_lost(None)

    with asyncio.Runner(loop_factory=NetworkOfItsOwn) as runner:
        runner.run(story())


def test_where_the_insides_are_gone_the_public_names_of_uvicorn_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(uvicorn.protocols.http.httptools_impl, "HttpToolsProtocol")
    assert compat.missing() == [name for name in compat.INSIDES if "HttpToolsProtocol" in name]
    assert compat.best_serve() is plain_serve

    async def story() -> None:
        runtime = FakeServer(Config(), WallClock())
        async with httpx.AsyncClient(headers=TOKEN, timeout=5, trust_env=False) as http:
            async with served(application(runtime), runtime, listen("127.0.0.1", 0)) as url:
                created = await http.post(f"{url}{TASKS}", json={"command": "A", "payload": 1})
                claimed = await http.post(f"{url}{TASKS}/claim", json={"commands": ["A"]})
                assert claimed.json()["id"] == created.json()["id"]
                claim = {"commands": ["A"], "waitSeconds": 30}
                parked = asyncio.create_task(http.post(f"{url}{TASKS}/claim", json=claim))
                while runtime.waiters.parked == 0:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0)
                began = time.perf_counter()
            assert (await parked).status_code == 204
            assert time.perf_counter() - began < 5

    asyncio.run(story())


def test_there_the_number_of_connections_is_limited_and_the_start_says_what_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("max_connections", "max_callbacks", "max_header_bytes", "header_timeout", "min_body_rate")
    options: Any = SimpleNamespace(**dict.fromkeys(names))
    limits_of(options)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(compat, "INSIDES", ("uvicorn.server:Server.renamed",))
    limits_of(options)
    assert "limits neither heads nor slow clients" in capsys.readouterr().err

    async def statuses() -> list[int]:
        runtime = FakeServer(Config(), WallClock())
        async with (
            served(application(runtime), runtime, listen("127.0.0.1", 0), limits=Limits(connections=2)) as url,
            AsyncExitStack() as clients,
        ):
            found = []
            for _ in range(3):
                http = await clients.enter_async_context(httpx.AsyncClient(timeout=5, trust_env=False))
                found.append((await http.get(f"{url}/_fake/health")).status_code)
            return found

    assert asyncio.run(statuses()) == [200, 200, 503]


def test_there_a_fault_that_breaks_a_connection_is_an_error_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "INSIDES", ("uvicorn.server:Server.renamed",))

    async def story() -> None:
        runtime = FakeServer(Config(), WallClock())
        async with (
            served(application(runtime), runtime, listen("127.0.0.1", 0)) as url,
            httpx.AsyncClient(base_url=url, headers=TOKEN, timeout=5, trust_env=False) as http,
        ):
            runtime.fault_plan.add([reset()])
            assert (await http.get("/metrics")).status_code == 500

    asyncio.run(story())
