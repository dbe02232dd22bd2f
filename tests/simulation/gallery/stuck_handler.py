"""A worker on `codeq_client` with a handler that may wait for ever, and keeps its lease meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import codeq_client

from .api import COMMAND, work

if TYPE_CHECKING:
    from .api import Charge

LESSON = "One stuck order takes a slot of each worker for ever, as its lease is renewed: give handlers a timeout."

#: The order whose bank never answers.
STUCK = 3


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await _run(base_url, token, charge, patience=None)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await _run(base_url, token, charge, patience=30)


async def _run(base_url: str, token: str, charge: Charge, *, patience: float | None) -> None:
    async with codeq_client.CodeQ(base_url, worker_token=token) as codeq:
        worker = codeq_client.Worker(codeq, concurrency=2)

        @worker.handler(COMMAND)
        async def handle(job: codeq_client.Job[Any]) -> dict[str, Any]:
            order = job.payload["order"]
            async with asyncio.timeout(patience):
                await _call_the_bank(order)
            charge(order, task=job.id, key=f"order-{order}")
            return {"order": order}

        await worker.run()


async def _call_the_bank(order: int) -> None:
    if order == STUCK:
        await asyncio.Event().wait()
    await work()
