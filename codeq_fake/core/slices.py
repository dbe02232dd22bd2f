"""Long work in slices: a generator that yields where it may pause, and returns its result."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
RowT = TypeVar("RowT", bound=tuple[Any, ...])

#: Work that may pause at each `yield`. What it reads may change meanwhile.
Slices: TypeAlias = Generator[None, None, T]

#: How many tasks may be dealt with between two pauses, when each takes a microsecond or less.
BATCH = 1000
#: How many objects are freed between two pauses: a few of them may keep much memory from the system.
_FREED = 100


def at_once(work: Slices[T]) -> T:
    """The result of some work, done without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


def batches(items: Sequence[T], size: int = BATCH) -> Generator[Sequence[T], None, None]:
    """The items of a sequence in parts of `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def in_batches(items: Iterator[T]) -> Iterator[list[T]]:
    """The items of an iterator in lists of `BATCH`."""
    while batch := list(islice(items, BATCH)):
        yield batch


def emptied(*containers: dict[Any, Any] | list[Any] | deque[Any]) -> Slices[None]:
    """Empty some containers from their ends: to free a million objects at once would take a while."""
    for container in containers:
        remove = container.popitem if isinstance(container, dict) else container.pop
        while container:
            for _ in range(min(_FREED, len(container))):
                remove()
            yield


def in_order(rows: Sequence[RowT]) -> Slices[list[RowT]]:
    """The rows in a new list, as `sorted` returns them."""
    runs: list[list[RowT]] = []
    for batch in batches(rows):
        runs.append(sorted(batch))
        yield
    ordered: list[RowT] = []
    for row in merge(*runs):
        ordered.append(row)
        yield
    return ordered
