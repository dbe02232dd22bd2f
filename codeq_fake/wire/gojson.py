"""Reads a request body as Go's encoding/json does (contract section 2): ordinary bodies fast, all others exactly."""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import Any

from .bind import bind
from .encode import encode_sorted
from .scan import MAX_DEPTH, scan
from .schema import ANY, INT, LIST_OF, OBJECT, STRING, Kind, Struct, fold

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_EXACT_INTEGERS = 2**53
_ALIKE_FROM, _ALIKE_BELOW = 1e-4, 1e16


def decode(body: bytes, struct: Struct) -> dict[str, Any]:
    """Reads the first JSON value of a request body into the fields of a schema (B1).

    Returns:
        The fields that are there and not null, by their names in the schema: STRING as `str`, INT as `int`,
        ANY and OBJECT as T1 text, LIST_OF as a list, in which a null is ``""`` or ``{}``.

    Raises:
        BadBody: Go would refuse the body (B2).

    """
    try:
        return _decode_ordinary(body, struct)
    except (_Unusual, ValueError, RecursionError):
        return bind(scan(body), struct)


class _Unusual(Exception):
    """The body holds something that Python's JSON and Go's do not treat alike."""


def _decode_ordinary(body: bytes, struct: Struct) -> dict[str, Any]:
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        raise _Unusual
    text = body.decode()
    if r"\u" in text and _SURROGATE_ESCAPE.search(text):
        raise _Unusual
    value, _ = _DECODER.raw_decode(text)
    return _bind_struct(struct, value)


def _bind_struct(struct: Struct, members: Any) -> dict[str, Any]:
    if type(members) is not dict:
        raise _Unusual
    fields = struct.fields
    bound: dict[str, Any] = {}
    for name, value in members.items():
        kind = fields.get(name)
        if kind is None:
            if fold(name) in struct.folded:
                raise _Unusual
        elif value is not None:
            bound[name] = _bind(kind, value)
    return bound


def _bind(kind: Kind, value: Any) -> Any:
    if kind is STRING:
        if type(value) is str:
            return value
    elif kind is INT:
        if type(value) is int:
            return value
    elif kind is ANY or (kind is OBJECT and type(value) is dict):
        return encode_sorted(value)
    elif isinstance(kind, LIST_OF) and type(value) is list:
        return [_bind_item(kind.item, item) for item in value]
    raise _Unusual


def _bind_item(kind: Kind, item: Any) -> Any:
    if isinstance(kind, Struct):
        return {} if item is None else _bind_struct(kind, item)
    return "" if item is None else _bind(kind, item)


class _WholeFloat(int):
    """What ``5.0`` is worth: written like the integer, but no integer to Go."""

    __slots__ = ()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Unusual
    return members


def _int(literal: str) -> int:
    value = int(literal)
    if not -_EXACT_INTEGERS <= value <= _EXACT_INTEGERS or literal == "-0":
        raise _Unusual
    return value


def _float(literal: str) -> float:
    value = float(literal)
    if not _ALIKE_FROM <= abs(value) < _ALIKE_BELOW:
        raise _Unusual
    return _WholeFloat(value) if value.is_integer() else value


def _constant(name: str) -> None:
    raise _Unusual(name)


_DECODER = JSONDecoder(object_pairs_hook=_members, parse_int=_int, parse_float=_float, parse_constant=_constant)
