"""The queue of what waits to be sent: only so much is under way at once, and only a part of it to one receiver."""

from __future__ import annotations

import re
from collections import Counter, deque
from typing import Generic, TypeVar

T = TypeVar("T")

#: A receiver gets one part in this number of what may be under way at once: one that never answers stops no others.
_RECEIVERS_AT_ONCE = 4

_RECEIVER = re.compile(r"[^/?#]*//([^/?#]*)")


class SendingQueue(Generic[T]):
    """First in, first out for each receiver, and the receivers take turns.

    A receiver gets one part in `_RECEIVERS_AT_ONCE` of what may be under way at once.
    """

    def __init__(self, most: int) -> None:
        """`most` is how much may be under way at once."""
        self._most = most
        self._most_of_one = max(1, most // _RECEIVERS_AT_ONCE)
        self._waiting: dict[str, deque[T]] = {}
        #: How much waits.
        self.waiting = 0
        self._under_way: Counter[str] = Counter()
        self._total = 0
        #: The receivers in the order of their turns: something waits for each, and it has less than its part.
        self._turns: dict[str, None] = {}

    @property
    def has_next(self) -> bool:
        """Whether `take` returns something."""
        return self._total < self._most and bool(self._turns)

    def add(self, url: str, item: T) -> None:
        """Add what is to be sent to this URL."""
        receiver = _receiver(url)
        self._waiting.setdefault(receiver, deque()).append(item)
        self.waiting += 1
        self._give_turn(receiver)

    def take(self) -> tuple[str, T] | None:
        """Take what is sent next, with its receiver for `done`. None if nothing may be sent now."""
        if not self.has_next:
            return None
        receiver = next(iter(self._turns))
        del self._turns[receiver]
        items = self._waiting[receiver]
        item = items.popleft()
        if not items:
            del self._waiting[receiver]
        self.waiting -= 1
        self._total += 1
        self._under_way[receiver] += 1
        self._give_turn(receiver)
        return receiver, item

    def done(self, receiver: str) -> None:
        """Something is no longer under way to this receiver."""
        self._total -= 1
        self._under_way[receiver] -= 1
        if not self._under_way[receiver]:
            del self._under_way[receiver]
        self._give_turn(receiver)

    def clear(self) -> list[T]:
        """Remove all that waits, and return it."""
        items = [item for waiting in self._waiting.values() for item in waiting]
        self._waiting.clear()
        self.waiting = 0
        self._turns.clear()
        return items

    def _give_turn(self, receiver: str) -> None:
        """Give a receiver a turn after all others, if it may have one. It keeps one that it has already."""
        if receiver in self._waiting and self._under_way[receiver] < self._most_of_one:
            self._turns.setdefault(receiver)


def _receiver(url: str) -> str:
    """The host and port of a URL."""
    match = _RECEIVER.match(url)
    return match[1] if match is not None else url
