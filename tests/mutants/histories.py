"""Random histories of the fake, held to the checker's laws: none is broken by a clean fake, however many there are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from codeq_contract.checker import Verdict, check
from codeq_contract.driver import Setup
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.load import Load, record_load
from tests.mutants.defects import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from codeq_contract.checker import Report

PROFILES = ("redis", "kvrocks-2.8", "kvrocks-2.9")


def histories(seeds: Iterable[int]) -> Iterator[Report]:
    """What the laws say of a small load for each seed, on one store after another."""
    targets = [InProcessTarget(profile) for profile in PROFILES]
    for seed in seeds:
        with targets[seed % len(targets)].start(Setup()) as driver:
            load = Load(tasks=30, seconds=10, drain=30, seed=seed)
            yield check(record_load(driver, load, SUITE_SETTINGS))


def laws_broken(seeds: Iterable[int]) -> dict[str, int]:
    """Each law that some history breaks, and how many do."""
    broken: dict[str, int] = {}
    for report in histories(seeds):
        for law in {name for name, _ in report.breaches}:
            broken[law] = broken.get(law, 0) + 1
        if report.verdict is Verdict.UNKNOWN:
            broken["in doubt"] = broken.get("in doubt", 0) + 1
    return broken


def main() -> None:
    """``python -m tests.mutants.histories COUNT [DEFECT]``: print the broken laws, one a line."""
    count, *defect = sys.argv[1:]
    for name in defect:
        named(name).apply()
    for law, number in sorted(laws_broken(range(int(count))).items()):
        print(law, number)  # noqa: T201 - its output


if __name__ == "__main__":
    main()
