"""Reads and writes RFC 3339 times as Go does. A time is an `int` of nanoseconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

_NS = 1_000_000_000
_FRACTION_DIGITS = 9
_OFFSET_HOURS, _OFFSET_MINUTES = 24, 60  # the most that Go accepts, each by itself
_EPOCH = datetime.fromtimestamp(0, UTC)
# The Gregorian calendar repeats every 400 years. This covers the years that `datetime` does not know.
_CYCLE_YEARS = 400
_CYCLE_SECONDS = 146_097 * 86_400
# Where `datetime` knows the offset of a zone.
_ZONED_FROM = -62_000_000_000
_ZONED_TO = 253_000_000_000

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)


class BadTime(ValueError):
    """The text is not a time to Go's `time.Parse(time.RFC3339, text)`."""


def parse_rfc3339(text: str) -> int:
    """Nanoseconds since the epoch, negative before it. Digits after the ninth of a fraction are dropped (C6).

    Raises BadTime if Go refuses the text.
    """
    return _parse(text)[0]


def reformat_rfc3339(text: str) -> str:
    """The same time cut to whole seconds, with the offset of the text (R16 echoes `before` so). Raises BadTime."""
    instant, offset = _parse(text)
    return _date_and_time(instant // _NS + offset) + _offset_suffix(offset)


@lru_cache(maxsize=8)  # the tasks of a batch have one instant; a large cache would cost single calls more than it saves
def rfc3339_nano(ns: int, zone: tzinfo) -> str:
    """The time in a zone, with up to nine fraction digits and without trailing zeros."""
    seconds, fraction = divmod(ns, _NS)
    wall, suffix = _zoned(seconds, zone)
    return f"{wall}.{fraction:09d}".rstrip("0") + suffix if fraction else wall + suffix


def rfc3339_seconds(ns: int) -> str:
    """The time in UTC, cut to whole seconds."""
    return _utc(ns // _NS)


def _parse(text: str) -> tuple[int, int]:
    """The time in ns, and the offset in seconds east of UTC."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadTime(text)
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, *offset_parts = match.groups()[6:]
    offset_hours, offset_minutes = (int(part or 0) for part in offset_parts)
    if offset_hours > _OFFSET_HOURS or offset_minutes > _OFFSET_MINUTES:
        raise BadTime(text)
    offset = offset_hours * 3600 + offset_minutes * 60
    if sign == "-":
        offset = -offset
    cycles, year_of_cycle = divmod(year, _CYCLE_YEARS)  # Go takes the year 0, which `datetime` does not know
    try:
        wall = datetime(_CYCLE_YEARS + year_of_cycle, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise BadTime(text) from None
    seconds = (wall - _EPOCH) // timedelta(seconds=1) + (cycles - 1) * _CYCLE_SECONDS - offset
    digits = (fraction or "")[:_FRACTION_DIGITS].ljust(_FRACTION_DIGITS, "0")
    return seconds * _NS + int(digits), offset


@lru_cache(maxsize=1024)
def _utc(seconds: int) -> str:
    return _date_and_time(seconds) + "Z"


@lru_cache(maxsize=1024)
def _zoned(seconds: int, zone: tzinfo) -> tuple[str, str]:
    looked_up = datetime.fromtimestamp(min(max(seconds, _ZONED_FROM), _ZONED_TO), zone).utcoffset() or timedelta()
    offset = int(looked_up.total_seconds())
    return _date_and_time(seconds + offset), _offset_suffix(offset)


def _date_and_time(seconds: int) -> str:
    cycles, rest = divmod(seconds, _CYCLE_SECONDS)
    moment = _EPOCH + timedelta(seconds=rest)
    year = moment.year + cycles * _CYCLE_YEARS
    return f"{'-' if year < 0 else ''}{abs(year):04d}-{moment:%m-%dT%H:%M:%S}"


def _offset_suffix(offset: int) -> str:
    if not offset:
        return "Z"
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"
