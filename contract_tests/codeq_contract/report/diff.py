"""The parity of two runs: clause by clause, where their verdicts differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_contract.register import CLAUSES

if TYPE_CHECKING:
    from codeq_contract.report.results import Report


@dataclass(frozen=True, slots=True)
class Disparity:
    """A clause that two runs judge differently, with the cases that tell them apart."""

    clause: str
    title: str
    ours: str
    theirs: str
    cases: tuple[str, ...]


def disparities(ours: Report, theirs: Report) -> list[Disparity]:
    """Every clause whose verdicts differ, in the contract's order."""
    return [
        Disparity(clause, CLAUSES[clause], ours.clauses[clause], theirs.clauses[clause], _cases(clause, ours, theirs))
        for clause in CLAUSES
        if ours.clauses[clause] != theirs.clauses[clause]
    ]


def _cases(clause: str, ours: Report, theirs: Report) -> tuple[str, ...]:
    verdicts = {case.name: case.verdict for case in theirs.cases}
    return tuple(
        case.name for case in ours.cases if clause in case.clauses and verdicts.get(case.name) is not case.verdict
    )
