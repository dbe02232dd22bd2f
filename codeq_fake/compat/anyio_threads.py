"""The insides of anyio's worker threads. Not in `anyio` beside it, whose import takes a tenth of a start."""

from __future__ import annotations

import asyncio
import threading


def works_for(thread: threading.Thread, loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is a worker thread of anyio that runs something for a task of this loop."""
    idle = getattr(thread, "idle_workers", None)
    return idle is not None and getattr(thread, "loop", None) is loop and thread not in idle
