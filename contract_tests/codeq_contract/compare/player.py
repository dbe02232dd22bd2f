"""Plays sessions on a pair of servers: one after another, or side by side where their waits take time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

from codeq_contract.recordings.times import SECOND

from .pair import Pair
from .session import Session
from .steps import Plan

#: How many sessions wait side by side.
_SIDE_BY_SIDE = 64


@dataclass(slots=True)
class Player:
    """Gives each session a name that nothing else has, in this run or an earlier one."""

    pair: Pair
    _run: str = field(default_factory=lambda: f"cq-{uuid4().hex[:8]}")
    _numbers: Iterator[int] = field(default_factory=count)

    def play(self, plans: Iterable[Plan]) -> Iterator[Session]:
        """Play the plans and give each session at its end. While one waits, others go on."""
        drawn = iter(plans)
        waiting: list[tuple[int, int, Session]] = []
        width = 1 if self.pair.is_virtual else _SIDE_BY_SIDE
        while True:
            if len(waiting) < width and (plan := next(drawn, None)) is not None:
                number = next(self._numbers)
                heapq.heappush(waiting, (self.pair.now, number, Session(self.pair, plan, f"{self._run}-{number:06}")))
            if not waiting:
                return
            moment, number, session = heapq.heappop(waiting)
            self.pair.wait_until(moment)
            pause = session.advance()
            if pause is None:
                yield session
            else:
                heapq.heappush(waiting, (self.pair.now + round(pause * SECOND), number, session))
