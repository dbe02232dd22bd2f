"""Our own client in bad weather: a shop and its workers lose no order, and charge each one once, under its lease.

`make client-weather` runs this with many more seeds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from codeq_client import CodeQ, Job, Task, TaskContext, Worker
from codeq_client.errors import RateLimited, ServerError, Unavailable, WaitTimeout
from codeq_fake.simulation import Host, Weather, World, simulate

COMMAND, ORDERS = "CHARGE", 6
Record = Callable[..., None]


@pytest.mark.slow(seconds=40)
@simulate(runs=100, weather=Weather(span=60))
async def test_each_order_is_charged_once_and_the_shop_hears_of_it(world: World) -> None:
    charges, reports = world.effects("charge"), world.effects("report")
    all_are_created = asyncio.Event()

    @world.process("worker", count=2)
    async def worker(host: Host) -> None:
        await run_worker(host.codeq_url, host.worker_token, charges.record)

    @world.process("shop")
    async def shop(host: Host) -> None:
        await run_shop(host.codeq_url, host.producer_token, reports.record, all_are_created)

    await all_are_created.wait()
    await world.settle()
    assert sorted(task.payload["order"] for task in world.fake.tasks()) == list(range(ORDERS))
    charges.assert_once()
    charges.assert_under_lease()
    first = next(task for task in world.fake.tasks() if task.payload["order"] == 0)
    assert reports.counted() or first.status != "COMPLETED"  # it may have been lost by the server (Z2)


async def run_worker(base_url: str, token: str, charge: Record) -> None:
    """A worker as the client's guide has it."""
    async with CodeQ(base_url, worker_token=token) as codeq:
        worker = Worker(codeq, concurrency=2, lease=30, poll=10)

        @worker.handler(COMMAND)
        async def handle(job: Job[Any], task: TaskContext) -> dict[str, Any]:
            order = job.payload["order"]
            await asyncio.sleep(random.uniform(2, 25))
            async with task.guard(5):
                charge(order, task=job.id, key=f"order-{order}")
            return {"order": order}

        await worker.run()


async def run_shop(base_url: str, token: str, report: Record, all_are_created: asyncio.Event) -> None:
    """Create all orders, each once, however often this process is started again; then wait for the first result."""
    async with CodeQ(base_url, producer_token=token) as codeq:
        tasks = [await create(codeq, order) for order in range(ORDERS)]
        all_are_created.set()
        await wait_for_result(codeq, tasks[0])
        report(0, key="order-0")
        await asyncio.Event().wait()


async def create(codeq: CodeQ, order: int) -> Task:
    """Create an order's task, as soon as the server answers."""
    while True:
        try:
            return await codeq.create(COMMAND, {"order": order}, idempotency_key=f"order-{order}", max_attempts=50)
        except (Unavailable, ServerError, RateLimited):
            await asyncio.sleep(1)


async def wait_for_result(codeq: CodeQ, task: Task) -> None:
    """Wait until a task is completed."""
    while True:
        try:
            await codeq.wait_for_result(task.id)
        except (Unavailable, ServerError, RateLimited, WaitTimeout):
            await asyncio.sleep(1)
        else:
            return
