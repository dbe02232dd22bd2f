"""A worker whose handler computes in the event loop, in which the heartbeats should be sent."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from .api import renewing, serve

if TYPE_CHECKING:
    from .api import Api, Charge, Task

LESSON = "A blocking handler stops the heartbeats in its event loop: compute on a thread (asyncio.to_thread)."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _compute_in_the_loop)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _compute_on_a_thread)


async def _compute_in_the_loop(api: Api, task: Task, charge: Charge) -> None:
    async with renewing(api, task):
        _compute()
        await asyncio.sleep(0.1)  # writes a file
        charge(task.order, task=task.id, key=task.key)
        await api.finish(task)


async def _compute_on_a_thread(api: Api, task: Task, charge: Charge) -> None:
    async with renewing(api, task):
        await asyncio.to_thread(_compute)
        await asyncio.sleep(0.1)
        if task.is_held:
            charge(task.order, task=task.id, key=task.key)
            await api.finish(task)


def _compute() -> None:
    """Stands for a computation: it keeps its thread busy."""
    time.sleep(random.uniform(20, 90))
