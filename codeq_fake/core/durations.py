"""Durations as people write and read them: `90`, `1h 30m`, `4 min 10 s`. The contract has none of this."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from numbers import Real
from types import MappingProxyType
from typing import TypeAlias

from .times import DAY_SECONDS, MILLISECOND, MINUTE, SECOND

#: A length of time as people write it: seconds, a text such as `1h 30m`, or a timedelta.
Duration: TypeAlias = float | str | timedelta

_UNITS = MappingProxyType({"ms": MILLISECOND, "s": SECOND, "m": MINUTE, "h": 60 * MINUTE, "d": DAY_SECONDS * SECOND})
_PART = r"(\d+(?:\.\d+)?)\s*(ms|[smhd])"
_WRITTEN = re.compile(rf"([+-]?)\s*(\d+(?:\.\d+)?|{_PART}(?:\s*{_PART})*)", re.ASCII)
_NUMBERS: tuple[type, ...] = (Real, Decimal)

_IN_WORDS = ((DAY_SECONDS, "d"), (60 * 60, "h"), (60, "min"), (1, "s"))
#: Below so many seconds, tenths matter.
_SHORT = 10


def duration(length: Duration, name: str = "") -> int:
    """A duration in nanoseconds. A text is a number of seconds, or has units: `90`, `250ms`, `1.5 h`, `1h 30m`, `-2d`.

    Raises ValueError, and TypeError for a value of another type. Their texts begin with `name`, that of the argument.
    """
    try:
        return _nanoseconds(length)
    except (TypeError, ValueError) as error:
        if not name:
            raise
        raise type(error)(f"{name}: {error}") from None


def _nanoseconds(length: Duration) -> int:
    if isinstance(length, timedelta):
        return (length.days * DAY_SECONDS + length.seconds) * SECOND + length.microseconds * 1000
    if isinstance(length, str):
        return _written(length.strip())
    if isinstance(length, bool) or not isinstance(length, _NUMBERS):
        raise TypeError(f"found {length!r} where a duration belongs: seconds, a text such as 1h 30m, or a timedelta")
    try:
        return round(length * SECOND)
    except (OverflowError, ValueError):  # no finite number, or too many seconds for a float of nanoseconds
        raise ValueError(f"{length} is no duration") from None


def _written(text: str) -> int:
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f"{text!r} is not a duration; give seconds such as 90 or 1.5, or units as in 1h 30m")
    parts = re.findall(_PART, text) or [(written[2], "s")]
    length = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in parts)
    return -length if written[1] == "-" else length


def in_words(length: int) -> str:
    """A duration (ns) in its two largest units: `4 min 10 s`, `2.5 s`, `41 ms`."""
    if length < SECOND:
        return f"{length // MILLISECOND} ms" if length else "0 s"
    if length < _SHORT * SECOND:
        return f"{length / SECOND:.1f} s".replace(".0 ", " ")
    whole = length // SECOND
    (size, unit), *smaller = [part for part in _IN_WORDS if part[0] <= whole]
    rest = f" {whole % size // smaller[0][0]} {smaller[0][1]}" if smaller else ""
    return f"{whole // size} {unit}{'' if rest.startswith(' 0') else rest}"


def beside_real(now: int, wall: int) -> str:
    """How far a clock (ns) is from the real one: `1 h ahead of real`; empty if that is less than a second."""
    apart = abs(now - wall)
    if apart < SECOND:
        return ""
    return f"{in_words((apart + SECOND // 2) // SECOND * SECOND)} {'ahead of' if now > wall else 'behind'} real"


def whole_seconds(length: Duration, name: str) -> int:
    """A duration in seconds, where CodeQ takes whole ones only. Raises ValueError and TypeError, as `duration`."""
    count, rest = divmod(duration(length, name), SECOND)
    if rest:
        raise ValueError(f"{name}: {length} is not a whole number of seconds, and CodeQ takes no other here")
    return count
