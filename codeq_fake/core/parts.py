"""An ordered dict in short parts: a million values can be read as they are at one instant, without a copy of all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")

#: The most values of one part. A dict of Python is full then: one more value would double its memory.
_MOST = 340


class Parts(Generic[T]):
    """Values by id, in the order in which they came. The caller keeps the number of a value's part, to change it.

    A reader gets the parts themselves. A part that changes later is copied first, which is quick, since it is short.
    """

    __slots__ = ("_count", "_first", "_last", "_parts", "_shared")

    def __init__(self) -> None:
        #: By number. None is empty, except that the last one may be.
        self._parts: dict[int, dict[str, T]] = {0: {}}
        self._first = self._last = self._count = 0
        #: The numbers of those that a reader may have.
        self._shared: set[int] | None = None

    def __len__(self) -> int:
        return self._count

    def items(self, *, last_first: bool = False) -> Iterator[tuple[str, T]]:
        """The ids and values as they are now. They may be read while they change."""
        self._shared = set(self._parts)
        parts = [self._parts[number].items() for number in sorted(self._parts, reverse=last_first)]
        return chain.from_iterable(map(reversed, parts) if last_first else parts)

    def add(self, key: str, value: T) -> int:
        """Add a value at the end. Returns the number of its part."""
        if len(self._parts[self._last]) == _MOST:
            self._last += 1
            self._parts[self._last] = {}
        self._own_part(self._last)[key] = value
        self._count += 1
        return self._last

    def add_first(self, key: str, value: T) -> None:
        """Add a value before all others."""
        self._first -= 1
        self._parts[self._first] = {key: value}
        self._count += 1

    def replace(self, key: str, number: int, value: T) -> None:
        """Put a value in the place of another one, which must be there."""
        self._own_part(number)[key] = value

    def discard(self, key: str, number: int) -> T:
        """Remove and return a value, which must be there."""
        part = self._own_part(number)
        value = part.pop(key)
        self._count -= 1
        if not part and number != self._last:
            del self._parts[number]
            while self._first not in self._parts:
                self._first += 1
        return value

    def first_key(self) -> str:
        """The first id. There must be one."""
        return next(iter(self._parts[self._first]))

    def pop_first(self) -> T:
        """Remove and return the first value. There must be one."""
        return self.discard(self.first_key(), self._first)

    def _own_part(self, number: int) -> dict[str, T]:
        """The part of this number, to be changed: if a reader may have it, a copy takes its place first."""
        part = self._parts[number]
        if self._shared and number in self._shared:
            self._shared.remove(number)
            part = self._parts[number] = part.copy()
        return part
