"""Shared by the tests of the simulation: workers as people write them, on three HTTP clients."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

import aiohttp
import httpx

from codeq_client import CodeQ, Worker
from codeq_fake.simulation import Host, World
from codeq_fake.simulation.runs import Outcome, run_once

COMMAND = "GENERATE_MASTER"
_TASKS = "/v1/codeq/tasks"
_CLAIM = {"commands": [COMMAND], "leaseSeconds": 60, "waitSeconds": 10}
_RESULT = {"status": "COMPLETED", "result": {"pages": 1}}


async def httpx_worker(host: Host, transport: httpx.AsyncBaseTransport | None = None) -> None:
    headers = {"authorization": f"Bearer {host.worker_token}"}
    async with httpx.AsyncClient(base_url=host.codeq_url, headers=headers, timeout=40, transport=transport) as http:
        while True:
            try:
                reply = await http.post(f"{_TASKS}/claim", json=_CLAIM)
                if reply.status_code == 200:
                    task_id = reply.json()["id"]
                    for _ in range(2):
                        await asyncio.sleep(10 + random.random() * 10)
                        await http.post(f"{_TASKS}/{task_id}/heartbeat", json={"extendSeconds": 60})
                    await http.post(f"{_TASKS}/{task_id}/result", json=_RESULT)
                elif reply.status_code != 204:
                    await asyncio.sleep(1)
            except httpx.HTTPError:
                await asyncio.sleep(1)


async def light_worker(host: Host) -> None:
    await httpx_worker(host, host.transport())


async def aiohttp_worker(host: Host) -> None:
    headers = {"authorization": f"Bearer {host.worker_token}"}
    timeout = aiohttp.ClientTimeout(total=40)
    async with aiohttp.ClientSession(host.codeq_url, headers=headers, timeout=timeout) as http:
        while True:
            try:
                status, body = await _post(http, f"{_TASKS}/claim", _CLAIM)
                if status == 200:
                    task_id = json.loads(body)["id"]
                    for _ in range(2):
                        await asyncio.sleep(10 + random.random() * 10)
                        await _post(http, f"{_TASKS}/{task_id}/heartbeat", {"extendSeconds": 60})
                    await _post(http, f"{_TASKS}/{task_id}/result", _RESULT)
                elif status != 204:
                    await asyncio.sleep(1)
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(1)


async def _post(http: aiohttp.ClientSession, path: str, body: object) -> tuple[int, bytes]:
    async with http.post(path, json=body) as reply:
        return reply.status, await reply.read()


async def codeq_worker(host: Host) -> None:
    async with CodeQ(host.codeq_url, worker_token=host.worker_token) as codeq:
        worker = Worker(codeq, concurrency=2, lease=60, poll=10)

        @worker.handler(COMMAND)
        async def generate(_payload: object) -> dict[str, int]:
            await asyncio.sleep(20 + random.random() * 20)
            return {"pages": 1}

        await worker.run()


Program = Callable[[Host], Awaitable[None]]
PROGRAMS: dict[str, Program] = {"httpx": httpx_worker, "aiohttp": aiohttp_worker, "codeq_client": codeq_worker}


async def twenty_tasks(world: World, program: Program, *, tasks: int = 20) -> None:
    """Three workers, and tasks that come one a second."""
    world.process("worker", count=3)(program)
    for n in range(tasks):
        await world.enqueue(COMMAND, {"n": n}, max_attempts=50)
        await asyncio.sleep(1)
    await world.settle()


def run(test: Callable[[World], Awaitable[object]], seed: int = 1) -> Outcome:
    """Run a test in calm weather, and raise what it raised."""
    outcome = run_once(test, seed)
    if outcome.error is not None:
        raise outcome.error
    return outcome
