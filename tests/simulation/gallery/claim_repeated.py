"""A worker that claims with a lease of one hour, and claims again when it has no reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .api import Api, charge_order, serve, work

if TYPE_CHECKING:
    from .api import Charge, Task

LESSON = "A claim whose reply was lost has taken a task for its whole lease: claim for a minute, and renew it."

HOUR = 3600


async def broken(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        while True:
            task = await api.claim(lease=HOUR)
            if task is not None:
                await _charge(api, task, charge)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, charge_order)


async def _charge(api: Api, task: Task, charge: Charge) -> None:
    await work()
    if task.is_held:
        charge(task.order, task=task.id, key=task.key)
        await api.finish(task)
