"""A worker that NACKs a task when it has no reply to its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from .api import charge_order, renewing, result_of, serve, work

if TYPE_CHECKING:
    from .api import Api, Charge, Task

LESSON = "No reply to a result is no failure of the task: it may be stored. Send it again, and do not NACK it."


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _nack_on_any_error)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, charge_order)


async def _nack_on_any_error(api: Api, task: Task, charge: Charge) -> None:
    async with renewing(api, task):
        await work()
        if not task.is_held:
            return
        try:
            charge(task.order, task=task.id, key=task.key)
            await api.post(f"/tasks/{task.id}/result", **result_of(task))
        except httpx.HTTPError as error:
            response = await api.ask(f"/tasks/{task.id}/nack", delaySeconds=1, reason=repr(error))
            if response is not None:
                response.raise_for_status()
