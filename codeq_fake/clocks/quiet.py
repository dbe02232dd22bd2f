"""Waiting for quiet: until every task of the event loop waits for something."""

from __future__ import annotations

import asyncio

from codeq_fake.compat.asyncio import has_ready_callbacks, is_waiting

#: A task that never waits, such as one that spins, must not hold time up for ever.
_MOST_TURNS = 1000

#: How many turns in a row must be quiet. What one task writes to a socket wakes its reader in a later turn, and on
#: uvloop, which does not show its callbacks, all tasks seem to wait in each turn that a callback takes.
_QUIET_TURNS = 6


async def let_tasks_run() -> None:
    """Let the loop run until each of its tasks waits: for a socket, a timer, or a parked long poll."""
    loop = asyncio.get_running_loop()
    quiet = 0
    for _ in range(_MOST_TURNS):
        await asyncio.sleep(0)
        quiet = quiet + 1 if _is_quiet(loop) else 0
        if quiet == _QUIET_TURNS:
            return


def _is_quiet(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether nothing is about to run, other than the task that asks."""
    if isinstance(loop, asyncio.BaseEventLoop):  # a tenth of the time: it does not look at each task
        return not has_ready_callbacks(loop)
    this = asyncio.current_task()
    return all(is_waiting(task) for task in asyncio.all_tasks() if task is not this)
