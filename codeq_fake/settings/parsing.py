"""Read one setting: its text, from either source, to its value.

Each reader gets the setting's name as the operator wrote it, for the error message, and what was found. None is no
value: the default holds.
"""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from .errors import SettingsError, kind

_MAX_PORT = 65_535
_MAX_INT = (1 << 63) - 1


def text(source: str, found: object) -> str:
    """Any text."""
    if not isinstance(found, str):
        raise SettingsError(f"{source}: found a {kind(found)}; it must be a text")
    return found


def integer(source: str, found: object) -> int:
    """A whole number of at most 64 bits."""
    written = text(source, found)
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", written) or abs(int(written)) > _MAX_INT:
        raise SettingsError(f"{source}: found {written!r}; it must be a whole number")
    return int(written)


def positive(source: str, found: object) -> int | None:
    """A number above 0; the real server takes anything else for not set."""
    number = integer(source, found)
    return number if number > 0 else None


def port(source: str, found: object) -> int | None:
    """A TCP port; 0 is not set."""
    number = integer(source, found)
    if not 0 <= number <= _MAX_PORT:
        raise SettingsError(f"{source}: found {number}; it must be a port from 1 to {_MAX_PORT}")
    return number or None


def flag(source: str, found: object) -> bool:
    """A yes or a no. The real server takes any word that it does not know for a no; a typo is named here."""
    written = text(source, found)
    if written.lower() in ("true", "1", "yes"):
        return True
    if written.lower() in ("false", "0", "no"):
        return False
    raise SettingsError(f"{source}: found {written!r}; it must be true, 1 or yes, or else false, 0 or no")


def zone(source: str, found: object) -> ZoneInfo:
    """A time zone by its IANA name."""
    name = text(source, found)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(f"{source}: found {name!r}; it must be an IANA name such as UTC or Europe/Rome") from None
