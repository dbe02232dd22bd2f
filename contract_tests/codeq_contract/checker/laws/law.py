"""What a law is, and what breaks one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from codeq_contract.checker.events import Event
    from codeq_contract.checker.history import History


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that matters beside the events: when a lease ends, when a task is due."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Breach:
    """A task with which a law was broken, and as few events as show it.

    `race` is the one of the contract's races (section 18) that it looks like, if any.
    """

    task_id: str
    says: str
    events: tuple[Event, ...]
    race: str = ""
    marks: tuple[Mark, ...] = ()

    @property
    def last(self) -> int:
        """The moment by which all of it had happened."""
        return max(event.answered for event in self.events)


@dataclass(frozen=True, slots=True)
class Law:
    """A rule that every history of a right server keeps, however calls overlap and however long they take.

    `breaches` finds where a history does not; it misses some, for the sake of never being wrong. If the law
    `withstands_lost_claims`, a delivery that nobody saw cannot explain a breach.
    """

    name: str
    says: str
    clauses: str
    breaches: Callable[[History], Iterable[Breach]]
    withstands_lost_claims: bool = False
