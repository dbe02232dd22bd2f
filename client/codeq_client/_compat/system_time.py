"""The operating system's clocks: one that also counts while the machine is suspended."""

from __future__ import annotations

import time

# `time.monotonic` stands still while the machine is suspended, on Linux and on macOS. These clocks do not:
# CLOCK_BOOTTIME on Linux, CLOCK_MONOTONIC on macOS, where `time.monotonic` is another clock. Windows has neither.
_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def since_boot() -> float:
    """Return seconds since the machine was started."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
