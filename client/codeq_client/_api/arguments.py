"""Checks of arguments: a wrong one is a `ConfigurationError` that names it, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

from codeq_client.errors import ConfigurationError

T = TypeVar("T")


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
