"""Moments in nanoseconds since 1970, and their RFC 3339 text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

SECOND = 10**9
MILLISECOND = 10**6

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def moment_text(moment: int) -> str:
    """`moment` (nanoseconds since 1970) in UTC with nine decimals."""
    seconds, nanoseconds = divmod(moment, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"


def parse_moment(text: str) -> int:
    """The nanosecond since 1970 of an RFC 3339 text. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not RFC 3339: {text!r}")
    second, fraction, zone = match.groups()
    seconds = int(datetime.fromisoformat(second + zone.replace("Z", "+00:00")).timestamp())
    return seconds * SECOND + int((fraction or "0").ljust(9, "0"))
