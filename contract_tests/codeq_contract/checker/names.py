"""Names of commands as the server compares them."""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def queue_name(command: str) -> str:
    """The lower case by which queues are keyed (C2).

    Go lowers each rune by itself, Python some by their neighbours (a final sigma) or into two (a dotted capital I).
    What is no rune became U+FFFD when it was read (B1).
    """
    if command.isascii():
        return command.lower()
    return "".join(rune.lower()[0] for rune in _SURROGATE.sub("\ufffd", command))
