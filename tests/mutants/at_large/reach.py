"""The reach of the cases: which of them execute a line of the fake, and what each costs."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

from codeq_contract.plugin import SESSION
from tests.mutants.building import FAKE, import_again

#: The context of lines that run before the first case: on import, and when the server starts.
_BEFORE = ""


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

    def of(self, file: str, lines: Iterable[int]) -> list[str]:
        """The cases that one of the lines may influence; what runs before the first case influences all.

        The cheapest are first, but those that differ only in their parameters are far from each other.
        """
        by_line = self.cases.get(file, {})
        cases = {case for line in lines for case in by_line.get(str(line), ())}
        if _BEFORE in cases or not self.is_known:
            cases = {*self.seconds}
        turns: Counter[str] = Counter()
        turn = {}
        for case in sorted(cases, key=lambda case: self.seconds[case]):
            test = case.partition("[")[0]
            turn[case] = turns[test]
            turns[test] += 1
        return sorted(turn, key=lambda case: turn[case])


def record(items: Iterable[pytest.Item]) -> Mapping[str, Mapping[str, object]]:
    """Run the cases and record the fields of their reach. The fake of this process is imported again."""
    signal.alarm(0)
    os.environ["COVERAGE_CORE"] = "ctrace"  # others see a line once, in its first case
    measured = coverage.Coverage(data_file=None, config_file=False, include=[str(FAKE / "*")])
    measured.start()
    measured.switch_context(_BEFORE)
    import_again()
    seconds = {}
    for item in items:
        _ = item.config.stash[SESSION].runner  # starts the server once
        measured.switch_context(item.nodeid)
        began = _cpu_seconds()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        seconds[item.nodeid] = _cpu_seconds() - began
    measured.stop()
    data = measured.get_data()
    files = {Path(file).relative_to(FAKE).as_posix(): data.contexts_by_lineno(file) for file in data.measured_files()}
    return {"cases": files, "seconds": seconds}


def _cpu_seconds() -> float:
    """The seconds of CPU that this process has taken."""
    times = os.times()
    return times.user + times.system
