"""The refusal of a document, and what every value of a document has to meet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from reprlib import Repr

#: How deep values may nest. Python's own readers and writers fail at some hundred levels.
DEEPEST = 100

_LONGEST = 40
_CUT = Repr()
_CUT.maxstring = _CUT.maxlong = _CUT.maxother = 2 * _LONGEST

TOO_DEEP = f"it nests deeper than {DEEPEST} levels"
NO_UNICODE = "it has half a surrogate pair, which is no Unicode text"


class BadDocumentError(ValueError):
    """A text is no document: `reason`, and its `line` (from 1) if that is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason = reason
        self.line = line


def one_line(error: object) -> str:
    """The text of another library's error on one line, for use in a message."""
    return " ".join(str(error).split()) or type(error).__name__


def excerpt(value: object) -> str:
    """A value in ASCII, as Python writes it, for use in a message; long and deep ones are cut."""
    if isinstance(value, dict):
        value = dict(islice(value.items(), _CUT.maxdict + 1))  # `Repr` sorts all names
    text = ascii(value) if isinstance(value, str) and len(value) < _LONGEST else _CUT.repr(value)
    text = text.encode("ascii", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def nearest(text: str, names: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one that was probably meant, or an empty text."""
    from difflib import get_close_matches  # noqa: PLC0415 - only needed for a message

    similar = get_close_matches(text, list(names), 1)
    return f"; did you mean {similar[0]}?" if similar else ""


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded: it has no lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
