"""Private names of asyncio: the queue of callbacks that are ready to run.

The order in which an event loop runs them is not public, and it is what a test of races has to change.
"""

from __future__ import annotations

import asyncio
import random


class ShuffledLoop(asyncio.SelectorEventLoop):
    """An event loop that can run its ready callbacks in a random order. The same seed gives the same order."""

    _ready: list[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self._random: random.Random | None = None

    def shuffle_by(self, seed: int) -> None:
        """Use the random order of `seed` from now on. 0 keeps the usual order."""
        self._random = random.Random(seed) if seed else None  # noqa: S311 - no secret depends on it

    def _run_once(self) -> None:
        if self._random is not None and len(self._ready) > 1:
            self._random.shuffle(self._ready)
        super()._run_once()  # type: ignore[misc]  # private
