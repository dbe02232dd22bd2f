"""Trials: changes are built into the fake of a child, and the cases that they may influence run there until one fails.

Most changes are killed at once, by a case that killed a neighbour. What a few seconds do not decide is likely to
survive, and it would take all cases to be sure. So such changes are tried together: where no case fails on all of
them, each survives.
"""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil, inf
from typing import Any, NamedTuple, TypeVar

import pytest

from codeq_contract.clauses import FACTS
from codeq_contract.driver.clocks import RealClock
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.runner import facts_of
from tests.mutants import children, suite
from tests.mutants.at_large.cases import SURVIVES, UNDECIDED, Cases
from tests.mutants.at_large.changes import Change
from tests.mutants.at_large.functions import Functions
from tests.mutants.at_large.reach import Reach, record
from tests.mutants.at_large.results import kept_reach

_Key = TypeVar("_Key")

#: The store of a fake.
_USUAL_STORE = "kvrocks-2.8"

#: For how many seconds of CPU a change is tried alone, and how many are tried together then.
_ALONE, _TOGETHER = 2, 16


@dataclass(frozen=True, slots=True)
class Limits:
    """The moment after which no trial begins (by `RealClock.steady`), and how many run at once.

    Without `records` any case may be taken to reach a change.
    """

    end: float = inf
    processes: int | None = None
    records: bool = True

    @property
    def seconds(self) -> float:
        """The seconds that are left."""
        return (self.end - RealClock().steady()) / SECOND


class _Stage(NamedTuple):
    """The fake of some cases: its version and its store."""

    version: str
    store: str

    @classmethod
    def of(cls, facts: Sequence[str]) -> _Stage:
        """What the cases of these facts need."""
        return cls(suite.version_of(facts), suite.store_of(facts) or _USUAL_STORE)


def _stages() -> list[_Stage]:
    """What the cases of all facts need, the usual fake first."""
    usual = _Stage.of([])
    return sorted({_Stage.of([fact]) for fact in FACTS}, key=lambda stage: (stage != usual, stage))


def run(changes: Sequence[Change], limits: Limits, report: Callable[[Change, str], None]) -> None:
    """Try the changes, and report each with what killed it, or `SURVIVES`: no case on any version and store did."""
    survivors = changes
    for stage in _stages():
        if survivors:
            plugin = _Trials(survivors, stage, limits, report)
            printed = suite.run(suite.CASES, plugin, version=stage.version, store=stage.store)
            if not plugin.has_begun:
                raise RuntimeError(printed)
            survivors = plugin.survivors
    for change in survivors:
        report(change, SURVIVES)


class _Trials:
    """A pytest plugin that tries the changes where the cases would run."""

    def __init__(
        self, changes: Sequence[Change], stage: _Stage, limits: Limits, report: Callable[[Change, str], None]
    ) -> None:
        self.survivors: list[Change] = []
        self.has_begun = False
        self._changes, self._stage, self._limits, self._report = changes, stage, limits, report
        #: The cases that failed on earlier changes of a function and of a file, the latest first.
        self._killers: dict[str, list[str]] = defaultdict(list)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all changes with the cases that need this fake, or the usual one."""
        items = {item.nodeid: item for item in session.items if _Stage.of(facts_of(item)) == self._stage}
        cases = Cases(items, self._reach(items), Functions.imported())
        self.has_begun = True
        undecided = []
        alone = {change: partial(self._try_alone, cases, change) for change in self._changes}
        for change, result in self._results(alone):
            if result == UNDECIDED:
                undecided.append(change)
            else:
                self._note(change, result)
        together = {group: partial(_try_together, cases, group) for group in _groups(undecided)}
        for group, results in self._results(together):
            for change, result in zip(group, results, strict=True):
                self._note(change, result)
        return True

    def _results(self, jobs: Mapping[_Key, Callable[[], Any]]) -> Iterator[tuple[_Key, Any]]:
        return children.results(jobs, self._limits.seconds, self._limits.processes)

    def _try_alone(self, cases: Cases, change: Change) -> str:
        reached = cases.reach.of([change])
        likely = [*self._killers[_function(change)], *self._killers[change.file]]
        order = dict.fromkeys([*(case for case in likely if case in reached), *reached])
        return cases.first_failure([change], order, _ALONE)

    def _note(self, change: Change, result: str) -> None:
        if result == SURVIVES:
            self.survivors.append(change)
            return
        self._report(change, result)
        for killers in (self._killers[_function(change)], self._killers[change.file]):
            if result in killers:
                killers.remove(result)
            killers.insert(0, result)

    def _reach(self, items: Mapping[str, pytest.Item]) -> Reach:
        if not self._limits.records:
            return Reach.unknown(items)
        return Reach(**kept_reach("-".join(self._stage), partial(_recorded, items)))


def _recorded(items: Mapping[str, pytest.Item]) -> Mapping[str, Any]:
    recorded: Mapping[str, Any]
    [(_, recorded)] = children.results({"reach": partial(record, items.values())}, inf)
    return recorded


def _function(change: Change) -> str:
    return f"{change.file} {change.constant or change.scope}"


def _groups(changes: Sequence[Change]) -> list[tuple[Change, ...]]:
    """The changes in groups that are not too large. No two in a group are in the same function."""
    functions = Counter(map(_function, changes))
    number = max([*functions.values(), ceil(len(changes) / _TOGETHER)], default=0)
    ordered = sorted(changes, key=_function)
    return [tuple(ordered[first::number]) for first in range(number)]


def _try_together(cases: Cases, changes: Sequence[Change]) -> list[str]:
    """What kills each of the changes. A case that fails on all of them is tried on each, and the rest goes on after it.

    This is the job of a child, which has children.
    """
    signal.alarm(0)
    killers: dict[Change, str] = {}
    order = cases.reach.of(changes)
    while order and len(killers) < len(changes):
        rest = [change for change in changes if change not in killers]
        [(_, case)] = children.results({"": partial(cases.first_failure, rest, order)}, inf, 1)
        if case == SURVIVES:
            break
        # If they do not even start together, or end the process, each is tried with all cases.
        failed = [case] if case in order else order
        each = {change: partial(cases.first_failure, [change], failed) for change in rest}
        killers |= {change: result for change, result in children.results(each, inf, 1) if result != SURVIVES}
        order = order[order.index(failed[-1]) + 1 :]
    return [killers.get(change, SURVIVES) for change in changes]
