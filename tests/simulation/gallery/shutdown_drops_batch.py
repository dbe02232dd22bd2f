"""A worker that claims batches, and drops the rest of one when it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from .api import Api, charge_order, renewing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .api import Charge, Task

LESSON = "Tasks that a stopped worker still holds wait for the end of their leases: abandon them before you exit."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        await work_in_batches(api, charge)


async def right(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        rest = await work_in_batches(api, charge)
        await asyncio.gather(*(abandon(api, task) for task in rest))


async def work_in_batches(api: Api, charge: Charge) -> Sequence[Task]:
    """Work until SIGTERM. Returns the claimed tasks that were not begun."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while not stop.is_set():
        batch = await api.claim_batch(5)
        async with renewing(api, *batch):
            while batch and not stop.is_set():
                await charge_order(api, batch.pop(0), charge)
        if batch:
            return batch
    return ()


async def abandon(api: Api, task: Task) -> None:
    """Give a task back, until that is answered or the lease is over."""
    while task.is_held and await api.ask(f"/tasks/{task.id}/abandon") is None:
        await asyncio.sleep(1)
