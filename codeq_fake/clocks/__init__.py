"""The time of a fake: its clock, the event loop whose time jumps, and how to wait until nothing moves."""

from __future__ import annotations

from .clock import END_OF_TIME, Clock, EndOfTimeError, FollowsItsLoopError, Mode, TimeWentBackError
from .quiet import let_tasks_run
from .slices import in_slices
from .timers import Timer
from .virtual_clock import VirtualClock
from .virtual_loop import VirtualTimeLoop, run
from .wall_clock import WallClock


def make_clock(mode: Mode, *, start: int | None = None) -> Clock:
    """A clock that stands, or starts, at `start` (ns); the default is the machine's time.

    Raises ValueError for a mode that does not exist, as an ini file may name one.
    """
    match mode:
        case "auto":
            return VirtualClock(start=start)
        case "real" | "manual":
            return WallClock(mode, start=start)
    raise ValueError(f"clock: found {mode!r}, allowed are manual, auto and real")
