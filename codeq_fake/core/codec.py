"""Turns dataclasses into plain JSON values and back, by their annotations: for saved states and control calls.

A dataclass or TypedDict is an object with exactly its fields, as far as `__init__` takes them. A tuple or NamedTuple is
a list, an enumeration the name of a member. `load` refuses any other value and names its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints, is_typeddict

from codeq_fake.documents import excerpt, is_unicode

from .slices import Slices

#: The clock ends with the year 9999. Its last instant in nanoseconds has 68 bits.
_INTEGER_BITS = 68

#: The longest list that is loaded at once, of scalars and of others: more would hold up all others. A history, for one,
#: has 1,000 entries.
_MOST_SCALARS = 100_000
_MOST_ITEMS = 5000


class Int64(int):
    """The type of an integer that the contract reads from a request. A larger one would be a bad body (B1)."""


class MismatchError(ValueError):
    """A JSON value does not have the shape of its type. The text names the place, the value, and what belongs there."""

    def within(self, place: str) -> MismatchError:
        """The same error, as seen from the value that contains this one at `place`."""
        text = str(self)
        return MismatchError(f"{place}{'' if text.startswith(('[', ':')) else '.'}{text}")


class Codec(NamedTuple):
    """`dump` returns the JSON value of a value, `load` the value of a JSON value. `load` raises MismatchError."""

    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


@cache
def codec(shape: Any) -> Codec:  # noqa: ANN401, PLR0911 - any type; one line for each kind of type
    """The codec of a type."""
    origin, args = get_origin(shape), get_args(shape)
    if origin is UnionType:
        return _optional(codec(args[0]))
    if origin is list or (origin is tuple and args[-1] is Ellipsis):
        return _sequence(origin, codec(args[0]), _MOST_SCALARS if args[0] in _SCALARS else _MOST_ITEMS)
    if origin is tuple:
        return _row(tuple, [codec(arg) for arg in args])
    if origin is dict:
        return _mapping(codec(args[1]))
    if is_dataclass(shape) or is_typeddict(shape):
        left_out = {field.name for field in fields(shape) if not field.init} if is_dataclass(shape) else ()
        hints = get_type_hints(shape).items()
        return _object(shape, {name: codec(hint) for name, hint in hints if name not in left_out})
    if issubclass(shape, tuple):
        return _row(shape._make, [codec(hint) for hint in get_type_hints(shape).values()])
    if issubclass(shape, Enum):
        return _member(shape)
    return _SCALARS[shape]


def load_in_slices(shape: Any, value: Any) -> Slices[Any]:  # noqa: ANN401 - any type, any value
    """As `codec(shape).load`, with a pause after each item of the lists in a TypedDict."""
    if is_typeddict(shape):
        hints = get_type_hints(shape)
        if not isinstance(value, dict) or value.keys() != hints.keys():
            raise _mismatch(value, f"an object of {', '.join(hints)}")
        loaded = {}
        for name, hint in hints.items():
            try:
                loaded[name] = yield from load_in_slices(hint, value[name])
            except MismatchError as error:
                raise error.within(name) from None
        return loaded
    if get_origin(shape) is not list:
        return codec(shape).load(value)
    if not isinstance(value, list | tuple):
        raise _mismatch(value, "a list")
    item, items = codec(get_args(shape)[0]), []
    for index, part in enumerate(value):
        items.append(_load_at(f"[{index}]", item, part))
        yield
    return items


def _unchanged(value: Any) -> Any:  # noqa: ANN401 - any value
    return value


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise _mismatch(value, "a text")
    if not is_unicode(value):
        raise _mismatch(value, "Unicode text")
    return value


def _integer(bits: int) -> Callable[[object], object]:
    # Go's 64 bits include the sign. An instant, which may be before the epoch, has a sign besides its 68 bits.
    beyond = 1 << (bits if bits == _INTEGER_BITS else bits - 1)

    def load(value: object) -> object:
        if type(value) is not int or not -beyond <= value < beyond:
            raise _mismatch(value, f"a whole number of at most {bits} bits")
        return value

    return load


def _number(value: object) -> object:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise _mismatch(value, "a number")
    return value


_SCALARS = {
    str: Codec(_unchanged, _text),
    int: Codec(_unchanged, _integer(_INTEGER_BITS)),
    Int64: Codec(_unchanged, _integer(64)),
    float: Codec(_unchanged, _number),
}


def _member(shape: type[Enum]) -> Codec:
    def load(value: object) -> object:
        if not isinstance(value, str) or value not in shape.__members__:
            raise _mismatch(value, f"one of {', '.join(shape.__members__)}")
        return shape[value]

    return Codec(attrgetter("name"), load)


def _optional(item: Codec) -> Codec:
    return Codec(
        lambda value: None if value is None else item.dump(value),
        lambda value: None if value is None else item.load(value),
    )


def _sequence(make: Callable[[Any], Any], item: Codec, most: int) -> Codec:
    def load(value: object) -> object:
        if not isinstance(value, list | tuple):
            raise _mismatch(value, "a list")
        if len(value) > most:
            raise _mismatch(value, f"a list of at most {most} items")
        return make([_load_at(f"[{index}]", item, part) for index, part in enumerate(value)])

    return Codec(lambda values: list(map(item.dump, values)), load)


def _row(make: Callable[[Any], Any], columns: list[Codec]) -> Codec:
    """The codec of a tuple or dataclass that is a list in JSON."""

    def load(value: object) -> object:
        if not isinstance(value, list | tuple) or len(value) != len(columns):
            raise _mismatch(value, f"a list of {len(columns)}")
        pairs = enumerate(zip(columns, value, strict=True))
        return make([_load_at(f"[{index}]", column, part) for index, (column, part) in pairs])

    return Codec(lambda row: [column.dump(part) for column, part in zip(columns, row, strict=True)], load)


def _mapping(item: Codec) -> Codec:
    def load(value: object) -> object:
        if not isinstance(value, dict):
            raise _mismatch(value, "an object")
        return {name: _load_at(str(name), item, part) for name, part in value.items()}

    return Codec(lambda mapping: {name: item.dump(part) for name, part in mapping.items()}, load)


def _object(shape: Callable[..., Any], hinted: dict[str, Codec]) -> Codec:
    """The codec of a dataclass or TypedDict. A private field is saved as the property of its name."""
    parts = {name.removeprefix("_"): field for name, field in hinted.items()}
    arguments = dict(zip(parts, hinted, strict=True))
    # Most fields are scalars, and a state has many tasks: only the others are worth a call.
    converted = [(name, field.dump) for name, field in parts.items() if field.dump is not _unchanged]

    def dump(value: Any) -> dict[str, Any]:  # noqa: ANN401 - of the type `shape`
        values = dict(value) if isinstance(value, dict) else {name: getattr(value, name) for name in parts}
        for name, dump_field in converted:
            values[name] = dump_field(values[name])
        return values

    def load(value: object) -> object:
        if not isinstance(value, dict) or value.keys() != parts.keys():
            raise _mismatch(value, f"an object of {', '.join(parts)}")
        return shape(**{arguments[name]: _load_at(name, field, value[name]) for name, field in parts.items()})

    return Codec(dump, load)


def _load_at(place: str, part: Codec, value: object) -> Any:  # noqa: ANN401 - of the part's type
    """Load the value at a place of another one. An error names that place, too."""
    try:
        return part.load(value)
    except MismatchError as error:
        raise error.within(place) from None


def _mismatch(value: object, wanted: str) -> MismatchError:
    return MismatchError(f": found {excerpt(value)}, {wanted} belongs here")
