"""Units of time: every instant in the core is an ``int`` of nanoseconds since the epoch."""

from __future__ import annotations

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY_SECONDS = 24 * 60 * 60

_INT64 = 1 << 64
_INT64_MAX = (1 << 63) - 1


def seconds(count: int) -> int:
    """A Go ``time.Duration`` of ``count`` seconds, in nanoseconds: 64 bits, so beyond 292 years it wraps around."""
    nanoseconds = count * SECOND
    if -_INT64_MAX <= nanoseconds <= _INT64_MAX:
        return nanoseconds
    wrapped = nanoseconds % _INT64
    return wrapped if wrapped <= _INT64_MAX else wrapped - _INT64
