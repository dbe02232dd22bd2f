"""A worker that compares the end of its lease with its own wall clock."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .api import serve, work

if TYPE_CHECKING:
    from .api import Api, Charge, Task

LESSON = (
    "The wall clocks of worker and server differ: count the lease from the moment of the claim, on a monotonic clock."
)


async def broken(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _trust_the_wall_clock)


async def right(base_url: str, token: str, charge: Charge) -> None:
    await serve(base_url, token, charge, _count_from_the_claim)


async def _trust_the_wall_clock(api: Api, task: Task, charge: Charge) -> None:
    await _call_the_bank()
    lease_ends = datetime.fromisoformat(task.fields["leaseUntil"])
    if datetime.now(UTC) < lease_ends - timedelta(seconds=2):
        charge(task.order, task=task.id, key=task.key)
        await api.finish(task)


async def _count_from_the_claim(api: Api, task: Task, charge: Charge) -> None:
    await _call_the_bank()
    if task.is_held:
        charge(task.order, task=task.id, key=task.key)
        await api.finish(task)


async def _call_the_bank() -> None:
    """One call in ten takes longer than the lease."""
    await (work(62, 68) if random.random() < 0.1 else work())
