"""Trials: a change is built into the fake of a child, and the cases that it may influence run there until one fails."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from codeq_contract.plugin import SESSION
from codeq_contract.report import CaseResult
from codeq_contract.report.results import Verdict
from codeq_contract.suite.runner import facts_of
from tests.mutants import children, suite
from tests.mutants.at_large.changes import Change
from tests.mutants.at_large.reach import Reach, record
from tests.mutants.building import build_in

SURVIVES = "SURVIVES"

#: The store of a fake, and those that the cases of some facts need.
_STORES = ("kvrocks-2.8", "kvrocks-2.9", "redis")

#: A case that takes this many times its seconds of CPU and these seconds more does not end.
_TIMES, _MORE = 20, 3


@dataclass(frozen=True, slots=True)
class Limits:
    """For how many seconds trials begin, and how many run at once.

    Without `records` any case may be taken to reach a change.
    """

    seconds: float = float("inf")
    processes: int | None = None
    records: bool = True


def run(changes: Sequence[Change], limits: Limits, report: Callable[[Change, str], None]) -> None:
    """Try the changes, and report each with what killed it, or `SURVIVES`: no case on any store did."""
    survivors = changes
    for store in _STORES:
        if survivors:
            plugin = _Trials(survivors, store, limits, report)
            printed = suite.run(suite.CASES, plugin, store=store)
            if plugin.survivors is None:
                raise RuntimeError(printed)
            survivors = plugin.survivors
    for change in survivors:
        report(change, SURVIVES)


class _Trials:
    """A pytest plugin that tries the changes where the cases would run."""

    def __init__(
        self, changes: Sequence[Change], store: str, limits: Limits, report: Callable[[Change, str], None]
    ) -> None:
        #: None until the trials began.
        self.survivors: list[Change] | None = None
        self._changes, self._store, self._limits, self._report = changes, store, limits, report
        #: The cases that failed on earlier changes of a file, the latest first. Most changes fail the same ones.
        self._killers: dict[str, list[str]] = defaultdict(list)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all changes with the cases that need this store, or none."""
        self.survivors = []
        cases = {item.nodeid: item for item in session.items if _store(item) == self._store}
        reach = self._reach(cases)
        changes = {change.name: change for change in self._changes}
        jobs = {
            name: partial(_trial, change, cases, reach, self._killers[change.file]) for name, change in changes.items()
        }
        for name, result in children.results(jobs, self._limits.seconds, self._limits.processes):
            change = changes[name]
            if result == SURVIVES:
                self.survivors.append(change)
                continue
            self._report(change, result)
            killers = self._killers[change.file]
            if result in killers:
                killers.remove(result)
            killers.insert(0, result)
        return True

    def _reach(self, cases: Mapping[str, pytest.Item]) -> Reach:
        if not self._limits.records:
            return Reach.unknown(cases)
        [(_, recorded)] = children.results({"reach": partial(record, cases.values())}, float("inf"))
        return Reach(**recorded)


def _store(item: pytest.Item) -> str:
    """The store that a case needs, or that of a fake."""
    return suite.store_of(facts_of(item)) or _STORES[0]


def _trial(change: Change, cases: Mapping[str, pytest.Item], reach: Reach, killers: Sequence[str]) -> str:
    """Build in the change for good, and run the cases until one fails. Returns its id, or `SURVIVES`."""
    try:
        build_in(change.file, change.source)
    except Exception as error:  # noqa: BLE001 - whatever it is, no server starts
        return f"no import: {type(error).__name__}"
    results: list[CaseResult] = []
    reached = reach.of(change.file, change.lines)
    for case in dict.fromkeys([*(killer for killer in killers if killer in reached), *reached]):
        item = cases[case]
        item.config.stash[SESSION].on_result = results.append
        signal.alarm(children.PATIENCE)
        signal.setitimer(signal.ITIMER_PROF, _TIMES * reach.seconds[case] + _MORE)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if any(result.verdict in {Verdict.FAILED, Verdict.ERROR} for result in results):
            return case
    return SURVIVES
