"""Connections: clients that send no more, that never read, that send heads without end, and that are too many."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.compat.uvicorn import Limits
from codeq_fake.compat.uvicorn_connection import Connection
from codeq_fake.compat.uvicorn_replies import Cycle
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.serving.server import listen, served
from codeq_fake.wire import BadBody
from tests.holds import garbage_kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.port, pytest.mark.timeout(30), pytest.mark.asyncio]

TASKS = "/v1/codeq/tasks"
TOKEN = {"authorization": "Bearer dev-token"}
LOOK = b"GET /_fake/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
MB = 1024 * 1024


def request(path: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


CLAIM = request(f"{TASKS}/claim", {"commands": ["A"], "waitSeconds": 30})


@asynccontextmanager
async def serving(limits: Limits | None = None) -> AsyncIterator[tuple[FakeServer, httpx.AsyncClient]]:
    runtime = FakeServer(Config(), WallClock("manual"))
    async with (
        served(application(runtime), runtime, listen("127.0.0.1", 0), limits=limits or Limits()) as url,
        httpx.AsyncClient(base_url=url, headers=TOKEN, timeout=5, trust_env=False) as http,
    ):
        yield runtime, http


class Client:
    """A client by hand: one connection."""

    def __init__(self, http: httpx.AsyncClient, *, buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.connect((http.base_url.host, http.base_url.port))
        self.socket.setblocking(False)  # noqa: FBT003 - the socket module's own way
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.socket, data)

    async def send_until_it_blocks(self, block: bytes, *, most: int) -> int:
        """Send until the server takes no more for 200 turns of the loop. Returns how many bytes it took."""
        sent = turns = 0
        while turns < 200 and sent < most:
            try:
                sent, turns = sent + self.socket.send(block), 0
            except BlockingIOError:
                turns += 1
            await asyncio.sleep(0.001)
        return sent

    def send_no_more(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    async def read(self, size: int = 65_536) -> bytes:
        """What comes next, b"" at the end."""
        async with asyncio.timeout(5):
            return await self._loop.sock_recv(self.socket, size)

    async def read_all(self) -> bytes:
        """All that comes until the server ends the connection."""
        data = bytearray()
        while part := await self.read():
            data += part
        return bytes(data)

    def close(self) -> None:
        self.socket.close()


async def parked(runtime: FakeServer, number: int) -> None:
    """Wait until so many long polls wait."""
    while runtime.waiters.parked != number:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)


def statuses(replies: bytes) -> list[int]:
    return [int(part[:3]) for part in replies.split(b"HTTP/1.1 ")[1:]]


# What stays of a connection that has ended.


PART_OF_A_TASK = request(TASKS, {"command": "A", "payload": "x" * 1000})[:500]
BAD = request(TASKS, [])
MANY_VALUES = request(f"{TASKS}/claim", ["x"] * 50_000)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(LOOK, id="a request"),
        pytest.param(LOOK * 3, id="three requests"),
        pytest.param(LOOK[:20], id="a part of a head"),
        pytest.param(PART_OF_A_TASK, id="a part of a body"),
        pytest.param(b"no HTTP\r\n\r\n", id="no HTTP"),
        pytest.param(BAD, id="a bad body"),
        pytest.param(MANY_VALUES, id="a bad body for the worker process", marks=pytest.mark.process),
        pytest.param(CLAIM, id="a long poll"),
        pytest.param(CLAIM + LOOK, id="a request behind a long poll"),
    ],
)
async def test_nothing_is_left_for_the_garbage_collector(sent: bytes) -> None:
    async with serving() as (runtime, http):
        with garbage_kept():
            gc.collect()
            client = Client(http)
            await client.send(sent)
            if sent == MANY_VALUES:
                await client.read()
            await parked(runtime, sent.count(b"waitSeconds"))
            await asyncio.sleep(0.01)
            client.close()
            async with asyncio.timeout(5):
                while left := [one for one in gc.get_objects() if isinstance(one, Connection | Cycle | BadBody)]:
                    left.clear()
                    await asyncio.sleep(0.01)


# Clients that send no more, but still read.


async def test_a_client_that_sends_no_more_gets_the_task_that_its_long_poll_waits_for() -> None:
    async with serving() as (runtime, http):
        with closing(Client(http)) as client:
            await client.send(CLAIM)
            await parked(runtime, 1)
            client.send_no_more()
            await asyncio.sleep(0.01)  # the server sees it
            created = await http.post(TASKS, json={"command": "A", "payload": 1})
            await http.post("/_fake/clock/advance", json={"seconds": 1})
            head, _, body = (await client.read_all()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert json.loads(body)["id"] == created.json()["id"]


async def test_a_client_that_sends_no_more_gets_the_end_of_its_advance() -> None:
    async with serving() as (runtime, http):
        for _ in range(3):
            await http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": "http://127.0.0.1:1/"})
        with closing(Client(http)) as client:
            await client.send(request("/_fake/clock/advance", {"seconds": 600}))
            client.send_no_more()
            reply = await client.read_all()
        assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(reply.partition(b"\r\n\r\n")[2])["fired"] > 0
        assert runtime.waiters.parked == 0


async def test_a_client_that_sends_no_more_gets_the_replies_to_all_requests_that_it_sent() -> None:
    async with serving() as (runtime, http):
        with closing(Client(http)) as client:
            await client.send(CLAIM + LOOK + CLAIM)
            client.send_no_more()
            await parked(runtime, 1)
            await http.post("/_fake/clock/advance", json={"seconds": 30})
            await parked(runtime, 1)
            await http.post("/_fake/clock/advance", json={"seconds": 30})
            assert statuses(await client.read_all()) == [204, 200, 204]


async def test_a_long_poll_with_a_request_behind_it_ends_with_its_client() -> None:
    async with serving() as (runtime, http):
        client = Client(http)
        await client.send(CLAIM + LOOK)
        await parked(runtime, 1)
        client.close()
        await parked(runtime, 0)


# Clients that never read.


@pytest.mark.slow
async def test_a_client_that_never_reads_is_not_read_from() -> None:
    async with serving() as (_, http):
        with closing(Client(http, buffer=4096)) as client:
            sent = await client.send_until_it_blocks(request(f"{TASKS}/claim", {}) * 1000, most=40 * MB)
            assert sent < 20 * MB  # what the buffers of the system hold
            assert (await http.get("/_fake/health")).status_code == 200


async def test_many_requests_in_a_row_are_answered_in_order_however_they_are_cut() -> None:
    async with serving() as (_, http):
        with closing(Client(http)) as client:
            whole = b"".join(
                request(TASKS, {"command": "A", "payload": "x" * (n * 37 % 3000), "priority": n % 10})
                for n in range(300)
            )
            sending = asyncio.create_task(client.send(whole))
            replies = bytearray()
            while replies.count(b"HTTP/1.1 202 ") < 300:
                replies += await client.read()
            await sending
            priorities = [part.partition(b',"')[0] for part in bytes(replies).split(b'"priority":')[1:]]
            assert [int(priority) for priority in priorities] == [n % 10 for n in range(300) if n % 10]


# Heads without end.


async def test_a_head_of_more_than_the_limit_is_refused() -> None:
    async with serving() as (_, http):
        with closing(Client(http)) as client:
            await client.send(LOOK[:-2] + b"X: " + b"y" * (2 * MB))
            reply = await client.read_all()
        assert reply.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert b"1,048,576 bytes" in reply


@pytest.mark.parametrize("sized", [0.9, 1.1])
async def test_the_size_of_a_head_counts_also_when_it_is_whole(sized: float) -> None:
    async with serving() as (_, http):
        with closing(Client(http)) as client:
            lines = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(int(sized * 1024)))
            await client.send(LOOK[:-2] + lines + b"\r\n")
            client.send_no_more()
            assert statuses(await client.read_all()) == [200 if sized < 1 else 431]


async def test_what_follows_a_body_in_chunks_is_limited_as_a_head_is() -> None:
    async with serving() as (_, http):
        with closing(Client(http)) as client:
            head = f"POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n"
            await client.send(f"{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n".encode())
            reading = asyncio.create_task(client.read_all())
            await client.send(b"X: " + b"y" * (2 * MB))
            assert statuses(await reading) == [431]


@pytest.mark.parametrize("size", [100_000, 3 * MB])
async def test_the_rest_of_a_body_that_was_refused_at_its_head_is_no_head(size: int) -> None:
    refused = request(TASKS, "x" * size).replace(b"dev-token", b"unknown")
    async with serving(Limits(idle_seconds=1)) as (_, http):
        with closing(Client(http)) as client:
            for _ in range(2):
                await client.send(refused[:500])
                assert statuses(await client.read()) == [401]
                await client.send(refused[500:] + LOOK)
                assert statuses(await client.read()) == [200]
            await client.send(refused[:500])
            assert statuses(await client.read_all()) == [401]  # the client never goes on


async def test_a_large_head_behind_a_request_takes_no_reply_away() -> None:
    async with serving() as (runtime, http):
        with closing(Client(http)) as client:
            await client.send(CLAIM)
            await parked(runtime, 1)
            await client.send(LOOK[:-2] + b"X: " + b"y" * (2 * MB))
            await http.post("/_fake/clock/advance", json={"seconds": 30})
            assert statuses(await client.read_all()) == [204, 431]


@pytest.mark.slow
async def test_a_client_that_does_not_go_on_is_not_waited_for() -> None:
    async def replies(client: Client, sent: bytes) -> list[int]:
        with closing(client):
            await client.send(sent)
            return statuses(await client.read_all())

    async def by_bytes(client: Client) -> list[int]:
        with closing(client):
            await client.send(LOOK[:-2] + b"X: ")
            reading = asyncio.create_task(client.read_all())
            while not reading.done():
                await client.send(b"y")
                await asyncio.sleep(0.05)
            return statuses(await reading)

    async def by_bytes_of_a_body(client: Client, parts: int, part: bytes) -> list[int]:
        """The client goes on, in so many parts, of which ten come in a second."""
        with closing(client):
            head = request(f"{TASKS}/claim", None).partition(b"Content-Length")[0]
            await client.send(head + b"Content-Length: %d\r\n\r\n" % (parts * len(part) + 1))
            reading = asyncio.create_task(client.read_all())
            for _ in range(parts):
                if not reading.done():
                    await client.send(part)
                    await asyncio.sleep(0.1)
            await client.send(b" ")
            return statuses(await reading)

    async with serving(Limits(head_seconds=1, idle_seconds=1)) as (_, http):
        nothing, half, second_half, half_a_body, empty_line, drip, slow_body, body = await asyncio.gather(
            replies(Client(http), b""),
            replies(Client(http), LOOK[:30]),
            replies(Client(http), LOOK + LOOK[:30]),
            replies(Client(http), CLAIM[:-5]),
            replies(Client(http), LOOK + b"\r\n"),
            by_bytes(Client(http)),
            by_bytes_of_a_body(Client(http), 40, b" "),
            by_bytes_of_a_body(Client(http), 30, b" " * 500),
        )
    assert (nothing, half, second_half) == ([], [408], [200, 408])
    assert (half_a_body, empty_line, drip) == ([408], [200], [408])
    assert (slow_body, body) == ([408], [400])  # white space alone is no JSON


# Too many clients.


async def test_a_connection_beyond_the_limit_is_refused_and_the_others_stay() -> None:
    async with serving(Limits(connections=5)) as (_, http):
        assert (await http.get("/_fake/health")).status_code == 200  # on the first one
        others = [Client(http) for _ in range(4)]
        for client in others:
            await client.send(LOOK)
            assert statuses(await client.read()) == [200]
        refused = [Client(http) for _ in range(100)]
        for client in refused[:20]:
            reply = await client.read_all()
            assert reply.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"--max-connections" in reply
        for client in (*refused, others.pop()):
            client.close()
        await asyncio.sleep(0.05)
        with closing(Client(http)) as welcome:
            await welcome.send(LOOK)
            assert statuses(await welcome.read()) == [200]
        for client in others:
            await client.send(LOOK)
            assert statuses(await client.read()) == [200]
            client.close()
