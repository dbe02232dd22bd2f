"""A worker that NACKs the rest of its batch when it is told to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .api import Api
from .shutdown_drops_batch import abandon, work_in_batches

if TYPE_CHECKING:
    from .api import Charge, Task

LESSON = "A NACK counts as an attempt, so a few deployments make dead letters: abandon what was not begun."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        async for left in work_in_batches(api, charge):
            await asyncio.gather(*(_nack(api, task) for task in left))


async def right(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        async for left in work_in_batches(api, charge):
            await asyncio.gather(*(abandon(api, task) for task in left))


async def _nack(api: Api, task: Task) -> None:
    while task.is_held and await api.ask(f"/tasks/{task.id}/nack", delaySeconds=1, reason="stopping") is None:
        await asyncio.sleep(1)
