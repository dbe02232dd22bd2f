"""Tasks or queues as they are at one instant, read one by one while they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

ShownT = TypeVar("ShownT")


class _Item(Protocol):
    #: Called before the next change.
    before_change: Callable[[Any], None] | None


ItemT = TypeVar("ItemT", bound=_Item)


class FrozenItems(Generic[ItemT, ShownT]):
    """What `show` makes of each of some items at this instant. Iterate over it once.

    An item that changes before its turn is shown at once, before the change. Only one of these may be read at a time.
    """

    def __init__(self, items: Sequence[ItemT], show: Callable[[ItemT], ShownT]) -> None:
        self._items = items
        self._show = show
        #: What was made of items before they changed.
        self._early: dict[ItemT, ShownT] = {}
        before_change = self._show_early
        for item in items:
            item.before_change = before_change

    def __iter__(self) -> Iterator[ShownT]:
        try:
            for item in self._items:
                if item in self._early:
                    yield self._early.pop(item)
                else:
                    item.before_change = None
                    yield self._show(item)
        finally:
            self.close()

    def close(self) -> None:
        """Let the items that were not read change freely again."""
        before_change = self._show_early
        for item in self._items:
            # After the end of a reader that was cancelled, the next one may have begun.
            if item.before_change == before_change:
                item.before_change = None

    def _show_early(self, item: ItemT) -> None:
        item.before_change = None
        self._early[item] = self._show(item)
