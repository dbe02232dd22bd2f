"""Why a body is a bad one (B1, B2), in words for a person: the reply says only that it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

from codeq_fake.documents import refuse_constant
from codeq_fake.wire import ANY, INT, LIST_OF, OBJECT, STRING, Kind, Scalar, Struct, fold

#: A longer body takes too long to read once more (bytes).
_LONGEST = 32 * 1024

#: By operation: the fields that its body needs.
_NEEDED = MappingProxyType(
    {
        "create": ("command", "payload"),
        "create_batch": ("tasks",),
        "claim_batch": ("count",),
        "submit": ("status",),
        "submit_batch": ("results",),
        "subscribe": ("callbackUrl",),
    }
)
#: What Python's reader of JSON says, in other words.
_EXPECTED = MappingProxyType(
    {
        "Expecting value": "a value is expected",
        "Expecting property name enclosed in double quotes": "a name in double quotes is expected",
        "Expecting ':' delimiter": "a colon is expected",
        "Expecting ',' delimiter": "a comma or the closing bracket is expected",
        "Illegal trailing comma before end of object": "a name is expected after the comma",
        "Illegal trailing comma before end of array": "a value is expected after the comma",
        "Unterminated string starting at": "the string that begins here has no end",
        "Invalid control character at": "a control character in a string has to be written as an escape",
        "Invalid \\escape": "there is no such escape",
        "Invalid \\uXXXX escape": "four hexadecimal digits are expected",
    }
)
_UNKNOWN = "the body is not the JSON that this route reads (B1, B2)"


def of_bad_body(body: bytes, struct: Struct, operation: str) -> str:
    """Why the body of an operation is refused."""
    if len(body) > _LONGEST:
        return _UNKNOWN
    try:
        value = _read(body.decode(errors="replace"))
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {_EXPECTED.get(error.msg, error.msg)} (B1)"
    except (ValueError, RecursionError) as error:
        return f"{error} (B1)"
    return next(_wrong(value, struct, ""), "") or _missing(value, operation) or _UNKNOWN


def _read(text: str) -> _Object:
    """The JSON object that a text begins with. Raises ValueError."""
    if not text.strip():
        raise ValueError("the body is empty: a JSON object is expected")
    if text.startswith("\ufeff"):
        raise ValueError("the body begins with a byte order mark, which JSON does not have")
    value, _ = _READER.raw_decode(text, len(text) - len(text.lstrip()))
    if value is not None and not isinstance(value, _Object):
        raise ValueError(f"a JSON object is expected, not {_name(value)}")
    return value or _Object()


class _Object(list[tuple[str, Any]]):
    """A JSON object with all its members, repeated ones too."""


_READER = json.JSONDecoder(object_pairs_hook=_Object, parse_constant=refuse_constant)


def _wrong(value: _Object, struct: Struct, path: str) -> Iterator[str]:
    """The fields with a value of another type than expected."""
    for name, member in value:
        field = struct.folded.get(fold(name))
        if field is not None and member is not None:
            yield from _mistaken(member, struct.fields[field], f"{path}{field}")


def _mistaken(value: Any, kind: Kind, path: str) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(kind, Struct) and isinstance(value, _Object):
        yield from _wrong(value, kind, f"{path}.")
    elif isinstance(kind, LIST_OF) and type(value) is list:
        for index, item in enumerate(value):
            if item is not None:
                yield from _mistaken(item, kind.item, f"{path}[{index}]")
    elif not _fits(value, kind):
        yield f"`{path}` is {_name(value)}: {_wanted(kind)} is expected (B1)"


def _fits(value: object, kind: Kind) -> bool:
    if kind is INT:
        return type(value) is int and -(2**63) <= value < 2**63
    types = {STRING: str, OBJECT: _Object, ANY: object}
    return isinstance(kind, Scalar) and isinstance(value, types[kind])


def _wanted(kind: Kind) -> str:
    if kind is STRING:
        return "a string"
    if kind is INT:
        return "a whole number"
    return "a list" if isinstance(kind, LIST_OF) else "an object"


def _name(value: object) -> str:
    names = {_Object: "an object", list: "a list", str: "a string", bool: str(value).lower()}
    return names.get(type(value), f"the number {value}")


def _missing(value: _Object, operation: str) -> str:
    """The complaint about the first field that the operation needs and that is missing or empty; "" without one."""
    given = {fold(name): member for name, member in value if member is not None}
    needed: Sequence[str] = _NEEDED.get(operation, ())
    for name in needed:
        if fold(name) not in given:
            return f"`{name}` is missing"
        if given[fold(name)] in ("", []):
            return f"`{name}` is empty"
    return "`count` must be 1 or more" if operation == "claim_batch" else ""
