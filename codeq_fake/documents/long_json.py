"""Long JSON texts: read and checked in slices, since what takes long at once holds up all others."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from codecs import getincrementaldecoder
from collections.abc import Generator
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from codeq_fake.wire.scanner import MAX_DEPTH

from .errors import TOO_DEEP, BadDocumentError, one_line
from .json_text import check, finite, refuse_constant

#: A text of this length is handled in slices, each of about this length (characters).
LONG = 64 * 1024

#: A value of this length is read at once (characters); most tasks of a state are shorter. No number is longer.
_SHORT = 4096
#: The contract allows 10,000 levels (B1). Python's JSON reads from 1,000 to 65,000, by its version; its compiler takes
#: 200, with those of the call around a value.
_READABLE_LEVELS = 190
#: How much is decoded from UTF-8 between two pauses (bytes).
_DECODED = 1024 * 1024
#: How many values are freed between two pauses.
_FREED = 1000

#: A value, and where it ends. Each `yield` is a pause, in which others run.
_Read: TypeAlias = Generator[None, None, tuple[Any, int]]


class JsonText(NamedTuple):
    """A JSON value as its text, which is long."""

    text: str


class _Text:
    """A long text in parts. As one string, 256 MiB would take a tenth of a second to join, and a while to free."""

    def __init__(self, first: str = "") -> None:
        self.parts = [first]
        #: Where each of them begins.
        self._starts = [0]
        self._length = len(first)

    def __len__(self) -> int:
        return self._length

    def append(self, part: str) -> None:
        """Add a part at the end."""
        self.parts.append(part)
        self._starts.append(self._length)
        self._length += len(part)

    def __getitem__(self, wanted: slice) -> str:
        """The characters of a slice with a start and an end."""
        at, end = wanted.start, wanted.stop
        number = bisect_right(self._starts, at) - 1
        start = self._starts[number]
        found = self.parts[number][at - start : end - start]
        while len(found) < end - at and number < len(self.parts) - 1:
            number += 1
            found += self.parts[number][: end - at - len(found)]
        return found

    def count(self, character: str, _: int, end: int) -> int:
        """As `str.count`, from the beginning."""
        pairs = zip(self._starts, self.parts, strict=True)
        return sum(part.count(character, 0, end - start) for start, part in pairs if start < end)

    def rfind(self, character: str, _: int, end: int) -> int:
        """As `str.rfind`, from the beginning."""
        pairs = zip(self._starts, self.parts, strict=True)
        places = [(start, part.rfind(character, 0, end - start)) for start, part in pairs if start < end]
        return max((start + place for start, place in places if place >= 0), default=-1)


def read_shaped_json(text: str | bytes | list[bytes], *, short: int = _SHORT) -> Generator[None, None, Any]:
    """As `read_json` of a text that `is_shaped`, in slices. Values of the length `short` are read at once.

    A text may be given as a list of its parts, which is emptied.
    """
    whole = _Text(text if isinstance(text, str) else "")
    try:
        if not isinstance(text, str):
            yield from _decode([text] if isinstance(text, bytes) else text, whole)
        value = yield from _whole(whole, short)
    except RecursionError:
        raise BadDocumentError(TOO_DEEP) from None
    except ValueError as error:
        yield from free_in_slices(whole.parts)
        raise BadDocumentError(one_line(error)) from None
    yield from free_in_slices(whole.parts)
    for name in value if isinstance(value, dict) else ():
        check(name)
        yield
    return value


def free_in_slices(value: Any) -> Generator[None, None, None]:  # noqa: ANN401 - any JSON value
    """Free the memory of a JSON value in slices, from its end: to free millions of parts at once takes long, too."""
    containers = [value] if isinstance(value, dict | list) else []
    while containers:
        container = containers[-1]
        if isinstance(container, dict):
            parts = [container.popitem()[1] for _ in range(min(len(container), _FREED))]
        else:
            parts = container[-_FREED:]
            del container[-_FREED:]
        if not container:
            containers.pop()
        containers += (part for part in parts if part and isinstance(part, dict | list))
        yield


def _decode(parts: list[bytes], whole: _Text) -> Generator[None, None, None]:
    """Move the parts of a text in bytes to a text."""
    decoder = getincrementaldecoder(json.detect_encoding(b"".join(parts[:4])))("surrogatepass")
    parts.reverse()
    while parts:
        joined = bytearray()
        while parts and len(joined) < LONG:
            joined += parts.pop()
        for start in range(0, len(joined), _DECODED):
            whole.append(decoder.decode(joined[start : start + _DECODED]))
            yield
    whole.append(decoder.decode(b"", final=True))


def _whole(text: _Text, short: int) -> Generator[None, None, Any]:
    value, end = yield from _value(text, (yield from _after_space(text, 0)), short)
    end = yield from _after_space(text, end)
    if end < len(text):
        raise _error("Extra data", text, end)
    return value


def _error(message: str, text: _Text, at: int) -> json.JSONDecodeError:
    """The error of Python's reader. It only counts the lines of the text."""
    return json.JSONDecodeError(message, text, at)  # type: ignore[arg-type]


def _value(text: _Text, at: int, short: int) -> _Read:
    """The value that begins at `at`. The parts of a long one are read one by one."""
    yield  # before each value: empty ones are many, too
    beginning = text[at : at + short]
    read_long = _LONG_VALUES.get(beginning[:1])
    is_near_end = at + short >= len(text)
    if read_long is None or is_near_end:  # a scalar, or too little text for a long value
        return _short_value(text, at)
    try:
        value, length = _DECODER.raw_decode(beginning)  # `length` counts from `at`
    except ValueError:  # it is longer, or wrong
        return (yield from read_long(text, at, short))
    return value, at + length


def _short_value(text: _Text, at: int) -> tuple[Any, int]:
    """As `_value`, for one that is not longer than `LONG`."""
    try:
        value, length = _DECODER.raw_decode(text[at : at + LONG])
    except json.JSONDecodeError as error:
        raise _error(error.msg, text, at + error.pos) from None
    return value, at + length


def _object(text: _Text, at: int, short: int) -> _Read:
    members: dict[str, Any] = {}
    try:
        return members, (yield from _members(text, at, short, members))
    except ValueError:
        yield from free_in_slices(members)
        raise


def _members(text: _Text, at: int, short: int, members: dict[str, Any]) -> Generator[None, None, int]:
    """Where an object ends; what is in it is added to `members`."""
    at = yield from _after_space(text, at + 1)
    if text[at : at + 1] == "}":
        return at + 1
    while True:
        if text[at : at + 1] != '"':
            raise _error("Expecting property name enclosed in double quotes", text, at)
        name, at = yield from _value(text, at, short)
        at = yield from _after_space(text, at)
        if text[at : at + 1] != ":":
            raise _error("Expecting ':' delimiter", text, at)
        members[name], at = yield from _value(text, (yield from _after_space(text, at + 1)), short)
        at, is_over = yield from _after_item(text, at, "}")
        if is_over:
            return at


def _list(text: _Text, at: int, short: int) -> _Read:
    items: list[Any] = []
    try:
        return items, (yield from _items(text, at, short, items))
    except ValueError:
        yield from free_in_slices(items)
        raise


def _items(text: _Text, at: int, short: int, items: list[Any]) -> Generator[None, None, int]:
    """Where a list ends; what is in it is added to `items`."""
    at = yield from _after_space(text, at + 1)
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        item, at = yield from _value(text, at, short)
        items.append(item)
        at, is_over = yield from _after_item(text, at, "]")
        if is_over:
            return at


def _string(text: _Text, at: int, short: int) -> _Read:
    """Read a string in parts of at most `short` characters. A surrogate pair is never divided."""
    parts: list[str] = []
    opening, at = at, at + 1
    while text[at : at + 1] != '"':
        end = at + _CHARACTERS.match(text[at : at + max(short, _LONGEST_CHARACTER)]).end()  # type: ignore[union-attr]  # it matches ""
        if end in (at, len(text)):
            raise _wrong_string(text, opening, at, end)
        part, _ = _DECODER.raw_decode(f'"{text[at:end]}"')
        if "\ud800" <= part[-1] < "\udc00" and text[end - 1 : end] != part[-1] and len(part) > 1:
            part, end = part[:-1], end - len(r"\ud800")  # an escaped first half of a pair: the other may follow
        parts.append(part)
        at = end
        yield
    return "".join(parts), at + 1


def _wrong_string(text: _Text, opening: int, at: int, end: int) -> ValueError:
    """The error for a string with no valid character at `end`. It was read up to `at`."""
    try:
        _DECODER.raw_decode(f'"{text[at : end + _LONGEST_CHARACTER]}')
    except json.JSONDecodeError as error:
        return _error(error.msg, text, at - 1 + error.pos if error.pos else opening)
    raise AssertionError


def _after_item(text: _Text, at: int, closing: str) -> Generator[None, None, tuple[int, bool]]:
    """Where the text goes on after an item, and whether its container is over."""
    at = yield from _after_space(text, at)
    mark = text[at : at + 1]
    if mark == closing:
        return at + 1, True
    if mark != ",":
        raise _error("Expecting ',' delimiter", text, at)
    return (yield from _after_space(text, at + 1)), False


def _after_space(text: str | _Text, at: int) -> Generator[None, None, int]:
    """Where the text goes on after white space."""
    while text[at : at + 1] in _SPACES and at < len(text):
        at += _SPACE.match(text[at : at + _SHORT]).end()  # type: ignore[union-attr]  # it matches ""
        yield
    return at


def nests_too_deep(text: str) -> Generator[None, None, bool]:
    """Whether a JSON text nests too deep for the readers of most languages. Raises ValueError for any other text."""
    return text.count("[") + text.count("{") > _READABLE_LEVELS and (yield from json_depth(text)) > _READABLE_LEVELS


def json_depth(text: str) -> Generator[None, None, int]:
    """How deep a JSON text nests, perhaps without the two innermost levels. Raises ValueError for any other text.

    The value itself might take many times the memory of its text.
    """
    at, deepest = 0, 0
    open_: list[str] = []  # what closes each container
    while True:
        if open_:
            at = _short_items(open_[-1]).match(text, at, at + LONG).end()  # type: ignore[union-attr]  # it matches ""
        yield
        at = yield from _after_space(text, at)
        if open_ and open_[-1] == "}":
            at = yield from _value_of_member(text, at)
        closing = _CLOSING.get(text[at : at + 1])
        if closing is not None:
            open_.append(closing)
            deepest = max(deepest, len(open_))
            if deepest > MAX_DEPTH:
                raise ValueError(TOO_DEEP)
            at = yield from _after_space(text, at + 1)
            if text[at : at + 1] != closing:
                continue
        else:
            at = yield from _end_of_scalar(text, at)
        at = yield from _after_space(text, at)
        while open_ and text[at : at + 1] == open_[-1]:
            open_.pop()
            at = yield from _after_space(text, at + 1)
        if not open_ and at == len(text):
            return deepest
        if not open_ or text[at : at + 1] != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
        at += 1


def _value_of_member(text: str, at: int) -> Generator[None, None, int]:
    """Where the value begins of the member whose name begins at `at`."""
    if text[at : at + 1] == '"':
        at = yield from _after_space(text, (yield from _end_of_scalar(text, at)))
        if text[at : at + 1] == ":":
            return (yield from _after_space(text, at + 1))
    raise json.JSONDecodeError("Expecting the name of a member", text, at)


def _end_of_scalar(text: str, at: int) -> Generator[None, None, int]:
    """Where a string, number or word ends."""
    if text[at : at + 1] != '"':
        match = _NUMBER_OR_WORD.match(text, at, at + _SHORT)
        if match is None or match.end() == at + _SHORT:
            raise json.JSONDecodeError("Expecting value", text, at)
        return match.end()
    at += 1
    while text[at : at + 1] != '"':
        end = _CHARACTERS.match(text, at, at + LONG).end()  # type: ignore[union-attr]  # it matches ""
        if end == at:
            raise json.JSONDecodeError("Invalid string", text, at)
        at = end
        yield
    return at + 1


_DECODER = json.JSONDecoder(parse_float=finite, parse_constant=refuse_constant)
_LONG_VALUES = {"{": _object, "[": _list, '"': _string}
_CLOSING = {"{": "}", "[": "]"}
_LONGEST_CHARACTER = len(r"\ud800\udc00")

_SPACES = " \t\n\r"
_ANY_SPACE = r"[ \t\n\r]*+"
#: No repetition can go back: the engine would remember each step.
_ANY_CHARACTERS = r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+'
_SIMPLE = r"-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?+[0-9]++)?+|true|false|null"
_SPACE = re.compile(_ANY_SPACE)
_CHARACTERS = re.compile(_ANY_CHARACTERS)
_NUMBER_OR_WORD = re.compile(_SIMPLE)


def _item(value: str, closing: str, end: str) -> str:
    """A pattern for an item of a container, up to its `end`."""
    name = rf'"{_ANY_CHARACTERS}"{_ANY_SPACE}:{_ANY_SPACE}' if closing == "}" else ""
    return rf"{_ANY_SPACE}{name}{value}{_ANY_SPACE}{end}"


def _value_of_levels(levels: int) -> str:
    """A pattern for a value that nests no deeper than this."""
    if not levels:
        return rf'(?:"{_ANY_CHARACTERS}"|{_SIMPLE})'
    inner = _value_of_levels(levels - 1)
    containers = [rf"\{opening}{_items_of(inner, closing)}\{closing}" for opening, closing in _CLOSING.items()]
    return rf"(?:{inner}|{'|'.join(containers)})"


def _items_of(value: str, closing: str) -> str:
    """A pattern for all items of a container."""
    end = rf"(?:,(?!{_ANY_SPACE}\{closing})|(?=\{closing}))"
    return rf"(?:{_item(value, closing, end)})*+{_ANY_SPACE}"


@cache  # to compile them takes 5 ms, and few programs read long texts
def _short_items(closing: str) -> re.Pattern[str]:
    """A pattern for all short items that follow: regular expressions are ten times as fast as a loop here."""
    return re.compile(rf"(?:{_item(_value_of_levels(2), closing, ',')})*+")
