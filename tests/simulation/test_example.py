"""The example application in bad weather: its API on uvicorn, its workers, and a customer that orders until answered.

`codeq-fake simulate tests/simulation/test_example.py --runs 100000 --minutes 60` runs this with many more seeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
import uvicorn

from codeq_client import CodeQ
from codeq_fake.simulation import Host, Weather, World, simulate
from examples.starlette_app.api import make_api
from examples.starlette_app.worker import make

ORDERS, PORT = 5, 3000
ACCEPTED = 202


@pytest.mark.slow
@simulate(runs=5, weather=Weather(span=60))
async def test_what_the_api_accepts_is_a_task_that_ends(world: World) -> None:
    accepted = world.effects("accepted")
    all_are_accepted = asyncio.Event()

    @world.process("api")
    async def api(host: Host) -> None:
        await serve_api(CodeQ(host.codeq_url, producer_token=host.producer_token))

    @world.process("worker", count=2)
    async def worker(host: Host) -> None:
        async with CodeQ(host.codeq_url, worker_token=host.worker_token) as codeq:
            await make(codeq).run()

    @world.process("customer")
    async def customer(_: Host) -> None:
        await order_everything(accepted.record)
        all_are_accepted.set()
        await asyncio.Event().wait()

    await all_are_accepted.wait()
    await world.settle()
    assert {entry.what for entry in accepted.entries} <= {task.id for task in world.fake.tasks()}


async def serve_api(codeq: CodeQ) -> None:
    config = uvicorn.Config(make_api(codeq), host="0.0.0.0", port=PORT, access_log=False)  # noqa: S104 - in its container
    await uvicorn.Server(config).serve()


async def order_everything(record: Callable[[str], None]) -> None:
    """Order, one after another, each until it is accepted."""
    async with httpx.AsyncClient(base_url=f"http://api:{PORT}", timeout=40) as http:
        for number in range(ORDERS):
            record(await order(http, number))
            await asyncio.sleep(10)


async def order(http: httpx.AsyncClient, number: int) -> str:
    """The id of an order's task, once the order is accepted."""
    while True:
        try:
            answer = await http.post("/api/tasks/master", json={"jobId": f"job-{number}"})
        except httpx.HTTPError:
            await asyncio.sleep(1)
            continue
        if answer.status_code == ACCEPTED:
            return str(answer.json()["id"])
        await asyncio.sleep(1)
