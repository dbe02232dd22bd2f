"""Reads a JSON body as Go's strict decoder does: unknown fields and a second value are errors, each with Go's text."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from .binder import bind
from .encoder import go_quote, quote_byte
from .scanner import MAX_DEPTH, Members, Number, Value, int64, scan
from .schema import INT, LIST_OF, STRING, BadBody, Kind, Struct, fold

_SPACE = " \t\n\r"
_DIGITS = "0123456789"
_HEX = "0123456789abcdefABCDEF"
_LITERALS = {"t": "true", "f": "false", "n": "null"}


class StrictError(ValueError):
    """The body is refused. `str()` is Go's text."""


class StrictStruct(NamedTuple):
    """A Go struct: its name, its full type, and its fields, which are STRING, INT or lists of these."""

    name: str
    type: str
    body: Struct


_NO_FIELDS = StrictStruct("", "struct {}", Struct({}))


def decode_strictly(body: bytes, struct: StrictStruct) -> dict[str, Any]:
    """The fields that a body of one JSON object sets. Raises StrictError."""
    # As Go, by bytes: an error text shows a byte.
    text = body.decode("latin-1")
    end = _end_of_value(text, 0)
    value = scan(body[:end])
    _check(value, struct)
    try:
        next_end = _end_of_value(text, end)
    except _NoValue:
        return bind(value, struct.body)
    # Go decodes a second value, too: an error in that comes first.
    _check(scan(body[end:next_end]), _NO_FIELDS)
    raise StrictError("only one JSON object is allowed")


class _NoValue(StrictError):
    """There is only white space."""


def _check(value: Value, struct: StrictStruct) -> None:
    """Raise the first error, in the order of the members."""
    if value is None:
        return
    if not isinstance(value, Members):
        raise StrictError(f"json: cannot unmarshal {_kind(value)} into Go value of type {struct.type}")
    for written, member in value.pairs:
        name = struct.body.folded.get(fold(written))
        if name is None:
            raise StrictError(f"json: unknown field {go_quote(written)}")
        _check_field(member, struct.body.fields[name], f"{struct.name}.{name}")


def _check_field(value: Value, wanted: Kind, field: str) -> None:
    """Raise StrictError if the value of a field is of another type."""
    if value is None or (wanted is STRING and isinstance(value, str)):
        return
    if isinstance(wanted, LIST_OF) and isinstance(value, list):
        for item in value:
            _check_field(item, wanted.item, field)
        return
    kind = _kind(value)
    if wanted is INT and isinstance(value, Number):
        with suppress(BadBody):
            int64(value.literal)
            return
        kind = f"number {value.literal}"
    raise StrictError(f"json: cannot unmarshal {kind} into Go struct field {field} of type {_go_type(wanted)}")


def _go_type(kind: Kind) -> str:
    """How Go writes the type of a field."""
    if isinstance(kind, LIST_OF):
        return f"[]{_go_type(kind.item)}"
    return "string" if kind is STRING else "int"


def _kind(value: Value) -> str:
    """What Go calls a JSON value in its errors."""
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case Number():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def _end_of_value(text: str, at: int) -> int:
    """Where the next JSON value ends. Raises StrictError, with Go's text for what cannot be there."""
    at = _skip_space(text, at)
    if at == len(text):
        raise _NoValue("EOF")
    containers: list[str] = []
    while True:
        at, opened = _start(text, at)
        if opened:
            containers.append(opened)
            if len(containers) > MAX_DEPTH:
                raise _unexpected(text[at - 1], "exceeded max depth")
            at = _skip_space(text, at)
            if _char(text, at) != opened:
                at = _name(text, at) if opened == "}" else at
                continue
            containers.pop()
            at += 1
        at = _end_of_containers(text, at, containers)
        if not containers:
            return at
        if containers[-1] == "}":
            at = _name(text, _skip_space(text, at))


def _end_of_containers(text: str, at: int, containers: list[str]) -> int:
    """The position behind the next comma, and behind the brackets before it that close a container."""
    while containers:
        at = _skip_space(text, at)
        char, closing = _char(text, at), containers[-1]
        at += 1
        if char == ",":
            break
        if char != closing:
            raise _unexpected(char, "after object key:value pair" if closing == "}" else "after array element")
        containers.pop()
    return at


def _start(text: str, at: int) -> tuple[int, str]:
    """The end of a scalar at this position, or of the bracket of a container with the one that closes it."""
    at = _skip_space(text, at)
    char = _char(text, at)
    if char in "[{":
        return at + 1, "]" if char == "[" else "}"
    if char == '"':
        return _end_of_string(text, at + 1), ""
    if char in _LITERALS:
        return _end_of_literal(text, at, _LITERALS[char]), ""
    if char == "-" or char in _DIGITS:
        return _end_of_number(text, at), ""
    raise _unexpected(char, "looking for beginning of value")


def _name(text: str, at: int) -> int:
    """The position behind the name of a member and its colon."""
    char = _char(text, at)
    if char != '"':
        raise _unexpected(char, "looking for beginning of object key string")
    at = _skip_space(text, _end_of_string(text, at + 1))
    char = _char(text, at)
    if char != ":":
        raise _unexpected(char, "after object key")
    return at + 1


def _end_of_string(text: str, at: int) -> int:
    """The position behind a string, from that of its first character. Raises StrictError."""
    while True:
        char = _char(text, at)
        at += 1
        if char == '"':
            return at
        if char < " ":
            raise _unexpected(char, "in string literal")
        if char == "\\":
            at = _end_of_escape(text, at)


def _end_of_escape(text: str, at: int) -> int:
    """The position behind an escape, from that behind its backslash. Raises StrictError."""
    char = _char(text, at)
    if char in '"\\/bfnrt':
        return at + 1
    if char != "u":
        raise _unexpected(char, "in string escape code")
    for digit in range(at + 1, at + 5):
        if _char(text, digit) not in _HEX:
            raise _unexpected(text[digit], "in \\u hexadecimal character escape")
    return at + 5


def _end_of_literal(text: str, at: int, literal: str) -> int:
    """The position behind `true`, `false` or `null`, of which the first character has been seen. Raises StrictError."""
    for wanted in literal[1:]:
        at += 1
        if _char(text, at) != wanted:
            raise _unexpected(text[at], f"in literal {literal} (expecting '{wanted}')")
    return at + 1


def _end_of_number(text: str, at: int) -> int:
    """Where a number ends. Raises StrictError with the text of Go's decoder if it is malformed."""
    if text[at] == "-":
        at += 1
        if _char(text, at) not in _DIGITS:
            raise _unexpected(text[at], "in numeric literal")
    at = at + 1 if text[at] == "0" else _skip(text, at, _DIGITS)
    if text[at : at + 1] == ".":
        if _char(text, at + 1) not in _DIGITS:
            raise _unexpected(text[at + 1], "after decimal point in numeric literal")
        at = _skip(text, at + 1, _DIGITS)
    if text[at : at + 1] in ("e", "E"):
        at += 1
        if _char(text, at) in "+-":
            at += 1
        if _char(text, at) not in _DIGITS:
            raise _unexpected(text[at], "in exponent of numeric literal")
        at = _skip(text, at, _DIGITS)
    return at


def _skip_space(text: str, at: int) -> int:
    return _skip(text, at, _SPACE)


def _skip(text: str, at: int, characters: str) -> int:
    while at < len(text) and text[at] in characters:
        at += 1
    return at


def _char(text: str, at: int) -> str:
    if at >= len(text):
        raise StrictError("unexpected EOF")
    return text[at]


def _unexpected(char: str, where: str) -> StrictError:
    return StrictError(f"invalid character {quote_byte(ord(char))} {where}")
