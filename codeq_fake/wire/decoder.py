"""Reads request bodies as Go's encoding/json does (B1): a fast path for ordinary bodies, and an exact one."""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import Any

from .binder import bind, bind_leniently
from .encoder import Json, double, encode_sorted
from .scanner import MAX_DEPTH, scan
from .schema import ANY, LIST_OF, OBJECT, Kind, Scalar, Struct, fold

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_EXACT_DIGITS = 15  # the number of digits that a double holds
_ALIKE_FROM, _ALIKE_BELOW = 1e-4, 1e16  # between them Python and Go write doubles alike


def decode(body: bytes, struct: Struct) -> dict[str, Any]:
    """Read the first JSON value of a request body into the fields of a schema (B1). Raises BadBody (B2).

    A lenient schema refuses nothing: fields of the wrong type are passed over, and what is not JSON has no fields (B2).
    Returns the fields that are there and not null, by their names in the schema: STRING as `str`, INT as `int`, ANY and
    OBJECT as compact JSON text (T1), LIST_OF as a list, in which a null is `""` or `{}`.
    """
    try:
        return decode_ordinary(body, struct)
    except (Unusual, ValueError, RecursionError):
        return bind_leniently(body, struct) if struct.is_lenient else bind(scan(body), struct)


class Unusual(Exception):
    """The body has a part that Python and Go might read differently."""


def decode_ordinary(body: bytes, struct: Struct) -> dict[str, Any]:
    """What `decode` returns for a body that Python and Go read alike. Raises Unusual or ValueError for any other."""
    text = body.decode()
    value, _ = _DECODER.raw_decode(text)
    if b"\\" in body and _SURROGATE_ESCAPE.search(text):
        encode_sorted(value).encode()  # fails where a surrogate lacks its other half
    check_depth(body, value)
    return _bind_struct(struct, value)


def check_depth(body: bytes, value: Json) -> None:
    """Leave deep values to the scanner, which counts. Python's own limit depends on its version and settings."""
    if len(body) <= MAX_DEPTH or body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        parts = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, list | dict)]
        level = [part for container in parts for part in container]
        if not level:
            return
    raise Unusual


def _bind_struct(struct: Struct, members: Json) -> dict[str, Any]:
    """The fields of an object whose members Python and Go read alike. Raises Unusual for any other."""
    if type(members) is not dict:
        raise Unusual
    fields, plain = struct.fields, struct.plain
    bound: dict[str, Any] = {}
    for name, value in members.items():
        if type(value) is plain.get(name):
            bound[name] = value
        elif name in fields:
            if value is not None:
                bound[name] = _bind(fields[name], value)
        elif fold(name) in struct.folded:
            raise Unusual
    return bound


def _bind(kind: Kind, value: Json) -> object:
    """What `decode` returns for a value that `Struct.plain` does not cover. Raises Unusual for another type."""
    if kind is ANY or (kind is OBJECT and type(value) is dict):
        return encode_sorted(value)
    if isinstance(kind, LIST_OF) and type(value) is list:
        return [_bind_item(kind.item, item) for item in value]
    raise Unusual


def _bind_item(kind: Scalar | Struct, item: Json) -> object:
    if isinstance(kind, Struct):
        return {} if item is None else _bind_struct(kind, item)
    if item is None:
        return ""
    if type(item) is not str:
        raise Unusual
    return item


class _WholeFloat(int):
    """The value of `5.0`: written like an integer, but not an integer to Go."""

    __slots__ = ()


def _members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unusual
    return members


def _int(literal: str) -> float:
    if literal == "-0":
        raise Unusual
    return int(literal) if len(literal) <= _EXACT_DIGITS else _float(literal)


def _float(literal: str) -> float:
    """A float whose `repr` is what `encoder.double` writes: the two must agree. Raises Unusual if there is none."""
    value = float(literal)
    if _ALIKE_FROM <= abs(value) < _ALIKE_BELOW:
        return _WholeFloat(value) if value.is_integer() else value
    written = double(value)
    if written == repr(value):
        return value
    if written == "-0" or not written.removeprefix("-").isdecimal():
        raise Unusual
    return _WholeFloat(written)


def _constant(name: str) -> None:
    raise Unusual(name)


_DECODER = JSONDecoder(object_pairs_hook=_members, parse_int=_int, parse_float=_float, parse_constant=_constant)
