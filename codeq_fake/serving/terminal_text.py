"""Texts for a terminal or a log, whoever wrote them: a command, a path or a URL holds whatever was sent."""

from __future__ import annotations

from urllib.parse import urlsplit


def printable(text: str) -> str:
    """``text`` on one line, without what would drive the terminal, turn its direction, or begin a line of its own."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def counted(number: int, noun: str) -> str:
    """So many of them: ``1 task``, ``2 tasks``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def bare(url: str) -> str:
    """A URL without what may be a secret in it: a user with a password, and what comes after the path."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an address that Go's parser takes (C3)
        return "?"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
