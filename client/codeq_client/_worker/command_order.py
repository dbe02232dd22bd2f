"""The order in which a worker claims its commands: by priority, and by their shares within a priority."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from .handlers import Handler


class CommandOrder:
    """Whose turn it is. The server tries commands in the listed order (K4). The keys of `handlers` are in lower case.

    Each task moves its command on by 1 / share, and the command that is the least far comes first (start-time fair
    queueing); of equals, the one that has waited longest. A command without tasks saves up no turns.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._turns = dict.fromkeys(handlers, 0.0)
        """How far each command is, in the order of the turns."""
        self._reached: defaultdict[int, float] = defaultdict(float)
        """By priority: how far the last command was when its tasks were claimed."""
        self._sort()

    def names(self) -> list[str]:
        """Return the commands, the one whose turn it is first."""
        return [self._handlers[key].command for key in self._turns]

    def note_claimed(self, command: str, tasks: int = 1) -> None:
        """Note that a claim got tasks of a command, whatever its upper and lower case (C2). Once for each command."""
        key = command.lower()
        if key not in self._turns:
            return
        handler = self._handlers[key]
        start = self._reached[handler.priority] = max(self._turns.pop(key), self._reached[handler.priority])
        self._turns[key] = start + tasks / handler.share
        self._sort()

    def _sort(self) -> None:
        """Sort by priority and turns; of equals the one that was claimed last stays last."""
        self._turns = dict(sorted(self._turns.items(), key=self._rank))

    def _rank(self, item: tuple[str, float]) -> tuple[int, float]:
        key, turn = item
        return -self._handlers[key].priority, turn
