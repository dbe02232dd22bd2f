"""One surprise, as it is told."""

from __future__ import annotations

from dataclasses import dataclass


class CodeQSurprise(UserWarning):
    """The real server does otherwise than its documents say, and than the code under test seems to expect."""


@dataclass(frozen=True, slots=True)
class Surprise:
    """What was ``said``, what is ``done`` instead, and by which clause.

    ``rule`` is a short name for it; ``request`` is the journal's number of the first that showed it, None for a
    setting.
    """

    rule: str
    clause: str
    said: str
    done: str
    request: int | None = None

    def __str__(self) -> str:
        return f"documented: {self.said}; done: {self.done} ({self.clause})"
