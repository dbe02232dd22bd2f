"""Reads JSON text strictly, as Go's scanner does, into values that still hold all that was written."""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from typing import TypeAlias

from .schema import BadBody

MAX_DEPTH = 10_000
_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_STRINGS = JSONDecoder()
_WORDS: dict[str, tuple[str, bool | None]] = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_CLOSING = {"[": "]", "{": "}"}


class Number(str):
    """A number as it was written: what it is worth depends on the field that it is read into."""

    __slots__ = ()


class Members(list[tuple[str, "Value"]]):
    """The members of an object in the order written, repeated names included."""

    __slots__ = ()


Value: TypeAlias = None | bool | str | Number | list["Value"] | Members


def scan(body: bytes) -> Value:
    """The first JSON value in the body; what follows it is not looked at (B1).

    Raises:
        BadBody: there is no whole value, or it is not strict JSON, or it nests deeper than Go allows.

    """
    # Each byte of invalid UTF-8 becomes one U+FFFD: `errors="replace"` would make one of several.
    text = _SURROGATE.sub("\ufffd", body.decode(errors="surrogateescape"))
    return _Scanner(text).value()


class _Scanner:
    """A cursor over the text. Open arrays and objects are kept on a stack of its own: 10,000 of them are legal."""

    __slots__ = ("_at", "_open", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[list[Value] | Members] = []

    def value(self) -> Value:
        """Reads one whole value."""
        names: list[str] = []
        while True:
            value, complete = self._begin()
            while complete:
                if not self._open:
                    return value
                holder = self._open[-1]
                if isinstance(holder, Members):
                    holder.append((names.pop(), value))
                else:
                    holder.append(value)
                value, complete = holder, self._ends_after_item()
            if isinstance(self._open[-1], Members):
                names.append(self._name())

    def _begin(self) -> tuple[Value, bool]:
        """Reads a scalar, an empty container, or the opening of one with content; and whether that is all of it."""
        char = self._peek()
        if char == '"':
            return self._string(), True
        if char in _WORDS:
            word, value = _WORDS[char]
            if not self._text.startswith(word, self._at):
                raise BadBody
            self._at += len(word)
            return value, True
        if char in _CLOSING:
            return self._open_container(char)
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            raise BadBody
        self._at = match.end()
        return Number(match[0]), True

    def _open_container(self, char: str) -> tuple[Value, bool]:
        if len(self._open) == MAX_DEPTH:
            raise BadBody
        self._at += 1
        container: list[Value] | Members = [] if char == "[" else Members()
        if self._peek() == _CLOSING[char]:
            self._at += 1
            return container, True
        self._open.append(container)
        return container, False

    def _ends_after_item(self) -> bool:
        """Reads what follows an item: True if its container ends here, False if a comma announces another item."""
        holder = self._open[-1]
        char = self._peek()
        self._at += 1
        if char == ",":
            return False
        if char != ("}" if isinstance(holder, Members) else "]"):
            raise BadBody
        self._open.pop()
        return True

    def _name(self) -> str:
        if self._peek() != '"':
            raise BadBody
        name = self._string()
        if self._peek() != ":":
            raise BadBody
        self._at += 1
        return name

    def _string(self) -> str:
        try:
            string, self._at = _STRINGS.raw_decode(self._text, self._at)
        except JSONDecodeError:
            raise BadBody from None
        return _SURROGATE.sub("\ufffd", string)

    def _peek(self) -> str:
        """The next character that is not white space, or nothing at the end of the text."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at : self._at + 1]
