"""Reads JSON."""

from __future__ import annotations

import json
import math
import re
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Iterable
from decimal import DecimalException
from typing import Any, NoReturn

from .errors import DEEPEST, NO_UNICODE, TOO_DEEP, BadDocumentError, is_unicode, one_line


def finite(literal: str) -> float:
    """A JSON number as a float. Raises ValueError if it is too large."""
    value = float(literal)
    if math.isinf(value):
        raise ValueError(f"{literal} is too large for a number")
    return value


def read_json(text: str | bytes, *, parse_float: Callable[[str], Any] = finite, is_shaped: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text. Raises BadDocumentError.

    The caller of an `is_shaped` text checks the type of each part, so that neither depth nor texts are checked here:
    that would take as long again for the state of many tasks.
    """
    try:
        value = json.loads(text, parse_float=parse_float, parse_constant=_no_constant)
    except RecursionError:
        raise BadDocumentError(TOO_DEEP) from None
    except (ValueError, DecimalException) as error:
        raise BadDocumentError(one_line(error)) from None
    _check(value if not is_shaped else list(value) if isinstance(value, dict) else None)
    return value


def read_shaped_json(text: str | bytes) -> Generator[None, None, Any]:
    """As `read_json` of a text that `is_shaped`, in slices: a long text of many short parts holds nothing up."""
    try:
        value = yield from _read(text if isinstance(text, str) else (yield from _decoded(text)))
    except RecursionError:
        raise BadDocumentError(TOO_DEEP) from None
    except ValueError as error:
        raise BadDocumentError(one_line(error)) from None
    _check(list(value) if isinstance(value, dict) else None)
    return value


def _decoded(text: bytes) -> Generator[None, None, str]:
    decoder = getincrementaldecoder(json.detect_encoding(text))("surrogatepass")
    parts: list[str] = []
    for start in range(0, len(text), _PART):
        parts.append(decoder.decode(text[start : start + _PART]))
        yield
    parts.append(decoder.decode(b"", final=True))
    return "".join(parts)


def _read(text: str) -> Generator[None, None, Any]:
    value, end = yield from _value(text, _start(text, 0), _LEVELS)
    end = _start(text, end)
    if end < len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _value(text: str, at: int, levels: int) -> Generator[None, None, tuple[Any, int]]:
    """The value that begins at `at`, and its end. The items of the outer `levels` are read one by one."""
    yield  # before each value: empty ones are many, too
    opening = text[at : at + 1]
    if levels and opening == "{":
        return (yield from _object(text, at, levels))
    if levels and opening == "[":
        return (yield from _list(text, at, levels))
    return _DECODER.raw_decode(text, at)


def _object(text: str, at: int, levels: int) -> Generator[None, None, tuple[dict[str, Any], int]]:
    """The object that begins at `at`, and its end."""
    members: dict[str, Any] = {}
    at = _start(text, at + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        name, at = _DECODER.raw_decode(text, at)
        at = _start(text, at)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        members[name], at = yield from _value(text, _start(text, at + 1), levels - 1)
        at, is_over = _after_item(text, at, "}")
        if is_over:
            return members, at


def _list(text: str, at: int, levels: int) -> Generator[None, None, tuple[list[Any], int]]:
    """The list that begins at `at`, and its end."""
    items: list[Any] = []
    at = _start(text, at + 1)
    if text[at : at + 1] == "]":
        return items, at + 1
    while True:
        item, at = yield from _value(text, at, levels - 1)
        items.append(item)
        at, is_over = _after_item(text, at, "]")
        if is_over:
            return items, at


def _after_item(text: str, at: int, closing: str) -> tuple[int, bool]:
    """Where the text goes on after an item, and whether its container is over."""
    at = _start(text, at)
    if text[at : at + 1] == closing:
        return at + 1, True
    if text[at : at + 1] != ",":
        raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    return _start(text, at + 1), False


def _start(text: str, at: int) -> int:
    """Where the next value begins, after white space."""
    found = _NO_SPACE.search(text, at)
    return found.start() if found else len(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_DECODER = json.JSONDecoder(parse_float=finite, parse_constant=_no_constant)
#: A state is an object with a broker, which is an object with lists.
_LEVELS = 3
#: How much is decoded between two pauses (bytes).
_PART = 1024 * 1024
_NO_SPACE = re.compile(r"[^ \t\n\r]")


def _check(value: object) -> None:
    """Raise BadDocumentError for a value that is too deep, or that has a text which is not Unicode."""
    level = [value]
    for _ in range(DEEPEST):
        if not all(is_unicode(text) for part in level for text in _texts(part)):
            raise BadDocumentError(NO_UNICODE)
        level = [
            part
            for container in level
            if isinstance(container, dict | list)
            for part in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    if any(isinstance(part, dict | list) for part in level):
        raise BadDocumentError(TOO_DEEP)


def _texts(part: object) -> Iterable[str]:
    """The texts in a value itself, without those of its parts."""
    if isinstance(part, str):
        return (part,)
    return part if isinstance(part, dict) else ()
