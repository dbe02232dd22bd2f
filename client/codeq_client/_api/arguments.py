"""Checks of arguments: a wrong one is a `ConfigurationError` that names it, before anything is sent."""

from __future__ import annotations

import math

from codeq_client.errors import ConfigurationError


def check_number(value: object, name: str, *, least: float = 0, is_whole: bool = False) -> None:
    """Raise `ConfigurationError` unless `value` is a finite number, and at least `least`."""
    kinds = int if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < math.inf:
        kind = "a whole number" if is_whole else "a number"
        raise ConfigurationError(f"{name} must be {kind}, {least:g} or more, not {value!r:.80}")


def check_text(value: object, name: str, *, hint: str = "") -> None:
    """Raise `ConfigurationError` unless `value` is a string."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, not a {type(value).__name__}{hint}")
