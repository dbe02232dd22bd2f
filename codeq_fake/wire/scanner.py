"""Reads JSON text as strictly as Go's scanner does, into values that keep everything as written."""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from typing import NamedTuple, TypeAlias

from .schema import BadBody

MAX_DEPTH = 10_000
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_INT64_DIGITS = len(str(_INT64_MAX))
_NOT_SPACE = re.compile(r"[^ \t\n\r]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS: dict[str, tuple[str, bool | None]] = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}
_CLOSING = {"[": "]", "{": "}"}
_STRINGS = JSONDecoder()


class Number(NamedTuple):
    """A number as written. Its value depends on the type of the field."""

    literal: str


class Members(NamedTuple):
    """The members of an object in their order, with repeated names."""

    pairs: list[tuple[str, Value]]


Value: TypeAlias = bool | str | Number | list["Value"] | Members | None


def scan(body: bytes) -> Value:
    """The first JSON value of the body; the rest is ignored (B1).

    Raises BadBody if the value is incomplete, not strict JSON, or nested deeper than Go allows.
    """
    # Each byte of invalid UTF-8 becomes one U+FFFD; `errors="replace"` would make one of several bytes.
    return _Scanner(without_surrogates(body.decode(errors="surrogateescape"))).value()


def int64(literal: str) -> int:
    """The value of an integer literal. To Go neither `5.0` nor `1e1` is one (B1). Raises BadBody."""
    digits = literal.removeprefix("-")
    if not digits.isdecimal() or len(digits) > _INT64_DIGITS:
        raise BadBody
    value = int(literal)
    if not _INT64_MIN <= value <= _INT64_MAX:
        raise BadBody
    return value


def without_surrogates(text: str) -> str:
    """The text with U+FFFD in the place of each half surrogate pair."""
    try:
        text.encode()  # to search takes ten times as long
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


class _Scanner:
    """A cursor over the text. Open containers are on an explicit stack, since 10,000 levels are legal."""

    __slots__ = ("_at", "_names", "_open", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[list[Value] | Members] = []
        self._names: list[str] = []

    def value(self) -> Value:
        """Read one whole value."""
        while True:
            value, complete = self._start()
            while complete:
                if not self._open:
                    return value
                value, complete = self._add(value)
            if isinstance(self._open[-1], Members):
                self._names.append(self._name())

    def _start(self) -> tuple[Value, bool]:
        """Read a value up to its first item. Also returns whether that is the whole value."""
        char = self._peek()
        if char == '"':
            return self._string(), True
        if char in _CLOSING:
            return self._start_container(char)
        if char in _WORDS:
            word, value = _WORDS[char]
            if not self._text.startswith(word, self._at):
                raise BadBody
            self._at += len(word)
            return value, True
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            raise BadBody
        self._at = match.end()
        return Number(match[0]), True

    def _start_container(self, char: str) -> tuple[Value, bool]:
        """As `_start`, at a bracket. Only an empty container is complete; any other one stays open for its items."""
        if len(self._open) == MAX_DEPTH:
            raise BadBody
        container: list[Value] | Members = [] if char == "[" else Members([])
        self._at += 1
        if self._peek() == _CLOSING[char]:
            self._at += 1
            return container, True
        self._open.append(container)
        return container, False

    def _add(self, item: Value) -> tuple[Value, bool]:
        """Add an item to the innermost open container. Also returns whether the container is complete."""
        container = self._open[-1]
        if isinstance(container, Members):
            container.pairs.append((self._names.pop(), item))
        else:
            container.append(item)
        char = self._peek()
        self._at += 1
        if char == ",":
            return container, False
        if char != ("}" if isinstance(container, Members) else "]"):
            raise BadBody
        return self._open.pop(), True

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
        return without_surrogates(string)

    def _peek(self) -> str:
        """The next character that is not white space."""
        match = _NOT_SPACE.search(self._text, self._at)
        if match is None:
            raise BadBody
        self._at = match.start()
        return match[0]
