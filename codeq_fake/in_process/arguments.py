"""Arguments of `FakeCodeQ`: the check of their types, and instants."""

from __future__ import annotations

from datetime import datetime

from codeq_fake.control.argument_readers import instant


def check_types(*kinds: type, noun: str = "a text", **arguments: object) -> None:
    """Raise TypeError with the name of the first argument that is of none of these types."""
    for name, value in arguments.items():
        if not isinstance(value, kinds):
            raise TypeError(f"{name}: found {value!r}, {noun} belongs here")


def check_whole(**arguments: object) -> None:
    """Raise TypeError with the name of the first argument that is no whole number."""
    for name, value in arguments.items():
        if type(value) is not int:
            raise TypeError(f"{name}: found {value!r}, it is a whole number")


def check_counts(**arguments: int) -> None:
    """Raise TypeError or ValueError with the name of the first argument that is no whole number from 0."""
    for name, value in arguments.items():
        check_whole(**{name: value})
        if value < 0:
            raise ValueError(f"{name}: found {value}, it is not negative")


def nanoseconds(when: str | datetime) -> int:
    """An instant, as ns since the epoch. Raises BadRequestError, or ValueError for a datetime without a time zone."""
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError("a datetime needs a time zone, for example tzinfo=datetime.UTC")
        when = when.isoformat()
    return instant(when)
