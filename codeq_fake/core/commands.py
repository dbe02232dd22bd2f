"""Names of commands as the server compares them: with Go's lower case and Go's white space (C2)."""

from __future__ import annotations

from collections.abc import Sequence

from . import errors

#: The commands that the server itself knows (K1, M1, U1, U9, L2).
BUILT_IN_COMMANDS = ("GENERATE_MASTER", "GENERATE_CREATIVE")

#: The white space of Go's `unicode.IsSpace`. Python's `str.strip` would also remove U+001C to U+001F.
_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def queue_name(command: str) -> str:
    """The lower-case name that identifies a command's queues and subscriptions (C2).

    Go lowers each rune separately. Python looks at the neighbours of some (a final sigma), and lowers others to two
    characters (dotted capital I).
    """
    if command.isascii():
        return command.lower()
    return "".join(rune.lower()[0] for rune in command)


def trim(text: str) -> str:
    """`text` without surrounding white space, as Go's `strings.TrimSpace` returns it."""
    return text.strip(_SPACE)


def is_blank(text: str) -> bool:
    """Whether the text is empty or only white space."""
    return not trim(text)


def to_claim(commands: Sequence[str], event_types: Sequence[str]) -> Sequence[str]:
    """The commands that a claim asks for (K1). Raises `EventTypeNotAllowed`."""
    any_command = "*" in event_types
    if not commands:
        return BUILT_IN_COMMANDS if any_command else event_types
    if not any_command and not set(commands).issubset(event_types):
        raise errors.EventTypeNotAllowed
    return commands
