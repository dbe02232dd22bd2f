"""Runs cases: an attempt, another with longer times when it could not tell, and those that wait side by side."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from _pytest.outcomes import OutcomeException

from codeq_contract.contract import Contract
from codeq_contract.driver import UnsupportedError
from codeq_contract.driver.clock import RealClock
from codeq_contract.moments import SECOND
from codeq_contract.parting import leave_tidy
from codeq_contract.verdicts import GROUPS, InconclusiveError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_contract.driver import Driver

_MOST_ATTEMPTS = 3

#: Most cases of these wait for something nearly all of their time.
WAITING_GROUPS = frozenset({"timed", "webhooks"})


@dataclass(frozen=True, slots=True)
class Attempts:
    """What came of a case: its last attempt, what that ended with unless it passed, and how long they all took."""

    contract: Contract
    number: int
    seconds: float
    error: BaseException | None


@dataclass(slots=True)
class Runner:
    """Runs the cases of one session on one driver."""

    driver: Driver
    _side_by_side: dict[str, Future[Attempts]] = field(default_factory=dict)

    def run(self, item: pytest.Function, all_items: Sequence[pytest.Item]) -> Attempts:
        """Run a case. Where waiting takes time, the first of those that wait starts all of them."""
        if not (self.driver.in_real_time and waits(item)):
            return run_case(item, self.driver)
        if not self._side_by_side:
            self._start([each for each in all_items if isinstance(each, pytest.Function) and waits(each)])
        return self._side_by_side[item.nodeid].result()

    def _start(self, waiting: Sequence[pytest.Function]) -> None:
        threads = ThreadPoolExecutor(len(waiting), thread_name_prefix="case")
        for item in waiting:
            self._side_by_side[item.nodeid] = threads.submit(run_case, item, self.driver)
        threads.shutdown(wait=False)


def groups_of(item: pytest.Item) -> list[str]:
    """The groups of a case; the register wants one."""
    return [group for group in GROUPS if item.get_closest_marker(group) is not None]


def group_of(item: pytest.Item) -> str:
    """The group of a case that the register has checked."""
    return groups_of(item)[0]


def clauses_of(item: pytest.Item) -> tuple[str, ...]:
    """The clauses that a case names."""
    return tuple(clause for mark in item.iter_markers("clause") for clause in mark.args)


def waits(item: pytest.Item) -> bool:
    """Whether the case is one of those that wait."""
    return not WAITING_GROUPS.isdisjoint(groups_of(item))


def missing_features(item: pytest.Item, driver: Driver) -> list[str]:
    """What the case needs and the target lacks."""
    needed = [feature for mark in item.iter_markers("needs") for feature in mark.args]
    return [feature for feature in needed if feature not in driver.features]


def run_case(item: pytest.Function, driver: Driver) -> Attempts:
    """Try a case until an attempt can tell; errors are part of the answer."""
    missing = missing_features(item, driver)
    if missing:
        return Attempts(Contract(driver), 0, 0, UnsupportedError(f"the target has no {', '.join(missing)}"))
    stopwatch = RealClock()
    began, number, scale = stopwatch.now(), 1, 1
    while True:
        contract = Contract(driver, scale)
        error = _attempt(item, contract)
        if number == _MOST_ATTEMPTS or not isinstance(error, InconclusiveError):
            return Attempts(contract, number, (stopwatch.now() - began) / SECOND, error)
        number, scale = number + 1, scale * 2


def _attempt(item: pytest.Function, contract: Contract) -> BaseException | None:
    """What an attempt raised, or None."""
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params if callspec is not None else {}
    try:
        item.obj(contract=contract, **parameters)
    except (Exception, OutcomeException) as raised:  # noqa: BLE001 - whatever it was, the report shows it
        return raised
    else:
        return None
    finally:
        leave_tidy(contract)
