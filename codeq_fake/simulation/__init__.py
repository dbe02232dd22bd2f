"""A simulated world: the user's own processes, unmodified, on hosts and a network that fail by a seed.

`simulate` makes a test of it, `World` is what the test gets, `Weather` says what may go wrong.
"""

from __future__ import annotations

from .decorator import simulate
from .effects import Effects
from .hosts import Host
from .search import SimulationFailedError
from .watchdog import NeverAwaitsError
from .weather import Weather
from .world import NeverSettledError, World

__all__ = [
    "Effects",
    "Host",
    "NeverAwaitsError",
    "NeverSettledError",
    "SimulationFailedError",
    "Weather",
    "World",
    "simulate",
]
