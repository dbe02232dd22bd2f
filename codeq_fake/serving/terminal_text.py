"""Text from others, made safe for a terminal or a log: commands, paths and URLs may hold any text that clients send."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def printable(text: str) -> str:
    """`text` on one line, without characters that control the terminal or change the direction of text."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 task`, `2 tasks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def bare(url: str) -> str:
    """A URL without the parts that may be secret: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an address that Go's parser takes (C3)
        return "?"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_password(url: str) -> str:
    """A URL as a user gave it, valid or not, without user and password."""
    return re.sub(r"^(\w[\w+.-]*://)?[^/?#]*@", r"\1", url)
