"""A worker that renews a lease at the moment at which it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .api import LEASE, renewing, serve, work

if TYPE_CHECKING:
    from .api import Api, Charge, Task

LESSON = "A heartbeat after the lease's full length comes too late: send one at a third of it, so that two may be lost."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _renew_at_the_end)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _renew_in_time)


async def _renew_at_the_end(api: Api, task: Task, charge: Charge) -> None:
    async with renewing(api, task, interval=LEASE):
        await work(30, 100)
        charge(task.order, task=task.id, key=task.key)
        await api.finish(task)


async def _renew_in_time(api: Api, task: Task, charge: Charge) -> None:
    async with renewing(api, task, interval=LEASE / 3):
        await work(30, 100)
        if task.is_held:
            charge(task.order, task=task.id, key=task.key)
            await api.finish(task)
