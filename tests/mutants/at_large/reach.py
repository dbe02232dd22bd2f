"""The reach of the cases: which of them execute a line of the fake, and what each costs."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import coverage
import pytest

from codeq_contract.plugin import SESSION
from tests.mutants.at_large.changes import FILES, Change
from tests.mutants.at_large.functions import import_rules
from tests.mutants.building import FAKE, import_again

#: The contexts of lines that run before the first case: on import, and when the server starts.
_IMPORT, _START = "import", "start"


@dataclass(frozen=True, slots=True)
class Reach:
    """What a run of all cases showed: by file and line the ids of the cases, and by case its seconds of CPU."""

    cases: Mapping[str, Mapping[str, Sequence[str]]]
    seconds: Mapping[str, float]
    is_known: bool = True

    @classmethod
    def unknown(cls, cases: Iterable[str]) -> Reach:
        """The reach if nothing was recorded: any case may reach any line."""
        return cls({}, dict.fromkeys(cases, 0.0), is_known=False)

    def is_imported(self, change: Change) -> bool:
        """Whether the change may show while the fake is imported."""
        return not self.is_known or _IMPORT in self._contexts(change)

    def of(self, changes: Iterable[Change]) -> list[str]:
        """The cases that the changes may influence; what runs before the first case influences all.

        The cheapest are first, but those that differ only in their parameters are far from each other.
        """
        cases = {context for change in changes for context in self._contexts(change)}
        if not self.is_known or not cases.isdisjoint({_IMPORT, _START}):
            cases = {*self.seconds}
        turns: Counter[str] = Counter()
        turn = {}
        for case in sorted(cases, key=lambda case: self.seconds[case]):
            test = case.partition("[")[0]
            turn[case] = turns[test]
            turns[test] += 1
        return sorted(turn, key=lambda case: turn[case])

    def _contexts(self, change: Change) -> set[str]:
        by_line = self.cases.get(change.file, {})
        return {context for line in change.lines for context in by_line.get(str(line), ())}


def record(items: Collection[pytest.Item]) -> Mapping[str, Mapping[str, object]]:
    """Run the cases and record the fields of their reach. The fake of this process is imported again."""
    signal.alarm(0)
    os.environ["COVERAGE_CORE"] = "ctrace"  # others see a line once, in its first case
    measured = coverage.Coverage(data_file=None, config_file=False, include=[str(FAKE / file) for file in FILES])
    measured.start()
    measured.switch_context(_IMPORT)
    import_again()
    import_rules()
    measured.switch_context(_START)
    next(iter(items)).config.stash[SESSION].begin()
    seconds = {}
    for item in items:
        measured.switch_context(item.nodeid)
        began = cpu_seconds()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        seconds[item.nodeid] = cpu_seconds() - began
    measured.stop()
    data = measured.get_data()
    files = {file: data.contexts_by_lineno(str(FAKE / file)) for file in FILES}
    return {"cases": files, "seconds": seconds}


def cpu_seconds() -> float:
    """The seconds of CPU that this process has taken."""
    times = os.times()
    return times.user + times.system
