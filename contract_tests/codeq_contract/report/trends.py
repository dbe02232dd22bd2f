"""The page of several runs, the earliest first: what changed, rates of races, latencies and durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from codeq_contract.clauses import CLAUSES, FACTS, SECTIONS

from .latencies import OPERATIONS, Latency
from .page import contracts_of, rendered
from .results import GROUPS, NOT_CHECKED, NOT_IN_CONTRACT, Report

#: A verdict in a narrow column. Its word is the title of the cell, and in the legend.
SYMBOLS: Mapping[str, str] = MappingProxyType(
    {"pass": "✓", "fail": "✗", "error": "!", "inconclusive": "?", "known": "≈", "unsupported": "∅"}
)
#: In place of any other verdict, as all of these say that nothing was checked.
UNCHECKED = "·"

#: How many cases are in the table of durations.
_SLOWEST = 10


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a case failed by a known race in one run."""

    failed: int
    tries: int

    @property
    def part(self) -> float:
        """The part of the tries that failed."""
        return self.failed / self.tries


@dataclass(frozen=True)
class Trends:
    """Several runs. Rows of tables are dicts of what they are about, with a value for each run or None."""

    runs: Sequence[Report]

    @classmethod
    def of(cls, reports: Sequence[Report]) -> Trends:
        """The trends of these runs."""
        return cls(sorted(reports, key=lambda report: report.date))

    @property
    def changed_facts(self) -> Mapping[str, Sequence[str]]:
        """The facts on which the runs that checked them do not agree, with their verdicts."""
        return {fact: verdicts for fact, verdicts in self._facts.items() if len(_checked(verdicts)) > 1}

    @property
    def partly_checked(self) -> Sequence[str]:
        """The facts that only some of the runs checked."""
        return [fact for fact, verdicts in self._facts.items() if NOT_CHECKED in verdicts and _checked(verdicts)]

    @cached_property
    def _facts(self) -> Mapping[str, Sequence[str]]:
        return {fact: [_verdict(run, fact) for run in self.runs] for fact in FACTS}

    @property
    def clauses(self) -> Mapping[str, Sequence[str]]:
        """The verdicts on each clause."""
        return {clause: [run.clauses.get(clause, NOT_IN_CONTRACT) for run in self.runs] for clause in CLAUSES}

    @property
    def rates(self) -> Mapping[str, Sequence[Rate | None]]:
        """The rates of races, by the name of the case without its parameters, with which they were measured."""
        rates = [
            {case.name.partition("[")[0]: Rate(case.tries_failed, case.tries) for case in run.cases if case.tries}
            for run in self.runs
        ]
        names = sorted({name for of_run in rates for name in of_run})
        return {name: [of_run.get(name) for of_run in rates] for name in names}

    @property
    def latencies(self) -> Mapping[str, Sequence[Latency | None]]:
        """How fast each operation was, for those that any run has."""
        rows = {operation: [run.latencies.get(operation) for run in self.runs] for operation in OPERATIONS}
        return {operation: row for operation, row in rows.items() if any(row)}

    @property
    def slowest(self) -> Mapping[str, Sequence[float | None]]:
        """The durations of the cases that took longest in any run, in seconds."""
        durations = [{case.name: case.seconds for case in run.cases} for run in self.runs]
        longest = {name: max(of_run.get(name, 0) for of_run in durations) for of_run in durations for name in of_run}
        names = sorted(longest, key=lambda name: -longest[name])[:_SLOWEST]
        return {name: [of_run.get(name) for of_run in durations] for name in names}


def trends_page(reports: Sequence[Report]) -> str:
    """The page."""
    trends = Trends.of(reports)
    return rendered(
        "trends.html",
        trends=trends,
        contract=contracts_of(trends.runs),
        groups=GROUPS,
        sections=SECTIONS,
        titles=CLAUSES,
        facts=FACTS,
        symbols=SYMBOLS,
        unchecked=UNCHECKED,
    )


def _verdict(run: Report, fact: str) -> str:
    result = run.facts.get(fact)
    return NOT_CHECKED if result is None else result.verdict


def _checked(verdicts: Sequence[str]) -> set[str]:
    return {*verdicts} - {NOT_CHECKED}
