"""Writes scanned JSON as T1 text: as Go encodes a value that it has decoded into an `any`."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf
from operator import itemgetter

from .encoder import double, quote
from .scanner import Members, Number, Value
from .schema import BadBody


def t1_text(value: Value) -> str:
    """Compact text with sorted names, numbers as doubles, and the last value of a repeated name (T1).

    `check_doubles` has been called on the value. Open containers are on an explicit stack, since values can be deep.
    """
    written: list[str] = []
    open_parts = [_items([value])]
    endings = [""]
    while open_parts:
        for prefix, part in open_parts[-1]:
            written.append(prefix)
            if isinstance(part, Members):
                written.append("{")
                open_parts.append(_members(part))
                endings.append("}")
                break
            if isinstance(part, list):
                written.append("[")
                open_parts.append(_items(part))
                endings.append("]")
                break
            written.append(_scalar(part))
        else:
            open_parts.pop()
            written.append(endings.pop())
    return "".join(written)


def check_doubles(value: Value) -> None:
    """Raise BadBody for a number beyond a double's range, also if a repeated name hides it (B1)."""
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Members):
            pending.extend(member for _, member in part.pairs)
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, Number) and isinf(float(part.literal)):
            raise BadBody


def _items(items: list[Value]) -> Iterator[tuple[str, Value]]:
    for index, item in enumerate(items):
        yield "," if index else "", item


def _members(members: Members) -> Iterator[tuple[str, Value]]:
    for index, (name, member) in enumerate(sorted(dict(members.pairs).items(), key=itemgetter(0))):
        yield f"{',' if index else ''}{quote(name)}:", member


def _scalar(value: str | Number | bool | None) -> str:  # noqa: FBT001 - a JSON value, no flag
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Number):
        return double(float(value.literal))
    if value is None:
        return "null"
    return "true" if value else "false"
