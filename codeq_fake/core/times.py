"""Units of time, and delays rounded to whole seconds. Every instant is an `int` of nanoseconds since the epoch."""

from __future__ import annotations

from codeq_fake import wire

from . import errors

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY_SECONDS = 24 * 60 * 60

#: After every instant, and within the 68 bits that a saved state has for one.
NEVER = (1 << 68) - 1

#: Go's zero time, 0001-01-01T00:00:00Z: it counts as no `runAt` (C6).
ZERO_TIME = -62_135_596_800 * SECOND

_INT64 = 1 << 64
_INT64_MAX = (1 << 63) - 1


def seconds(count: int) -> int:
    """A Go `time.Duration` of `count` seconds, in nanoseconds: 64 bits, so beyond 292 years it wraps around."""
    nanoseconds = count * SECOND
    if -_INT64_MAX <= nanoseconds <= _INT64_MAX:
        return nanoseconds
    wrapped = nanoseconds % _INT64
    return wrapped if wrapped <= _INT64_MAX else wrapped - _INT64


def floor_to_second(instant: int) -> int:
    """The start of the second that contains `instant`: the precision of the store's delayed set (C7)."""
    return instant // SECOND * SECOND


def visible_at(run_at: str, delay_seconds: int, *, now: int) -> int | None:
    """The second (ns) from which a new task can be claimed, or None if that is at once (C6, C7).

    `run_at` is the text as sent; it wins over `delay_seconds`. Raises `InvalidRunAt` or `InvalidDelay`.
    """
    instant = _parse(run_at)
    if delay_seconds < 0:
        raise errors.InvalidDelay
    if instant is None:
        instant = now + seconds(delay_seconds)
    # Compared in nanoseconds but stored in seconds: a task due later in this second is delayed, and already due.
    return floor_to_second(instant) if instant > now else None


def _parse(run_at: str) -> int | None:
    """The instant (ns) of an RFC 3339 text. None for an empty text and for Go's zero time. Raises InvalidRunAt."""
    if not run_at:
        return None
    try:
        instant = wire.parse_rfc3339(run_at)
    except wire.BadTime:
        raise errors.InvalidRunAt from None
    return instant if instant != ZERO_TIME else None
