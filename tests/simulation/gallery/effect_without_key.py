"""A worker on `codeq_client` that charges without an idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import codeq_client

from .api import COMMAND, work

if TYPE_CHECKING:
    from .api import Charge

LESSON = "Every worker may die between a charge and its result, and another repeats it: charge with a key of the order."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await _run(base_url, token, charge, with_key=False)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await _run(base_url, token, charge, with_key=True)


async def _run(base_url: str, token: str, charge: Charge, *, with_key: bool) -> None:
    async with codeq_client.CodeQ(base_url, worker_token=token) as codeq:
        worker = codeq_client.Worker(codeq, concurrency=2)

        @worker.handler(COMMAND)
        async def handle(job: codeq_client.Job[Any]) -> dict[str, Any]:
            order = job.payload["order"]
            await work()
            charge(order, task=job.id, key=f"order-{order}" if with_key else "")
            await work(1, 3)  # writes the receipt
            return {"order": order}

        await worker.run()
