"""Tasks a second over HTTP in batches, against single calls."""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from .driver import CALLS_OF_A_BATCH, CALLS_OF_A_TASK, TASKS_OF_A_BATCH
from .rows import at_least
from .servers import fake

if TYPE_CHECKING:
    from .effort import Effort
    from .rows import Row
    from .servers import Server


def measure(effort: Effort) -> list[Row]:
    """The row. One server is loaded in both ways, in turns."""
    with fake() as server:
        # At first a server loads modules in the background.
        server.load(clients=1, seconds=effort.parked_seconds)
        rounds = [
            (_round(server, effort.seconds, in_batches=True), _round(server, effort.seconds, in_batches=False))
            for _ in range(effort.rounds)
        ]
    batches, single = zip(*rounds, strict=True)
    rates = [median(each.rate for each in way) for way in (batches, single)]
    costs = [1e6 * fmean(each.cpu_seconds for each in way) for way in (batches, single)]
    return [
        at_least(
            8,
            "tasks created, claimed and completed in batches, against single calls",
            median(in_batches.rate / alone.rate for in_batches, alone in rounds),
            remark="{:,.0f} against {:,.0f} tasks/s, ".format(*rates)
            + "{:.0f} against {:.0f} µs of server CPU".format(*costs),
        )
    ]


class _Round(NamedTuple):
    """The tasks a second of one round, and the server's CPU seconds for each."""

    rate: float
    cpu_seconds: float


def _round(server: Server, seconds: float, *, in_batches: bool) -> _Round:
    before = server.cpu_seconds()
    load = server.load(clients=1, seconds=seconds, in_batches=in_batches)
    tasks = load.requests * TASKS_OF_A_BATCH / CALLS_OF_A_BATCH if in_batches else load.requests / CALLS_OF_A_TASK
    return _Round(tasks / load.seconds, (server.cpu_seconds() - before) / tasks)
