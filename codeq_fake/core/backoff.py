"""Backoff policies: how long a task waits before it is delivered again, in whole seconds (N6)."""

from __future__ import annotations

from .effects import Jitter
from .settings import CoreSettings

DEFAULT_POLICY = "exp_full_jitter"
POLICIES = ("fixed", "linear", "exponential", "exp_equal_jitter", DEFAULT_POLICY)

#: 2 to this power is more than any cap that a 64-bit setting can hold.
_LARGEST_EXPONENT = 63

#: The first number of Go's `math/rand` with the seed 1. A small range takes its upper half.
_FIRST = 5_577_006_791_947_779_410
_HALF = 32


def delay(settings: CoreSettings, attempts: int, jitter: Jitter) -> int:
    """The delay in seconds after `attempts` attempts (N6). An unknown policy acts as `exp_full_jitter`."""
    base, most = settings.backoff_base_seconds, settings.backoff_max_seconds
    exponential = min(most, base << min(attempts, _LARGEST_EXPONENT))
    match settings.backoff_policy:
        case "fixed":
            return min(most, base)
        case "linear":
            return min(most, base * max(1, attempts))
        case "exponential":
            return exponential
        case "exp_equal_jitter":
            half = exponential // 2
            return jitter.between(half, 2 * half)
        case _:
            return jitter.between(0, exponential)


class SeededJitter:
    """The jitter of a server that makes a new generator with the seed 1 for each delay (P7)."""

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        count = high - low + 1
        return low + (_FIRST >> _HALF if count < 1 << 31 else _FIRST) % count
