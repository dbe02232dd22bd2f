"""The cases for one version and store, run in this process on a fake with changes until one fails."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from types import FrameType
from typing import NoReturn

import pytest

from codeq_contract.plugin import SESSION
from codeq_contract.report import CaseResult
from codeq_contract.report.results import Verdict
from tests.mutants import children
from tests.mutants.at_large.changes import Change, sources
from tests.mutants.at_large.functions import Functions, UnchangeableError
from tests.mutants.at_large.reach import Reach, cpu_seconds
from tests.mutants.building import build_in

SURVIVES = "SURVIVES"
UNDECIDED = "UNDECIDED"

#: A case that takes this many times its seconds of CPU and these seconds more does not end.
_TIMES, _MORE = 20, 1

_KILLING = frozenset({Verdict.FAILED, Verdict.ERROR})


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases by their ids, their reach, and the functions of the fake in this process."""

    items: Mapping[str, pytest.Item]
    reach: Reach
    functions: Functions

    def first_failure(self, changes: Sequence[Change], order: Iterable[str], seconds: float = inf) -> str:
        """Build in the changes for good, and run these cases until one fails. Returns its id, or `SURVIVES`.

        It is `UNDECIDED` if none failed in so many seconds of CPU, and some did not run.
        """
        try:
            self._build_in(changes)
            begin(self.items.values())
        except Exception as error:  # noqa: BLE001 - whatever it is, no server starts
            return f"no import: {type(error).__name__}"
        signal.signal(signal.SIGPROF, _interrupt)
        began = cpu_seconds()
        for case in order:
            if cpu_seconds() - began > seconds:
                return UNDECIDED
            if self._fails(case):
                return case
        return SURVIVES

    def _build_in(self, changes: Sequence[Change]) -> None:
        texts = sources(changes)
        if not any(map(self.reach.is_imported, changes)):
            with suppress(UnchangeableError):
                for file, text in texts.items():
                    self.functions.change(file, text)
                return
        build_in(texts)

    def _fails(self, case: str) -> bool:
        item, results = self.items[case], list[CaseResult]()
        item.config.stash[SESSION].on_result = results.append
        signal.alarm(children.PATIENCE)
        signal.setitimer(signal.ITIMER_PROF, _TIMES * self.reach.seconds[case] + _MORE)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        except KeyboardInterrupt:
            return True
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return any(result.verdict in _KILLING for result in results)


def begin(items: Iterable[pytest.Item]) -> None:
    """Start the server of these cases again: what changed in the fake may show while one starts."""
    next(iter(items)).config.stash[SESSION].begin()


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End a case that does not end by itself. Python's event loops let no other exception pass."""
    raise KeyboardInterrupt
