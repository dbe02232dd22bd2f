"""When a task may be claimed: the whole-second grain of every delay (C6, C7)."""

from __future__ import annotations

from codeq_fake import wire

from . import errors
from .times import SECOND, seconds

#: Go's zero time, 0001-01-01T00:00:00Z: as good as no ``runAt`` (C6).
ZERO_TIME = -62_135_596_800 * SECOND


def floor(instant: int) -> int:
    """The second (ns) in which ``instant`` lies: what the store's delayed set keeps (C7)."""
    return instant // SECOND * SECOND


def visible_at(run_at: str, delay_seconds: int, *, now: int) -> int | None:
    """The second (ns) from which a new task may be claimed, or None when that is at once (C6, C7).

    ``run_at`` is as sent, and wins over ``delay_seconds``. Raises :class:`~codeq_fake.core.errors.InvalidRunAt` or
    :class:`~codeq_fake.core.errors.InvalidDelay`.
    """
    instant = _parse(run_at)
    if delay_seconds < 0:
        raise errors.InvalidDelay
    if instant is None:
        instant = now + seconds(delay_seconds)
    # Compared to the nanosecond, kept to the second: a task due later in this second is delayed, and due already.
    return floor(instant) if instant > now else None


def _parse(run_at: str) -> int | None:
    if not run_at:
        return None
    try:
        instant = wire.parse_rfc3339(run_at)
    except wire.BadTime:
        raise errors.InvalidRunAt from None
    return instant if instant != ZERO_TIME else None
