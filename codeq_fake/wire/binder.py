"""Reads scanned JSON into a schema as Go decodes into a struct: with folded names, repeated names and nulls.

A repeated name decodes into the same Go variable again, and parts of the earlier value can remain. So `_assign` gets
what the variable holds, None if it is new, and returns what it holds afterwards.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from .encoder import check_doubles, t1_text
from .scanner import Members, Number, Value, int64, scan
from .schema import ANY, INT, LIST_OF, OBJECT, STRING, BadBody, Kind, Scalar, Struct, fold


class _Slice(NamedTuple):
    """A Go slice. `items` is its backing array, of which the first `length` items count (None: null).

    Items beyond the length stay, and a longer list later decodes into them.
    """

    items: list[Any]
    length: int | None


def bind(value: Value, struct: Struct) -> dict[str, Any]:
    """The fields that the body sets, by their names in the schema; those of ANY and OBJECT as compact JSON text (T1).

    Raises BadBody for a value of a type or size that Go refuses.
    """
    fields: dict[str, Any] = _read(struct, _assign(struct, None, value))
    return fields


def bind_leniently(body: bytes, struct: Struct) -> dict[str, Any]:
    """As `bind`, of a body. What cannot be read is passed over, and a field keeps what an earlier one set (B2)."""
    fields: dict[str, Any] = {}
    with suppress(BadBody):
        value = scan(body)
        for written, member in value.pairs if isinstance(value, Members) else ():
            name = struct.folded.get(fold(written))
            if name is not None:
                with suppress(BadBody):
                    fields[name] = _assign(struct.fields[name], fields.get(name), member)
    read: dict[str, Any] = _read(struct, fields)
    return read


def _assign(kind: Kind, held: Any, value: Value) -> Any:  # noqa: ANN401 - depends on the kind
    """What a variable holds after `value` was decoded into it."""
    if isinstance(kind, Scalar):
        return _assign_scalar(kind, held, value)
    if isinstance(kind, LIST_OF):
        if not isinstance(value, list | None):
            raise BadBody
        # Go decodes into the items that are there. An empty list or null gets new ones.
        items = held.items if held and value else []
        for index, item in enumerate(value or ()):
            if index == len(items):
                items.append(None)
            items[index] = _assign(kind.item, items[index], item)
        return _Slice(items, None if value is None else len(value))
    if not isinstance(value, Members | None):
        raise BadBody
    fields = held or {}
    for written, member in value.pairs if value else ():
        name = kind.folded.get(fold(written))
        if name is not None:
            fields[name] = _assign(kind.fields[name], fields.get(name), member)
    return fields


def _assign_scalar(kind: Scalar, held: Any, value: Value) -> Any:  # noqa: ANN401 - as above
    """As `_assign`, for a variable that is neither a list nor a struct."""
    if kind in (ANY, OBJECT):
        if kind is OBJECT and not isinstance(value, Members | None):
            raise BadBody
        check_doubles(value)
        if kind is ANY or value is None or held is None:
            return value
        held.pairs.extend(value.pairs)  # type: ignore[union-attr]  # Members, as just checked
        return held
    if value is None:
        return held
    if kind is STRING and isinstance(value, str):
        return value
    if kind is INT and isinstance(value, Number):
        return int64(value.literal)
    raise BadBody


def _read(kind: Kind, held: Any) -> Any:  # noqa: ANN401 - as above
    """The value of a variable, or None if it is the zero value."""
    if isinstance(kind, Struct):
        fields = {name: _read(kind.fields[name], part) for name, part in held.items()}
        return {name: value for name, value in fields.items() if value is not None}
    if held is None:
        return None
    if isinstance(kind, LIST_OF):
        if held.length is None:
            return None
        zero = 0 if kind.item is INT else ""
        items = [_read(kind.item, item) for item in held.items[: held.length]]
        return [zero if item is None else item for item in items]
    return t1_text(held) if kind in (ANY, OBJECT) else held
