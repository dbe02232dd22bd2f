"""Live updates: tell those who watch a fake that something has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

#: How often a watcher looks for a change, in real seconds.
INTERVAL = 0.25

#: After this many checks without a change a watcher is notified anyway: times on the page may be out of date.
_QUIET = 12


class LiveUpdates:
    """All watchers of one fake. They look for changes themselves, so that a change costs the fake nothing."""

    def __init__(self) -> None:
        #: Ordered, unlike a set.
        self._released: dict[asyncio.Event, None] = {}

    async def watch(self, look: Callable[[], object]) -> AsyncGenerator[None]:
        """Yield at once, whenever `look` returns something new, and now and then. Ends when released."""
        released = asyncio.Event()
        self._released[released] = None
        seen: object = None
        unchanged = _QUIET
        try:
            while not released.is_set():
                latest = look()
                unchanged += 1
                if latest != seen or unchanged > _QUIET:
                    seen, unchanged = latest, 0
                    yield
                with suppress(TimeoutError):
                    await asyncio.wait_for(released.wait(), INTERVAL)
        finally:
            del self._released[released]

    def release(self) -> None:
        """End all watches."""
        for released in self._released:
            released.set()
