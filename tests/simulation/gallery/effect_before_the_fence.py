"""A worker that charges first, and asks afterwards whether it still had the lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .api import serve, work

if TYPE_CHECKING:
    from .api import Api, Charge, Task

LESSON = "A heartbeat after the charge finds out too late that the lease was lost: ask before it, and charge at once."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _charge_and_ask)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _ask_and_charge)


async def _charge_and_ask(api: Api, task: Task, charge: Charge) -> None:
    await work(10, 50)
    charge(task.order, task=task.id, key=task.key)
    await api.renew(task)
    if task.is_held:
        await api.finish(task)


async def _ask_and_charge(api: Api, task: Task, charge: Charge) -> None:
    await work(10, 50)
    await api.renew(task)
    if task.is_held:
        charge(task.order, task=task.id, key=task.key)
        await api.finish(task)
