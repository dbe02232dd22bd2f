"""A worker that claims batches, and drops the rest of one when it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from .api import LEASE, Api, charge_order, renewing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .api import Charge, Task

LESSON = "Tasks that a stopped worker still holds wait for the end of their leases: abandon them before you exit."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        async for _ in work_in_batches(api, charge):
            pass


async def right(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        async for left in work_in_batches(api, charge):
            await asyncio.gather(*(abandon(api, task) for task in left))


async def work_in_batches(api: Api, charge: Charge) -> AsyncIterator[list[Task]]:
    """Work until SIGTERM. Yields what is left of each batch: tasks not begun, and those whose result had no answer."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while not stop.is_set():
        batch = await api.claim_batch(5)
        left = list(batch)
        async with renewing(api, *batch):
            for task in batch:
                if stop.is_set():
                    break
                if await charge_order(api, task, charge):
                    left.remove(task)
        yield left


async def abandon(api: Api, task: Task) -> None:
    """Give a task back, until that is answered or a lease's time is over.

    Also one whose lease seems to be over: the server may have renewed it without an answer.
    """
    until = asyncio.get_running_loop().time() + LEASE
    while asyncio.get_running_loop().time() < until and await api.ask(f"/tasks/{task.id}/abandon") is None:
        await asyncio.sleep(1)
