"""Text from outside as errors and logs show it: without control characters, without passwords, and not too long."""

from __future__ import annotations

import re

_LONGEST = 500


def printable(text: str) -> str:
    """`text` without characters that control a terminal, except line ends and tabs."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def excerpt(text: str, longest: int = _LONGEST) -> str:
    """Return the printable beginning of `text`, on one line."""
    beginning = printable(text[:longest]).replace("\n", " ").replace("\t", " ").strip()
    return f"{beginning} ... ({len(text)} characters)" if len(text) > longest else beginning


def without_password(url: str) -> str:
    """Return a URL, valid or not, without user and password."""
    return printable(re.sub(r"^(\w[\w+.-]*:/*)?[^?#]*@", r"\1", url))
