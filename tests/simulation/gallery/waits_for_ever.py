"""A producer that waits for the result of each of its tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .api import COMMAND, Api, charge_order, serve

if TYPE_CHECKING:
    import httpx

    from .api import Charge, Task

LESSON = "A dead letter has no result and calls no webhook: look at the task's status, too."

ORDERS = 6


async def broken(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        for order in range(ORDERS):
            task_id = await _create(api, order)
            while (result := await api.ask_for(f"/tasks/{task_id}/result")) is None or result.status_code != 200:
                await asyncio.sleep(5)
            charge(("reported", order), task="", key=f"report-{order}")


async def right(base_url: str, token: str, charge: Charge) -> None:
    async with Api(base_url, token) as api:
        for order in range(ORDERS):
            task_id = await _create(api, order)
            while not _has_ended(await api.ask_for(f"/tasks/{task_id}")):
                await asyncio.sleep(5)
            charge(("reported", order), task="", key=f"report-{order}")


async def worker(base_url: str, token: str, charge: Charge) -> None:
    """A right worker that has to give up every third order."""
    await serve(base_url, token, charge, _charge_or_give_up)


async def _charge_or_give_up(api: Api, task: Task, charge: Charge) -> None:
    if task.order % 3 == 0:
        await api.ask(f"/tasks/{task.id}/nack", delaySeconds=1, reason="the card is expired")
    else:
        await charge_order(api, task, charge)


async def _create(api: Api, order: int) -> str:
    fields = {"payload": {"order": order}, "idempotencyKey": f"order-{order}"}
    while (created := await api.ask("/tasks", command=COMMAND, **fields)) is None:
        await asyncio.sleep(1)
    task_id: str = created.json()["id"]
    return task_id


def _has_ended(response: httpx.Response | None) -> bool:
    return response is not None and (
        response.status_code == 404 or response.json()["status"] in ("COMPLETED", "FAILED")
    )
