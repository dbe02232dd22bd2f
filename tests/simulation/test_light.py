"""The light server and the light transport: programs see what they see with uvicorn and httpx's own transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import get_args

import httpx
import pytest

from codeq_client import CodeQ, Worker
from codeq_fake import faults
from codeq_fake.simulation import Host, Weather, World
from codeq_fake.simulation.runs import Outcome, run_once
from codeq_fake.simulation.server import ServerKind
from tests.simulation.support import COMMAND, PROGRAMS, twenty_tasks

CREATE = {"command": COMMAND, "payload": {}}
each_kind = pytest.mark.parametrize("server", get_args(ServerKind))


def client(host: Host, kind: ServerKind) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {host.producer_token}"}
    transport = host.transport() if kind == "light" else None
    return httpx.AsyncClient(base_url=host.codeq_url, headers=headers, timeout=20, transport=transport)


Seen = list[object]
Story = Callable[[World, httpx.AsyncClient, Seen], Awaitable[None]]


def seen(story: Story, server: ServerKind) -> Seen:
    """What a program on a host sees, and how its last request ends."""
    found: Seen = []

    async def test(world: World) -> None:
        found.clear()

        @world.process("shop", restart=False)
        async def _shop(host: Host) -> None:
            async with client(host, server) as http:
                try:
                    await story(world, http, found)
                except httpx.TransportError as error:
                    found.append(type(error).__name__)

        await asyncio.sleep(200)
        found.append(len(world.fake.tasks()))

    outcome = run_once(test, 1, server=server)
    assert outcome.violations == []
    return found


async def create(http: httpx.AsyncClient) -> int:
    return (await http.post("/v1/codeq/tasks", json=CREATE)).status_code


async def two_requests_and_a_pause(_: World, http: httpx.AsyncClient, found: Seen) -> None:
    found += [await create(http), await create(http)]
    await asyncio.sleep(30)  # the server closes the connection meanwhile
    found.append(await create(http))
    found.append((await http.get("/v1/codeq/tasks/none?a=%20b")).json())


async def requests_as_far_apart_as_a_connection_may_be_idle(_: World, http: httpx.AsyncClient, found: Seen) -> None:
    for _request in range(5):
        found.append(await create(http))
        await asyncio.sleep(5)


async def a_slow_connection(world: World, http: httpx.AsyncClient, found: Seen) -> None:
    world.wire("shop").delay(6)
    found.append(await create(http))


async def requests_side_by_side(_: World, http: httpx.AsyncClient, found: Seen) -> None:
    found += await asyncio.gather(*(create(http) for _ in range(5)))


async def a_lost_request(world: World, http: httpx.AsyncClient, found: Seen) -> None:
    found.append(await create(http))
    world.wire("shop").lose_request()
    await create(http)


async def a_lost_reply(world: World, http: httpx.AsyncClient, found: Seen) -> None:
    found.append(await create(http))
    world.wire("shop").lose_reply()
    await create(http)


async def a_reset(world: World, http: httpx.AsyncClient, found: Seen) -> None:
    found.append(await create(http))
    world.wire("shop").delay(3)
    world.at(world.now() + 2, world.wire("shop").reset)
    await create(http)


async def a_killed_server(world: World, http: httpx.AsyncClient, found: Seen) -> None:
    found.append(await create(http))
    world.wire("shop").delay(3)
    world.at(world.now() + 2, world.server.kill)
    await create(http)


async def a_server_that_is_down(world: World, http: httpx.AsyncClient, _: Seen) -> None:
    world.server.kill()
    await asyncio.sleep(1)
    await create(http)


async def a_cut(world: World, http: httpx.AsyncClient, found: Seen) -> None:
    found.append(await create(http))
    world.wire("shop").cut()
    await create(http)


async def a_cut_before_the_connection(world: World, http: httpx.AsyncClient, _: Seen) -> None:
    world.wire("shop").cut()
    await create(http)


async def a_proxy_that_answers(world: World, http: httpx.AsyncClient, found: Seen) -> None:
    world.server.answer(503, retry_after=5)
    reply = await http.post("/v1/codeq/tasks", json=CREATE)
    found += [reply.status_code, reply.headers["retry-after"], reply.text]


async def a_reply_that_is_dropped(world: World, http: httpx.AsyncClient, _: Seen) -> None:
    world.faults.activate([faults.drop_reply()])
    await create(http)


async def a_reply_that_is_cut(world: World, http: httpx.AsyncClient, _: Seen) -> None:
    world.faults.activate([faults.garble("cut")])
    await create(http)


async def a_connection_that_is_reset(world: World, http: httpx.AsyncClient, _: Seen) -> None:
    world.faults.activate([faults.reset()])
    await create(http)


STORIES: dict[Story, Seen] = {
    two_requests_and_a_pause: [202, 202, 202, {"error": "not found"}, 3],
    requests_as_far_apart_as_a_connection_may_be_idle: [202, 202, 202, 202, 202, 5],
    a_slow_connection: [202, 1],
    requests_side_by_side: [202, 202, 202, 202, 202, 5],
    a_lost_request: [202, "ReadError", 1],
    a_lost_reply: [202, "ReadError", 2],
    a_reset: [202, "ReadError", 2],
    a_killed_server: [202, "ReadError", 1],
    a_server_that_is_down: ["ConnectError", 0],
    a_cut: [202, "ReadTimeout", 1],
    a_cut_before_the_connection: ["ConnectTimeout", 0],
    a_proxy_that_answers: [503, "5", "<html><body>The proxy says no.</body></html>", 0],
    a_reply_that_is_dropped: ["RemoteProtocolError", 1],
    a_reply_that_is_cut: ["RemoteProtocolError", 1],
    a_connection_that_is_reset: ["ReadError", 0],
}


@each_kind
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_program_sees_the_same(story: Story, server: ServerKind) -> None:
    assert seen(story, server) == STORIES[story]


def outcome_in_weather(program: Callable[[Host], Awaitable[None]], seed: int) -> Outcome:
    async def test(world: World) -> None:
        await twenty_tasks(world, program, tasks=5)

    return run_once(test, seed, weather=Weather(), server="light")


async def codeq_worker(host: Host) -> None:
    async with CodeQ(host.codeq_url, worker_token=host.worker_token, transport=host.transport()) as codeq:
        worker = Worker(codeq, concurrency=2, lease=60, poll=10)

        @worker.handler(COMMAND)
        async def generate(_payload: object) -> dict[str, int]:
            await asyncio.sleep(20)
            return {"pages": 1}

        await worker.run()


@pytest.mark.slow
@pytest.mark.parametrize("program", [PROGRAMS["aiohttp"], codeq_worker])
def test_workers_complete_all_tasks_in_bad_weather(program: Callable[[Host], Awaitable[None]]) -> None:
    outcome = outcome_in_weather(program, 3)
    assert (outcome.error, outcome.failed) == (None, False)
    assert outcome.digest == outcome_in_weather(program, 3).digest


def test_bytes_that_are_no_request_end_the_connection() -> None:
    async def test(world: World) -> None:
        @world.process("shop", restart=False)
        async def _shop(_: Host) -> None:
            reader, writer = await asyncio.open_connection("codeq", 8080)
            writer.write(b"no request\r\n\r\n")
            assert await reader.read() == b""
            writer.close()

        await asyncio.sleep(10)

    assert not run_once(test, 1, server="light").failed
