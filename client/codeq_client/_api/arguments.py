"""Arguments of calls, as the server takes them. A wrong one is a `ConfigurationError` that names it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from codeq_client.errors import ConfigurationError

T = TypeVar("T")

_LONGEST_DURATION = 100 * 365 * 86_400
"""In seconds. The server's durations overflow after 292 years: a task with a longer delay may be ready at once."""


def check_number(value: object, name: str, *, least: float = 0, is_whole: bool = False) -> None:
    """Raise `ConfigurationError` unless `value` is a finite number, and at least `least`."""
    kinds = int if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < math.inf:
        kind = "a whole number" if is_whole else "a number"
        limit = f", {least:g} or more" if least > -math.inf else ""
        raise ConfigurationError(f"{name} must be {kind}{limit}, not {value!r:.80}")


def check_text(value: object, name: str, *, hint: str = "") -> None:
    """Raise `ConfigurationError` unless `value` is a string."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, not a {type(value).__name__}{hint}")


def texts(values: Iterable[str], name: str) -> list[str]:
    """Return the strings as a list. Raises `ConfigurationError` for others, and for a string in place of a list."""
    if isinstance(values, str):
        raise ConfigurationError(f"{name} is a string; pass a list")
    listed = list(values)
    for value in listed:
        check_text(value, f"each of {name}")
    return listed


def callables(values: Iterable[T], name: str) -> list[T]:
    """Return the functions as a list. Raises `ConfigurationError` for what cannot be called."""
    if not isinstance(values, Iterable):
        raise ConfigurationError(f"{name} must be a list, not a {type(values).__name__}")
    listed = list(values)
    for value in listed:
        if not callable(value):
            raise ConfigurationError(f"each of {name} must be a function, not a {type(value).__name__}")
    return listed


def whole_seconds(duration: float | timedelta, name: str) -> int:
    """Return `duration` in the server's unit, rounded up so that nothing happens earlier than asked."""
    seconds: Any = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_DURATION:
        raise ConfigurationError(
            f"{name} must be a finite number of seconds, 0 or more and at most 100 years, not {duration}"
        )
    return math.ceil(seconds)


def instant(moment: datetime | None, name: str) -> str:
    """Return a moment as RFC 3339 in UTC, "" for None. Raises `ConfigurationError` for one without a time zone."""
    if moment is None:
        return ""
    if not isinstance(moment, datetime):
        raise ConfigurationError(f"{name} must be a datetime, not a {type(moment).__name__}")
    if moment.tzinfo is None:
        raise ConfigurationError(f"{name} has no time zone; use datetime(..., tzinfo=UTC)")
    return moment.astimezone(UTC).isoformat()  # an offset with seconds is not RFC 3339


def without_surrogates(text: str, name: str) -> str:
    """Replace lone surrogates, which file names may contain, by `?`: UTF-8 cannot hold them."""
    check_text(text, name)
    return text.encode(errors="replace").decode()


def path_segment(text: str) -> str:
    """Return an id or a name as a segment of a path. Raises `ConfigurationError` for one that would lead elsewhere."""
    check_text(text, "an id", hint="; pass task.id")
    # "", "." and ".." would lead to another path
    if not text.strip(".") or "/" in text or text != without_surrogates(text, "an id"):
        raise ConfigurationError(f"{text!r} cannot be an id")
    return quote(text, safe="")
