"""Searches the gallery: how many runs find each broken program, and how many the right ones survive.

Run `make gallery`.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from statistics import median
from time import monotonic

import click

from codeq_fake.simulation.runs import run_once
from codeq_fake.simulation.weather import Weather
from tests.simulation.gallery.scenarios import SCENARIOS

#: The seeds of two searches are this far apart.
STRIDE = 100_000
#: How many runs of a right program a process does before it reports.
CHUNK = 25


@dataclass(frozen=True, slots=True)
class Survival:
    """How many runs of a right program there were, and the seeds of those that it did not survive."""

    runs: int
    failed: list[int]


def search(index: int, begin: int, runs: int) -> int | None:
    """How many runs it takes to find a broken program, or None if `runs` do not find it."""
    for n in range(runs):
        if run_once(SCENARIOS[index].broken, begin + n, weather=Weather()).failed:
            return n + 1
    return None


def survive(index: int, begin: int, runs: int, until: float) -> Survival:
    """Run a right program, until `until` (s of the monotonic clock)."""
    failed: list[int] = []
    for n in range(runs):
        if monotonic() >= until:
            return Survival(n, failed)
        if run_once(SCENARIOS[index].right, begin + n, weather=Weather()).failed:
            failed.append(begin + n)
    return Survival(runs, failed)


@click.command()
@click.option("--searches", default=10, show_default=True, help="Searches for each broken program.")
@click.option("--most", default=200, show_default=True, help="Runs of a search.")
@click.option("--right", default=2000, show_default=True, help="Runs of each right program.")
@click.option("--minutes", default=float("inf"), help="Begin no run of a right program after so many minutes.")
@click.option("--processes", type=click.IntRange(min=1), help="How many processes run. The default is all cores.")
@click.option("--first-seed", default=0, show_default=True, help="The seed of the first run.")
@click.option("--only", default="", help="The name of one program.")
def main(
    *, searches: int, most: int, right: int, minutes: float, processes: int | None, first_seed: int, only: str
) -> None:
    """Search all programs, print a table, and exit with 1 if a broken one was not found or a right one has failed."""
    until = monotonic() + minutes * 60
    chosen = [index for index, scenario in enumerate(SCENARIOS) if only in ("", scenario.name)]
    found: dict[int, list[Future[int | None]]] = {index: [] for index in chosen}
    survived: dict[int, list[Future[Survival]]] = {index: [] for index in chosen}
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for n in range(searches):
            for index in chosen:
                found[index].append(pool.submit(search, index, first_seed + n * STRIDE, most))
        for n in range(0, right, CHUNK):
            for index in chosen:
                runs = min(CHUNK, right - n)
                survived[index].append(pool.submit(survive, index, first_seed + n, runs, until))
        print(f"{'broken program':26}{'runs needed (median, most)':>28}{'runs of the right one':>24}{'failed':>10}")
        is_well = True
        for index in chosen:
            needed = [future.result() for future in found[index]]
            survivals = [future.result() for future in survived[index]]
            seeds = [seed for survival in survivals for seed in survival.failed]
            is_well = is_well and not seeds and None not in needed
            runs, failed = sum(survival.runs for survival in survivals), ", ".join(map(str, seeds[:5])) or "0"
            print(f"{SCENARIOS[index].name:26}{_shown(needed):>28}{runs:>24}{failed:>10}", flush=True)
    sys.exit(not is_well)


def _shown(needed: list[int | None]) -> str:
    """The median and the largest number of runs."""
    if not needed:
        return "-"
    if None in needed:
        return f"not found in {needed.count(None)} of {len(needed)}"
    counts = [count for count in needed if count is not None]
    return f"{median(counts):g}, {max(counts)}"


if __name__ == "__main__":
    main()
