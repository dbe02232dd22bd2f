"""Leftovers: the ids of tasks that a clean-up has deleted, in the queue where each task was (P8)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Leftovers:
    """The ids that are left in a queue, by place. Those in its pending lists are there, without a task.

    A queue counts them as its own until a claim finds them. Those of dead letters stay.
    """

    #: With the due time (ns) of the task.
    delayed: set[tuple[int, str]] = field(default_factory=set)
    in_progress: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    def drop_due(self, now: int) -> int:
        """Drop the delayed ones that are due. Returns their number."""
        due = {entry for entry in self.delayed if entry[0] <= now}
        self.delayed -= due
        return len(due)
