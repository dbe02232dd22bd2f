"""Readers of single settings: from the text in either source to the value.

Each reader gets the setting's name as the operator wrote it, for error messages, and the text. A reader that returns
None leaves the default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from zoneinfo import ZoneInfo

from codeq_fake.core.rate_limits import SCOPES, RateLimit
from codeq_fake.documents import is_unicode

_MAX_PORT = 65_535
MAX_INT = (1 << 63) - 1
#: The keys of one rate limit.
RATE_LIMIT_KEYS = ("requestsPerMinute", "burstSize")
#: The scalars of YAML that stand for no value.
_NULLS = (None, "", "~", "null", "Null", "NULL")


class SettingsError(ValueError):
    """A setting has an invalid value. The message is one line: the setting, the value found, and what is allowed."""


def kind(value: object) -> str:
    """The type of a value from JSON or YAML, in the words of these formats."""
    if value is None:
        return "null"
    names = {dict: "mapping", list: "list", str: "text", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), type(value).__name__)


def is_null(value: object) -> bool:
    """Whether a scalar from YAML, read as text, stands for no value."""
    return value in _NULLS


def text(source: str, value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise SettingsError(f"{source}: found a {kind(value)}; it must be a text")
    if not is_unicode(value):
        raise SettingsError(f"{source}: found {value!r}; it must be Unicode text")
    return value


def persistence_config(source: str, value: object) -> str:
    """The text of a JSON object. The real server cannot read this key of its YAML file, and does not start with it."""
    if source.startswith("YAML "):
        raise SettingsError(f"{source}: the server does not start with this key; set the variable PERSISTENCE_CONFIG")
    written = text(source, value)
    try:
        if isinstance(json.loads(written), dict | None):
            return written
    except (ValueError, RecursionError):
        pass
    raise SettingsError(f"{source}: found {written!r}; it must be a JSON object")


def integer(source: str, value: object) -> int:
    """A whole number of at most 64 bits."""
    written = text(source, value)
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", written) or abs(int(written)) > MAX_INT:
        raise SettingsError(f"{source}: found {written!r}; it must be a whole number")
    return int(written)


def positive(source: str, value: object) -> int | None:
    """A number above 0. To the real server any other number means that the setting is not set."""
    number = integer(source, value)
    return number if number > 0 else None


def port(source: str, value: object) -> int | None:
    """A TCP port. 0 means that the setting is not set."""
    number = integer(source, value)
    if not 0 <= number <= _MAX_PORT:
        raise SettingsError(f"{source}: found {number}; it must be a port from 1 to {_MAX_PORT}")
    return number or None


def flag(source: str, value: object) -> bool:
    """Yes or no. The real server reads any other word as no; here it is refused, since it may be a typo."""
    written = text(source, value)
    if written.lower() in ("true", "1", "yes"):
        return True
    if written.lower() in ("false", "0", "no"):
        return False
    raise SettingsError(f"{source}: found {written!r}; it must be true, 1 or yes, or else false, 0 or no")


def zone(source: str, value: object) -> ZoneInfo:
    """A time zone by its IANA name."""
    name = text(source, value)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(f"{source}: found {name!r}; it must be an IANA name such as UTC or Europe/Rome") from None


def rate_limits(source: str, value: object) -> Mapping[str, RateLimit]:
    """A rate limit for each scope (L1)."""
    if not isinstance(value, dict):
        raise SettingsError(f"{source}: found a {kind(value)}; it must map {', '.join(SCOPES)} to limits")
    return MappingProxyType({scope: _rate_limit(f"{source}.{scope}", value.get(scope)) for scope in SCOPES})


def _rate_limit(source: str, value: object) -> RateLimit:
    if is_null(value):
        return RateLimit()
    if not isinstance(value, dict):
        raise SettingsError(f"{source}: found a {kind(value)}; it must have requestsPerMinute and burstSize")
    written = {key: value.get(key) for key in RATE_LIMIT_KEYS}
    return RateLimit(
        *(0 if is_null(value) else max(0, integer(f"{source}.{key}", value)) for key, value in written.items())
    )
