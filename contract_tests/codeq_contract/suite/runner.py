"""Runs cases: an attempt, another with longer times when it could not tell, and those that wait side by side."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from _pytest.outcomes import OutcomeException

from codeq_contract.driver import UnsupportedError
from codeq_contract.driver.clocks import RealClock
from codeq_contract.recordings.times import SECOND
from codeq_contract.report.verdicts import GROUPS, InconclusiveError
from codeq_contract.suite.case_context import Contract
from codeq_contract.suite.cleanup import leave_tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from codeq_contract.driver import Driver

_MOST_ATTEMPTS = 3

#: What lets a target have a feature.
FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "admin": "an admin's token gives it",
        "clean_up": "--yes gives it, and lets the server delete tasks of anyone",
        "known_settings": "the server's settings in a --config file give it",
        "many_workers": "tokens of worker2 and worker3 give it",
        "minting": "only servers that the suite starts believe its tokens",
        "mere_producer": "the producer is an admin as well",
        "tenants": "tokens of other_producer and other_worker give it",
        "variants": "only the suite's own servers can be set up otherwise",
        "webhooks": "--webhook-advertise gives it",
    }
)

#: Most cases of these wait for something nearly all of their time.
WAITING_GROUPS = frozenset({"timed", "webhooks"})


@dataclass(frozen=True, slots=True)
class Attempts:
    """What came of a case: its last attempt, what that ended with unless it passed, and how long they all took."""

    contract: Contract
    number: int
    seconds: float
    error: BaseException | None
    #: Tasks that could not be ended on somebody else's server, by id, with their commands.
    left_behind: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Runner:
    """Runs the cases of one session on one driver."""

    driver: Driver
    #: Is told, in whatever thread, the id of each case that waited and is over.
    on_over: Callable[[str], None] = field(default=lambda _: None)
    #: As in `Attempts`, of all cases.
    left_behind: dict[str, str] = field(default_factory=dict)
    _side_by_side: dict[str, Future[Attempts]] = field(default_factory=dict)
    _threads: ThreadPoolExecutor | None = None

    def run(self, item: pytest.Function, all_items: Sequence[pytest.Item]) -> Attempts:
        """Run a case. Where waiting takes time, the first of those that wait starts all of them."""
        if not (self.driver.in_real_time and waits(item)):
            return self._run(item)
        if not self._side_by_side:
            self._start([each for each in all_items if isinstance(each, pytest.Function) and waits(each)])
        return self._side_by_side[item.nodeid].result()

    def _start(self, waiting: Sequence[pytest.Function]) -> None:
        self._threads = threads = ThreadPoolExecutor(len(waiting), thread_name_prefix="case")
        for item in waiting:
            self._side_by_side[item.nodeid] = threads.submit(self._run_beside, item)

    def end(self) -> None:
        """Let no case wait any more; on somebody else's server, see those that were begun leave it tidy."""
        if self._threads is not None:
            self.driver.clock.call_off()
            self._threads.shutdown(wait=self.driver.start_other is None, cancel_futures=True)

    def _run_beside(self, item: pytest.Function) -> Attempts:
        attempts = self._run(item)
        self.on_over(item.nodeid)
        return attempts

    def _run(self, item: pytest.Function) -> Attempts:
        attempts = run_case(item, self.driver)
        self.left_behind.update(attempts.left_behind)
        return attempts


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


def _lacking(features: Sequence[str]) -> str:
    """Why a case is unsupported, and what would change that."""
    hints = "; ".join(FEATURES[feature] for feature in features if FEATURES.get(feature))
    return f"the target has no {', '.join(features)}{f' ({hints})' if hints else ''}"


def run_case(item: pytest.Function, driver: Driver) -> Attempts:
    """Try a case until an attempt can tell; errors are part of the answer."""
    missing = missing_features(item, driver)
    if missing:
        return Attempts(Contract(driver), 0, 0, UnsupportedError(_lacking(missing)))
    stopwatch = RealClock()
    began, number, scale = stopwatch.now(), 1, 1
    left: dict[str, str] = {}
    while True:
        contract = Contract(driver, scale)
        error = _attempt(item, contract, left)
        # A request may be lost by chance, but not three times.
        lost = error is not None and any(not exchange.reply.status for exchange in contract.transcript)
        if number == _MOST_ATTEMPTS or not (lost or isinstance(error, InconclusiveError)):
            return Attempts(contract, number, (stopwatch.now() - began) / SECOND, error, left)
        number, scale = number + 1, scale * 2


def _first(error: BaseException) -> BaseException:
    """The first of several errors that came as one."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _attempt(item: pytest.Function, contract: Contract, left: dict[str, str]) -> BaseException | None:
    """What an attempt raised, or None; what it left behind goes into `left`."""
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params if callspec is not None else {}
    try:
        item.obj(contract=contract, **parameters)
    except (Exception, OutcomeException) as raised:  # noqa: BLE001 - whatever it was, the report shows it
        return _first(raised)
    else:
        return None
    finally:
        left |= leave_tidy(contract)
