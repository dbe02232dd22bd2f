"""Waiting for quiet: until every task of the event loop waits for something."""

from __future__ import annotations

import asyncio

from codeq_fake.compat.asyncio import is_waiting

#: A task that never waits, such as one that spins, must not hold time up for ever.
_MOST_TURNS = 1000

#: How many turns in a row all tasks must wait. One task wakes up another by way of callbacks (`asyncio.wait` has one,
#: a connection that closes has more), and in each turn that such a callback takes, all tasks seem to wait.
_QUIET_TURNS = 6


async def let_tasks_run() -> None:
    """Let the loop run until each of its tasks waits: for a socket, a timer, or a parked long poll."""
    this = asyncio.current_task()
    quiet = 0
    for _ in range(_MOST_TURNS):
        await asyncio.sleep(0)
        quiet = quiet + 1 if all(is_waiting(task) for task in asyncio.all_tasks() if task is not this) else 0
        if quiet == _QUIET_TURNS:
            return
