"""Writes scanned JSON as T1 text: Go's encoding of what it has read into an ``any``."""

from __future__ import annotations

from math import isinf
from typing import TYPE_CHECKING

from .encoder import double, quote
from .scanner import Members, Number
from .schema import BadBody

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .scanner import Value


def t1_text(value: Value) -> str:
    """Compact text, names sorted, numbers as doubles (T1). Of a repeated name the last value is written.

    `check_doubles` has been called on the value. Deep values are no trouble: what is open is on a stack of its own.
    """
    written: list[str] = []
    open_parts = [_only(value)]
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
    """Refuses a number beyond a double's range, even one that a repeated name hides (B1).

    Raises:
        BadBody: there is one.

    """
    pending = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Members):
            pending.extend(member for _, member in part.pairs)
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, Number) and isinf(float(part.literal)):
            raise BadBody


def _only(value: Value) -> Iterator[tuple[str, Value]]:
    yield "", value


def _items(items: list[Value]) -> Iterator[tuple[str, Value]]:
    comma = ""
    for item in items:
        yield comma, item
        comma = ","


def _members(members: Members) -> Iterator[tuple[str, Value]]:
    comma = ""
    for name, member in sorted(dict(members.pairs).items(), key=lambda pair: pair[0]):
        yield f"{comma}{quote(name)}:", member
        comma = ","


def _scalar(value: str | Number | bool | None) -> str:  # noqa: FBT001 - a JSON value, no flag
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Number):
        return double(float(value.literal))
    if value is None:
        return "null"
    return "true" if value else "false"
