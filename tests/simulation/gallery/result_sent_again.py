"""A worker that sends a result again after a timeout, and takes the refusal for an error."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .api import renewing, result_of, serve, work

if TYPE_CHECKING:
    from .api import Api, Charge, Task

LESSON = (
    "A result whose reply was lost is stored: the second one is refused with 409. Read the task before you give up."
)


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _send_until_accepted)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _send_until_answered)


async def _send_until_accepted(api: Api, task: Task, charge: Charge) -> None:
    async with renewing(api, task):
        await work()
        if not task.is_held:
            return
        charge(task.order, task=task.id, key=task.key)
        while (response := await api.ask(f"/tasks/{task.id}/result", **result_of(task))) is None:
            await asyncio.sleep(1)
        response.raise_for_status()


async def _send_until_answered(api: Api, task: Task, charge: Charge) -> None:
    async with renewing(api, task):
        await work()
        if not task.is_held:
            return
        charge(task.order, task=task.id, key=task.key)
        response = await api.finish(task)
        if response is not None and response.is_error:  # refused: is it stored, or does another worker have the task?
            await api.ask_for(f"/tasks/{task.id}")
