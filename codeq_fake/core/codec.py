"""Whether a JSON value has the shape of a type: what is wrong with it is said with its place."""

from __future__ import annotations

import math
from dataclasses import is_dataclass
from enum import Enum
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints, is_typeddict

from .task import Artifact

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[object], None]

#: The clock ends with the year 9999, whose instants in nanoseconds take 68 bits.
_LARGEST = 1 << 68
_BEYOND_INT64 = 1 << 63

#: What the annotations of the core name without importing it.
_NAMES = {"Artifact": Artifact}


class Int64(int):
    """The shape of a number that the contract reads: any other is a bad body there (B1)."""


class MisshapenError(ValueError):
    """A value is not of its type's shape; the text says where, and what belongs there."""

    def within(self, place: str) -> MisshapenError:
        """The same, seen from the value that has this one at ``place``."""
        text = str(self)
        return MisshapenError(f"{place}{'' if text.startswith(('[', ':')) else '.'}{text}")


def checker(shape: Any) -> Check:  # noqa: ANN401, PLR0911 - any type; one line for each kind of it
    """A function that raises :class:`MisshapenError` for what ``shape`` would not look like as JSON.

    A dataclass or TypedDict is an object with exactly its fields, a NamedTuple a list, an enumeration a member's name.
    """
    origin, args = get_origin(shape), get_args(shape)
    if origin is UnionType:
        return _optional(checker(args[0]))
    if origin is list or (origin is tuple and args[-1] is Ellipsis):
        return _list(checker(args[0]))
    if origin is tuple:
        return _row([checker(arg) for arg in args])
    if origin is dict:
        return _mapping(checker(args[1]))
    if is_dataclass(shape) or is_typeddict(shape):
        return _object({name: checker(hint) for name, hint in _fields(shape).items()})
    if issubclass(shape, tuple):
        return _row([checker(hint) for hint in _fields(shape).values()])
    if issubclass(shape, Enum):
        return _one_of(shape.__members__)
    return _SCALARS[shape]


def _fields(shape: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return get_type_hints(shape, localns=_NAMES)


def _text(value: object) -> None:
    if not isinstance(value, str):
        raise _misfit(value, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _misfit(value, "Unicode text") from None


def _integer(value: object) -> None:
    if type(value) is not int or not -_LARGEST <= value < _LARGEST:
        raise _misfit(value, "a whole number of at most 68 bits")


def _int64(value: object) -> None:
    if type(value) is not int or not -_BEYOND_INT64 <= value < _BEYOND_INT64:
        raise _misfit(value, "a whole number of at most 64 bits")


def _number(value: object) -> None:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise _misfit(value, "a number")


_SCALARS: dict[type, Check] = {str: _text, int: _integer, Int64: _int64, float: _number}


def _one_of(names: Any) -> Check:  # noqa: ANN401 - any container of texts
    def check(value: object) -> None:
        if not isinstance(value, str) or value not in names:
            raise _misfit(value, f"one of {', '.join(names)}")

    return check


def _optional(known: Check) -> Check:
    def check(value: object) -> None:
        if value is not None:
            known(value)

    return check


def _list(item: Check) -> Check:
    def check(value: object) -> None:
        if not isinstance(value, list | tuple):
            raise _misfit(value, "a list")
        for index, one in enumerate(value):
            _inside(item, one, f"[{index}]")

    return check


def _mapping(item: Check) -> Check:
    def check(value: object) -> None:
        if not isinstance(value, dict):
            raise _misfit(value, "an object")
        for name, one in value.items():
            _inside(item, one, str(name))

    return check


def _row(columns: list[Check]) -> Check:
    def check(value: object) -> None:
        if not isinstance(value, list | tuple) or len(value) != len(columns):
            raise _misfit(value, f"a list of {len(columns)}")
        for index, (column, one) in enumerate(zip(columns, value, strict=True)):
            _inside(column, one, f"[{index}]")

    return check


def _object(fields: dict[str, Check]) -> Check:
    def check(value: object) -> None:
        if not isinstance(value, dict) or value.keys() != fields.keys():
            raise _misfit(value, f"an object of {', '.join(fields)}")
        for name, field in fields.items():
            _inside(field, value[name], name)

    return check


def _inside(check: Check, value: object, place: str) -> None:
    try:
        check(value)
    except MisshapenError as misfit:
        raise misfit.within(place) from None


def _misfit(value: object, wanted: str) -> MisshapenError:
    found = ascii(value)
    return MisshapenError(f": found {found if len(found) <= 40 else found[:37] + '...'}, {wanted} belongs here")  # noqa: PLR2004 - a line's worth
