"""Tasks or queues as they are at one instant, read one by one while they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

ShownT = TypeVar("ShownT")


class Watch:
    """Tells a reader that a task or queue is about to change, so that the reader can still show it as it was.

    All tasks of a store share one, and all of its queues another one.
    """

    __slots__ = ("before_change", "reading")

    def __init__(self) -> None:
        #: Called with what is about to change; None while nothing is read.
        self.before_change: Callable[[Any], None] | None = None
        #: The number of the latest reading.
        self.reading = 0

    def tell(self, item: object) -> None:
        """Tell the reader, if there is one, that `item` is about to change."""
        if self.before_change is not None:
            self.before_change(item)


#: That of a task or queue that is in no store, and so is not read.
UNWATCHED = Watch()


class _Item(Protocol):
    #: The number of the latest reading that does not need it any more: it has been shown, or did not exist then.
    shown_in: int


ItemT = TypeVar("ItemT", bound=_Item)


class FrozenItems(Generic[ItemT, ShownT]):
    """What `show` makes of each of some items at this instant. Iterate over it once.

    An item that changes before its turn is shown at once, before the change. Only one of these may be read at a time.
    """

    def __init__(self, items: Iterable[ItemT], show: Callable[[ItemT], ShownT], watch: Watch) -> None:
        self._items = items
        self._show = show
        self._watch = watch
        watch.reading += 1
        self._number = watch.reading
        #: What was made of items before they changed.
        self._early: dict[ItemT, ShownT] = {}
        watch.before_change = self._show_early

    def __iter__(self) -> Iterator[ShownT]:
        number, early = self._number, self._early
        try:
            for item in self._items:
                if item in early:
                    yield early.pop(item)
                else:
                    item.shown_in = number
                    yield self._show(item)
        finally:
            self.close()

    def close(self) -> None:
        """Let the items that were not read change freely again."""
        # After the end of a reader that was cancelled, the next one may have begun.
        if self._watch.before_change == self._show_early:
            self._watch.before_change = None

    def _show_early(self, item: ItemT) -> None:
        """Show an item that is about to change, unless this reading has had it or began before it existed."""
        if item.shown_in != self._number:
            item.shown_in = self._number
            self._early[item] = self._show(item)
