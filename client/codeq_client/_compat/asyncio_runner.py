"""asyncio: recognise the handler of SIGINT that `asyncio.run` installs, which ends only the program's main task."""

from __future__ import annotations

import asyncio
from functools import partial


def is_of_runner(handler: object) -> bool:
    """Return whether a signal handler is that of `asyncio.Runner`."""
    return isinstance(handler, partial) and isinstance(getattr(handler.func, "__self__", None), asyncio.Runner)
