"""Names of commands as the server compares them: Go's idea of lower case and of white space (C2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import errors
from .rules import BUILT_IN_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What ``unicode.IsSpace`` knows; Python's ``str.strip`` would also take the separators U+001C to U+001F.
_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def queue_name(command: str) -> str:
    """The lower case by which queues and subscriptions are keyed (C2).

    Go lowers each rune by itself, Python some by their neighbours (a final sigma) or into two (dotted capital I).
    """
    if command.isascii():
        return command.lower()
    return "".join(rune.lower()[0] for rune in command)


def trim(text: str) -> str:
    """``text`` without surrounding white space, as Go's ``strings.TrimSpace`` sees it."""
    return text.strip(_SPACE)


def is_blank(text: str) -> bool:
    """Whether nothing but white space is in it."""
    return not trim(text)


def to_claim(commands: Sequence[str], event_types: Sequence[str]) -> Sequence[str]:
    """The commands a claim is for (K1). Raises :class:`~codeq_fake.core.errors.EventTypeNotAllowed`."""
    any_command = "*" in event_types
    if not commands:
        return BUILT_IN_COMMANDS if any_command else event_types
    if not any_command and not set(commands).issubset(event_types):
        raise errors.EventTypeNotAllowed
    return commands
