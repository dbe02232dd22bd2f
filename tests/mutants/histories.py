"""Random histories of the fake, judged by the checker's laws. A clean fake breaks none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_contract.checker import Validity, check
from codeq_contract.driver import Setup
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.load import Load, record_load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from codeq_contract.checker import CheckResult

PROFILES = ("redis", "kvrocks-2.8", "kvrocks-2.9")


def histories(seeds: Iterable[int]) -> Iterator[CheckResult]:
    """The checker's report on a small load for each seed. The stores take turns."""
    targets = [InProcessTarget(profile) for profile in PROFILES]
    for seed in seeds:
        with targets[seed % len(targets)].start(Setup()) as driver:
            load = Load(tasks=30, seconds=10, drain=30, seed=seed)
            yield check(record_load(driver, load, SUITE_SETTINGS))


def laws_broken(seeds: Iterable[int]) -> dict[str, int]:
    """Each law that a history breaks, and the number of histories that break it."""
    broken: dict[str, int] = {}
    for report in histories(seeds):
        for law in {name for name, _ in report.violations}:
            broken[law] = broken.get(law, 0) + 1
        if report.validity is Validity.UNKNOWN:
            broken["in doubt"] = broken.get("in doubt", 0) + 1
    return broken
