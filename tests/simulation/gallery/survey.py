"""A survey of the gallery: how many runs find each broken program, and how many the right ones survive.

It runs on several processes, and is a module apart from `__main__`, which spawned ones do not load.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from math import isfinite
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING

from codeq_fake.cli.search_display import SearchDisplay
from codeq_fake.simulation.runs import run_once
from codeq_fake.simulation.weather import Weather

from .scenarios import SCENARIOS

if TYPE_CHECKING:
    from rich.console import Console

#: The seeds of two searches are this far apart.
STRIDE = 100_000
#: How many runs of a right program a process does before the next program has its turn.
CHUNK = 5


@dataclass(frozen=True, slots=True)
class Survival:
    """How many runs of a right program there were, and the seeds of those that it did not survive."""

    runs: int
    failed: list[int]


@dataclass(frozen=True, slots=True)
class Finding:
    """What the survey found for one pair of programs.

    `needed` has the runs of each search for the broken one, None for a search that did not find it.
    """

    name: str
    needed: list[int | None]
    right: Survival

    @property
    def is_well(self) -> bool:
        """Whether the broken program was always found, and the right one has survived."""
        return None not in self.needed and not self.right.failed

    @property
    def needed_text(self) -> str:
        """The median and the largest number of runs."""
        if None in self.needed:
            return f"not found in {self.needed.count(None)} of {len(self.needed)}"
        counts = [count for count in self.needed if count is not None]
        return f"{median(counts):g}, {max(counts)}" if counts else "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How much to run. No run of a right program begins after `until` (s of the monotonic clock)."""

    searches: int
    most: int
    right: int
    until: float
    first_seed: int

    def findings(self, programs: Sequence[int], processes: int | None, console: Console) -> Iterator[Finding]:
        """The findings for these programs of the gallery, by their place in it. A console shows how far it is."""
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            found = self._begin_searches(pool, programs)
            survived = self._begin_right_ones(pool, programs)
            self._show_progress(survived, console)
            for index in programs:
                needed = [future.result() for future in found[index]]
                survivals = [future.result() for future in survived[index]]
                failed = [seed for survival in survivals for seed in survival.failed]
                right = Survival(sum(survival.runs for survival in survivals), failed)
                yield Finding(SCENARIOS[index].name, needed, right)

    def _show_progress(self, survived: Mapping[int, Sequence[Future[Survival]]], console: Console) -> None:
        """Show how many runs of right programs are over, and which seeds have failed, until all are over."""
        programs = {future: SCENARIOS[index].name for index, futures in survived.items() for future in futures}
        seconds = self.until - monotonic()
        with SearchDisplay(
            console,
            "gallery",
            most=self.right * len(survived),
            done_text="runs of right programs are over",
            seconds=seconds if isfinite(seconds) else None,
        ) as display:
            runs = 0
            for future in as_completed(programs):
                survival = future.result()
                runs += survival.runs
                for seed in survival.failed:
                    console.print(f"{programs[future]} fails with seed {seed}")
                display.show(runs)

    def _begin_searches(
        self, pool: ProcessPoolExecutor, programs: Sequence[int]
    ) -> dict[int, list[Future[int | None]]]:
        begins = [self.first_seed + n * STRIDE for n in range(self.searches)]
        return {index: [pool.submit(search, index, begin, self.most) for begin in begins] for index in programs}

    def _begin_right_ones(
        self, pool: ProcessPoolExecutor, programs: Sequence[int]
    ) -> dict[int, list[Future[Survival]]]:
        """Begin runs of all programs in turns, so that they share the time equally."""
        begun: dict[int, list[Future[Survival]]] = {index: [] for index in programs}
        for done in range(0, self.right, CHUNK):
            for index in programs:
                runs = min(CHUNK, self.right - done)
                begun[index].append(pool.submit(survive, index, self.first_seed + done, runs, self.until))
        return begun


def search(index: int, begin: int, runs: int) -> int | None:
    """How many runs it takes to find a broken program, or None if `runs` do not find it. Runs in another process."""
    for n in range(runs):
        if run_once(SCENARIOS[index].broken, begin + n, weather=Weather()).failed:
            return n + 1
    return None


def survive(index: int, begin: int, runs: int, until: float) -> Survival:
    """Run a right program so often, or until `until`. Runs in another process."""
    failed: list[int] = []
    for n in range(runs):
        if monotonic() >= until:
            return Survival(n, failed)
        if run_once(SCENARIOS[index].right, begin + n, weather=Weather()).failed:
            failed.append(begin + n)
    return Survival(runs, failed)
