"""Quiet: how to know that everything a fake has set going in this event loop has come to rest."""

from __future__ import annotations

import asyncio

#: A task that never waits for anything, such as a spinning one, must not hold time up for ever.
_ROUNDS = 1000

#: One task wakes another by way of callbacks (``asyncio.wait`` has one, a connection that closes more), and in each of
#: the loop's rounds that this takes, all tasks seem to wait. So one such round is no rest yet.
_CALM = 6


async def let_tasks_run() -> None:
    """Let the loop run until each of its tasks waits for something: a socket, a timer, a parked poll."""
    this = asyncio.current_task()
    calm = 0
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
        calm = calm + 1 if all(_waits(task) for task in asyncio.all_tasks() if task is not this) else 0
        if calm == _CALM:
            return


def _waits(task: asyncio.Task[object]) -> bool:
    # anyio.wait_all_tasks_blocked asks the same, but sleeps for a tenth of a second when the answer is no.
    waiter = task._fut_waiter  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio has no public word for it
    return waiter is not None and not waiter.done()
