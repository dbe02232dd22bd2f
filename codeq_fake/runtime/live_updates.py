"""Who watches a fake live: told soon after something has changed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

#: How often a watcher looks whether something has changed, in real seconds.
_INTERVAL = 0.25

#: After so many looks without a change a watcher is told all the same: what it sees may have grown old unnoticed.
_QUIET = 12


class Watchers:
    """All that watch one fake. Nothing that happens at the fake has to tell them: they look."""

    def __init__(self) -> None:
        self._leaving: set[asyncio.Event] = set()

    async def watch(self, look: Callable[[], object]) -> AsyncGenerator[None]:
        """Yield at once, whenever ``look`` returns something new, and now and then; end when released."""
        leave = asyncio.Event()
        self._leaving.add(leave)
        seen: object = None
        unchanged = _QUIET
        try:
            while not leave.is_set():
                latest = look()
                unchanged += 1
                if latest != seen or unchanged > _QUIET:
                    seen, unchanged = latest, 0
                    yield
                with suppress(TimeoutError):
                    await asyncio.wait_for(leave.wait(), _INTERVAL)
        finally:
            self._leaving.discard(leave)

    def release(self) -> None:
        """Let every watcher go."""
        for leave in self._leaving:
            leave.set()
