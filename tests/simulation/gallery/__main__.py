"""Searches the gallery on all cores: how many runs find each broken program, and whether the right ones survive.

Run `make gallery`.
"""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from statistics import median

import click

from codeq_fake.simulation.runs import run_once
from codeq_fake.simulation.weather import Weather
from tests.simulation.gallery.scenarios import SCENARIOS

#: The seeds of two searches are this far apart.
STRIDE = 100_000
#: How many runs of a right program a process does before it reports.
CHUNK = 25


def search(index: int, begin: int, runs: int) -> int | None:
    """How many runs it takes to find a broken program, or None if `runs` do not find it."""
    for n in range(runs):
        if run_once(SCENARIOS[index].broken, begin + n, weather=Weather()).failed:
            return n + 1
    return None


def failures(index: int, begin: int, runs: int) -> list[int]:
    """The seeds of runs that a right program does not survive."""
    seeds = range(begin, begin + runs)
    return [seed for seed in seeds if run_once(SCENARIOS[index].right, seed, weather=Weather()).failed]


@click.command()
@click.option("--searches", default=10, show_default=True, help="Searches for each broken program.")
@click.option("--most", default=200, show_default=True, help="Runs of a search.")
@click.option("--right", default=2000, show_default=True, help="Runs of each right program.")
@click.option("--only", default="", help="The name of one program.")
def main(searches: int, most: int, right: int, only: str) -> None:
    """Search all programs, print a table, and exit with 1 if a broken one was not found or a right one has failed."""
    chosen = [index for index, scenario in enumerate(SCENARIOS) if only in ("", scenario.name)]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        found = {i: [pool.submit(search, i, n * STRIDE, most) for n in range(searches)] for i in chosen}
        failed = {i: [pool.submit(failures, i, n, CHUNK) for n in range(0, right, CHUNK)] for i in chosen}
        print(f"{'program':26}{'runs needed (median, most)':>28}{f'right, failed of {right}':>28}")
        is_well = True
        for i in chosen:
            needed = [future.result() for future in found[i]]
            seeds = [seed for future in failed[i] for seed in future.result()]
            is_well = is_well and not seeds and None not in needed
            print(f"{SCENARIOS[i].name:26}{_shown(needed):>28}{', '.join(map(str, seeds[:5])) or '0':>28}", flush=True)
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
