"""Watches the worker's event loop from another thread, and logs where a blocked loop is."""

from __future__ import annotations

import logging
import math
import sys
import threading
import traceback
from collections.abc import Callable

from codeq_client._api.clock import Clock

from .events import Event, LoopBlocked

_INTERVAL_SECONDS = 0.5

_log = logging.getLogger("codeq_client.worker")


class LoopMonitor:
    """Pings the event loop of the thread that creates it, and reports an answer that takes over `limit` seconds."""

    def __init__(self, clock: Clock, emit: Callable[[Event], None], limit: float = 1.0) -> None:
        self._clock = clock
        self._emit = emit
        self._limit = limit
        self._thread_id = threading.get_ident()
        self._pinged_at = math.inf
        self._reported = False

    def lag(self) -> float:
        """Return for how many seconds the loop's answer has been overdue; any thread may call this."""
        return max(0.0, self._clock.monotonic() - self._pinged_at)

    async def run(self, post: Callable[[Callable[[], None]], object]) -> None:
        """Watch for ever; `post` runs a callable in the watched loop."""
        while True:
            if math.isinf(self._pinged_at):
                self._pinged_at = self._clock.monotonic()
                post(self._answered)
            await self._clock.sleep(_INTERVAL_SECONDS)
            if self.lag() > self._limit and not self._reported:
                self._report(self.lag())

    def _answered(self) -> None:
        self._pinged_at = math.inf
        self._reported = False

    def _report(self, lag: float) -> None:
        self._reported = True
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - documented; its underscore marks special use
        stack = "".join(traceback.format_stack(frame)) if frame else ""
        _log.warning("the worker's event loop has been blocked for %.1f s, at:\n%s", lag, stack)
        self._emit(LoopBlocked(lag, stack))
