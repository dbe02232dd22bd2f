"""Reads scanned JSON into a schema, as Go decodes into structs: case folding, repeated names, nulls and all."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isinf
from typing import Any

from .encode import number, quote
from .scan import Members, Number, Value
from .schema import ANY, INT, LIST_OF, OBJECT, STRING, BadBody, Kind, Scalar, Struct, fold

_INT64_DIGITS = 19
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def bind(value: Value, struct: Struct) -> dict[str, Any]:
    """The fields that the body sets, by their names in the schema; values of ANY and OBJECT as T1 text.

    Raises:
        BadBody: a value has a type or a size that Go refuses.

    """
    fields: dict[str, Any] = _assign(struct, {}, value)
    return _settle_struct(struct, fields)


@dataclass(slots=True)
class _Slice:
    """A Go slice: shortened, it keeps what lies behind its end, and a later value grows over it."""

    items: list[Any] = field(default_factory=list)
    length: int = 0


def _assign(kind: Kind, old: Any, value: Value) -> Any:
    """What a variable that held `old` holds once `value` has been decoded into it; None is the zero value.

    A name may be repeated in a body, so a variable may be assigned to more than once (B1).
    """
    if value is None:
        return old if kind is STRING or kind is INT or isinstance(kind, Struct) else None
    if isinstance(kind, Scalar):
        return _assign_scalar(kind, old, value)
    if isinstance(kind, Struct):
        return _assign_struct(kind, {} if old is None else old, value)
    return _assign_slice(kind, _Slice() if old is None else old, value)


def _assign_scalar(kind: Scalar, old: Any, value: Value) -> Any:
    if kind is ANY:
        _check_numbers(value)
        return value
    if kind is OBJECT and isinstance(value, Members):
        _check_numbers(value)
        if old is None:
            return value
        old.extend(value)  # Go decodes into the map that is there
        return old
    if kind is INT and isinstance(value, Number):
        return _integer(value)
    if kind is STRING and isinstance(value, str) and not isinstance(value, Number):
        return value
    raise BadBody


def _assign_struct(struct: Struct, fields: dict[str, Any], value: Value) -> dict[str, Any]:
    if not isinstance(value, Members):
        raise BadBody
    for written, member in value:
        name = struct.folded.get(fold(written))
        if name is not None:
            fields[name] = _assign(struct.fields[name], fields.get(name), member)
    return fields


def _assign_slice(kind: LIST_OF, old: _Slice, value: Value) -> _Slice:
    if not isinstance(value, list) or isinstance(value, Members):
        raise BadBody
    if not value:
        return _Slice()
    for index, item in enumerate(value):
        if index == len(old.items):
            old.items.append(None)
        old.items[index] = _assign(kind.item, old.items[index], item)
    old.length = len(value)
    return old


def _check_numbers(value: Value) -> None:
    """Refuses a number beyond a double's range, even where a repeated name overwrites it."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Members):
            pending.extend(member for _, member in part)
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, Number) and isinf(float(part)):
            raise BadBody


def _integer(literal: Number) -> int:
    """An int64: neither ``5.0`` nor ``1e1`` is one (B1)."""
    if not literal.removeprefix("-").isdecimal() or len(literal.removeprefix("-")) > _INT64_DIGITS:
        raise BadBody
    integer = int(literal)
    if not _INT64_MIN <= integer <= _INT64_MAX:
        raise BadBody
    return integer


def _settle_struct(struct: Struct, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _settle(struct.fields[name], held) for name, held in fields.items() if held is not None}


def _settle(kind: Kind, held: Any) -> Any:
    if kind is ANY or kind is OBJECT:
        return text(held)
    if isinstance(kind, LIST_OF):
        return [_settle_item(kind.item, item) for item in held.items[: held.length]]
    return held


def _settle_item(kind: Scalar | Struct, held: Any) -> Any:
    if isinstance(kind, Struct):
        return _settle_struct(kind, held or {})
    return held or ""


def text(value: Value) -> str:
    """The T1 text of a scanned value. Any nesting: what is still to be written is on a stack of its own."""
    written: list[str] = []
    pending: list[tuple[str, Value] | str] = [("", value)]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            written.append(part)
            continue
        prefix, value = part
        written.append(prefix)
        if isinstance(value, Members):
            members = sorted(dict(value).items(), key=lambda member: member[0], reverse=True)
            written.append("{")
            pending.append("}")
            last = len(members) - 1
            pending.extend(
                (f"{'' if i == last else ','}{quote(name)}:", member) for i, (name, member) in enumerate(members)
            )
        elif isinstance(value, list):
            written.append("[")
            pending.append("]")
            pending.extend(("," if index else "", item) for index, item in reversed(list(enumerate(value))))
        else:
            written.append(_scalar(value))
    return "".join(written)


_WORDS = {None: "null", True: "true", False: "false"}


def _scalar(value: str | bool | None) -> str:  # noqa: FBT001 - a JSON value
    if isinstance(value, Number):
        return number(float(value))
    if isinstance(value, str):
        return quote(value)
    return _WORDS[value]
