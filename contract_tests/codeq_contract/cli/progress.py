"""The display of `codeq-contract run`: progress bars on a terminal, lines elsewhere, and the outcome of each level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from codeq_contract.plugin import SESSION
from codeq_contract.report import CaseResult, Report
from codeq_contract.report.results import GROUPS, SHOWN_VERDICTS, Verdict
from codeq_contract.suite.runner import group_of

from .output import counted, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

_STYLES = {
    "pass": "green",
    "passed": "green",
    "fail": "bold red",
    "failed": "bold red",
    "error": "bold red",
    "inconclusive": "yellow",
    "partial": "yellow",
    "known": "yellow",
}

#: As many recordings are named in the outcome. The report names all.
_MOST_NAMES = 10


class Display:
    """A pytest plugin that replaces pytest's own display."""

    def __init__(self, console: Console) -> None:
        #: The report of a run that has come to its end.
        self.outcome: Report | None = None
        self._folder = ""
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[counts]}"),
            console=console,
        )
        self._rows: dict[str, TaskID] = {}
        self._groups: Mapping[str, str] = {}
        self._left: dict[str, set[str]] = {}
        self._counts = {group: Counter[str]() for group in GROUPS}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Print the errors of the collection."""
        if report.failed:
            self._console.print(report.longreprtext, markup=False, highlight=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Show the bars while cases run."""
        suite = session.config.stash[SESSION]
        bars: AbstractContextManager[object] = nullcontext()
        if not suite.options.dry_run and not session.testsfailed:
            self._console.print(suite.title, highlight=False)
            self._begin({item.nodeid: group_of(item) for item in session.items})
            suite.on_result, suite.runner.on_over = self._show, self._count
            if self._console.is_terminal:
                bars = self._bars
        with bars:
            return (yield)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Count a case, unless a thread has counted it already."""
        self._count(nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep the report, when the suite's plugin has finished it."""
        suite = session.config.stash[SESSION]
        self.outcome, self._folder = suite.outcome, suite.options.report

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Print why the run ends early."""
        reason = str(excinfo.value) or "interrupted; the running cases are being ended, which may take half a minute"
        self._console.print(reason, style="bold red", markup=False, highlight=False)

    def pytest_internalerror(self, excrepr: object) -> None:
        """Print the error that broke the suite."""
        self._console.print(str(excrepr), markup=False, highlight=False)

    def _begin(self, groups: Mapping[str, str]) -> None:
        self._groups = groups
        for case, group in groups.items():
            self._left.setdefault(group, set()).add(case)
        for group, cases in self._left.items():
            self._rows[group] = self._bars.add_task(group, total=len(cases), counts="")

    def _count(self, nodeid: str) -> None:
        """Count a finished case. Cases that wait side by side call this from their threads."""
        group = self._groups.get(nodeid)
        if group is not None and nodeid in self._left[group]:
            self._left[group].remove(nodeid)
            self._bars.advance(self._rows[group])
            if not self._left[group] and not self._console.is_terminal:
                self._console.print(f"{group}: all cases are over", highlight=False)

    def _show(self, result: CaseResult) -> None:
        """Print an unexpected verdict, and count all."""
        counts = self._counts[result.group]
        counts[result.verdict] += 1
        if result.verdict in SHOWN_VERDICTS:
            reason = escape(printable(result.reason.partition("\n")[0]))
            case = escape(f"{result.name} [{' '.join(result.facts or result.clauses)}]")
            self._console.print(f"{_styled(result.verdict)} {case}: {reason}", highlight=False)
        self._bars.update(self._rows[result.group], counts=_listed(counts))

    def print_outcome(self, report: Report) -> None:
        """Print the outcome of each level, with the number of cases that were left out, and where the report is."""
        _print_outcome(report, self._console)
        if self._folder:
            page = Path(self._folder, "report.html")
            click.echo(f"details: {page}; report.json, report.md and junit.xml are beside it")


def _print_outcome(report: Report, console: Console) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for group in GROUPS:
        table.add_row(group, _styled(report.levels[group]), _listed(report.counts(group)))
    console.print(table)
    for reason, cases in report.unsupported.items():
        names = ", ".join(case.name.partition("[")[2].removesuffix("]") for case in cases if case.group == "recorded")
        shown = f" ({names})" if 0 < len(cases) <= _MOST_NAMES and names else ""
        console.print(
            f"unsupported: {counted(len(cases), 'case')}, {printable(reason)}{shown}", highlight=False, markup=False
        )
    if report.left_behind:
        console.print(f"left behind: {counted(len(report.left_behind), 'delayed task')}, which no worker claims")
    if report.never_seen:
        console.print(f"never seen: {', '.join(report.never_seen)}", highlight=False)
    for line in report.races_summary():
        console.print(line, highlight=False, markup=False)
    for line in report.facts_summary():
        console.print(printable(line), markup=False, highlight=False)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[verdict]} {_styled(verdict)}" for verdict in Verdict if counts.get(verdict))


def _styled(word: str) -> str:
    return f"[{_STYLES[word]}]{word}[/]" if word in _STYLES else word
