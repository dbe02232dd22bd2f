"""Evidence: what the laws look at when a run is over, and what they say of it. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from codeq_fake.journal import Request
from codeq_fake.testing import TaskView

from .leases import Leases
from .log import LostError


@dataclass(frozen=True)
class Evidence:
    """What the laws look at. Moments are seconds since the start of the run, which is at `started_at` (ns).

    `calm_since` is the end of the bad weather, or None if the test did not wait for it. `running` are the hosts whose
    program runs at the `end`. `recording` has the history of the server as the lines of a recording.
    """

    end: float
    calm_since: float | None
    started_at: int
    requests: Sequence[Request]
    tasks: Sequence[TaskView]
    hosts: Sequence[str]
    running: Sequence[str]
    errors: Sequence[LostError]
    recording: Sequence[Mapping[str, Any]]

    @cached_property
    def leases(self) -> Leases:
        """Who held which task at which moment."""
        return Leases(self.requests, self.tasks, self.started_at)


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that was broken: its name, what happened, the tasks concerned.

    `race` is the race of the real server that explains it (Z1 to Z6), if any.
    """

    law: str
    text: str
    tasks: tuple[str, ...] = ()
    race: str = ""

    def __str__(self) -> str:
        explained = f" (explained by the race {self.race})" if self.race else ""
        return f"{self.law}: {self.text}{explained}"
