"""Watches the worker's event loop from another thread, and shows where a blocked one stands."""

from __future__ import annotations

import logging
import math
import sys
import threading
import traceback
from typing import TYPE_CHECKING

from .events import Event, LoopBlocked

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_client._api.clock import Clock

_EVERY_SECONDS = 0.5

_log = logging.getLogger("codeq_client.worker")


class LoopWatch:
    """Asks the loop of the thread that makes it for a sign of life, and reports one that takes over `limit` seconds."""

    def __init__(self, clock: Clock, emit: Callable[[Event], None], limit: float = 1.0) -> None:
        self._clock = clock
        self._emit = emit
        self._limit = limit
        self._thread_id = threading.get_ident()
        self._asked_at = math.inf
        self._reported = False

    def lag(self) -> float:
        """Return for how many seconds the loop has owed its answer; any thread may ask."""
        return max(0.0, self._clock.monotonic() - self._asked_at)

    async def run(self, post: Callable[[Callable[[], None]], object]) -> None:
        """Watch for ever; `post` runs a callable in the watched loop."""
        while True:
            if math.isinf(self._asked_at):
                self._asked_at = self._clock.monotonic()
                post(self._answered)
            await self._clock.sleep(_EVERY_SECONDS)
            if self.lag() > self._limit and not self._reported:
                self._report(self.lag())

    def _answered(self) -> None:
        self._asked_at = math.inf
        self._reported = False

    def _report(self, lag: float) -> None:
        self._reported = True
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001  # the documented way to another thread's frame
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        _log.warning("the worker's event loop has been blocked for %.1f s, at:\n%s", lag, stack)
        self._emit(LoopBlocked(lag, stack))
