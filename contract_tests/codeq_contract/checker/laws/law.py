"""A law, and a violation of one: what all modules of this package share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from codeq_contract.checker.events import Event
from codeq_contract.checker.history import History
from codeq_contract.checker.waiting_periods import WaitingPeriod


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that matters beside the events: the end of a lease, the time at which a task is due."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A task with which a law was broken, and as few events as show it.

    `message` continues a sentence that begins with the task's id. `race` is the race of the contract (Z1 to Z5) that
    it looks like, if any.
    """

    task_id: str
    message: str
    events: tuple[Event, ...]
    race: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def complete_at(self) -> int:
        """The moment by which all of its events had happened."""
        return max(event.answered for event in self.events)


@dataclass(frozen=True, slots=True)
class Law:
    """A rule that every history of a correct server keeps, however calls overlap and however long they take.

    `find_violations` reports only what is certain, so it misses some. A law `ignores_lost_claims` if a delivery whose
    reply was lost cannot explain a violation.
    """

    name: str
    title: str
    clauses: str
    find_violations: Callable[[History], Iterable[Violation]]
    ignores_lost_claims: bool = False


def due_mark(period: WaitingPeriod) -> tuple[Mark, ...]:
    """The moment from which a claim must find a delayed task."""
    return (Mark(period.ready_by, "it can be claimed by then"),) if period.delayed else ()
