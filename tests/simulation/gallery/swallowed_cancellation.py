"""A worker that cancels a handler whose lease is lost, and a handler that takes this for an ordinary error."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from .api import LEASE, serve, work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .api import Api, Charge, Task

LESSON = (
    "A catch-all took the cancellation for a failed step and went on to charge: catch Exception, not BaseException."
)


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, partial(_until_lease_is_lost, handler=_catch_everything))


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, partial(_until_lease_is_lost, handler=_catch_errors))


async def _catch_everything(task: Task, charge: Charge) -> None:
    with suppress(BaseException):  # the mistake: without a voucher, the full price
        await work(20, 100)  # looks for a voucher
    charge(task.order, task=task.id, key=task.key)


async def _catch_errors(task: Task, charge: Charge) -> None:
    with suppress(Exception):
        await work(20, 100)
    if task.is_held:  # the process may have stood still
        charge(task.order, task=task.id, key=task.key)


async def _until_lease_is_lost(
    api: Api, task: Task, charge: Charge, *, handler: Callable[[Task, Charge], Awaitable[None]]
) -> None:
    """Run a handler, cancel it when the lease is lost, and send its result."""
    handling = asyncio.ensure_future(handler(task, charge))
    while not handling.done():
        await asyncio.wait((handling,), timeout=LEASE / 3)
        if not handling.done():
            await api.renew(task)
            if not task.is_held:
                handling.cancel()
    if not handling.cancelled() and task.is_held:
        await api.finish(task)
