"""Conversion between Python values and JSON values, in both directions and without loss.

`to_json` keeps every value as it is or refuses it: no key is renamed, no `None` dropped, no digit lost. `from_json`
builds the types that users name: dataclasses, attrs classes, pydantic models, containers, scalars.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from functools import lru_cache
from inspect import isabstract
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from uuid import UUID

from codeq_client._compat.attrs import attrs_fields
from codeq_client._display import excerpt
from codeq_client.errors import ConfigurationError, DecodeError, EncodeError

T = TypeVar("T")
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

WRAPPER = "$value"
"""The only key of the object that wraps a result that is not an object: the server stores only objects (S2)."""


_UNCHANGED = frozenset({str, bool, type(None)})
_MOST_EXACT = 2**53
"""Up to here doubles hold every integer."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(value: object, path: str = "$") -> Json:
    """Return `value` as JSON values: dataclasses, attrs and pydantic objects become objects, times ISO strings.

    Raises `EncodeError`, with the path, for a value that JSON or the server's doubles (T1) would change, and for one
    whose own code fails, such as a serializer of pydantic.
    """
    try:
        return _to_json(value, path)
    except EncodeError:
        raise
    except RecursionError:
        raise EncodeError("the value contains itself, or is nested too deeply") from None
    except Exception as error:
        raise EncodeError(f"{path}: it cannot be encoded: {type(error).__name__}: {excerpt(str(error))}") from error


def _to_json(value: object, path: str) -> Json:  # noqa: PLR0911 - a dispatch on types: one return for each
    """Return a value as JSON has it. `path` says where it is, for the text of an `EncodeError`."""
    kind = type(value)
    # Most values, and quicker than the dispatch.
    if kind in _UNCHANGED or (kind is int and -_MOST_EXACT <= value <= _MOST_EXACT):  # type: ignore[operator]  # an int
        return value  # type: ignore[return-value]  # one of these types
    match value:
        case Enum():  # before str and int, which it may be as well
            return _to_json(value.value, path)
        case str():
            return str(value)
        case int():
            return _exact_int(int(value), path)
        case float():
            return _finite(float(value), path)
        case dict() | Mapping():  # a dict is told from other mappings more quickly
            return {_key(key, path): _to_json(item, f"{path}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [_to_json(item, f"{path}[{index}]") for index, item in enumerate(value)]
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return _to_json(_fields_of(value, path), path)


def _fields_of(value: object, path: str) -> object:
    """Return the fields of a dataclass, an attrs object or a pydantic model. Raises `EncodeError` for other objects."""
    kind: Any = type(value)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)}
    if (fields := attrs_fields(kind)) is not None:
        return {field.name: getattr(value, field.name) for field in fields}
    if hasattr(kind, "model_dump"):  # pydantic, which is not imported either
        return kind.model_dump(value, mode="json", by_alias=True)  # as `model_validate` reads it
    raise EncodeError(f"{path}: a {kind.__name__} is not a JSON value; pass a dict, a dataclass or a model")


def _exact_int(value: int, path: str) -> int:
    try:
        exact = int(float(value)) == value
    except OverflowError:
        exact = False
    if not exact:  # T1: the server keeps numbers as doubles
        raise EncodeError(f"{path}: the server would round the integer {value}; send it as text")
    return value


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise EncodeError(f"{path}: JSON has no {value}; send None or text")
    return value


def _key(key: object, path: str) -> str:
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise EncodeError(f"{path}: the key {key!r} is not a string, and JSON has no other keys")
    return str(key)


def dumps(value: object) -> bytes:
    """Return `value` as UTF-8 JSON text; raises `EncodeError` as `to_json` does."""
    return encode(to_json(value))


def encode(value: Json) -> bytes:
    """Return JSON values as UTF-8 text; raises `EncodeError` for a text that is none."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"a text contains a lone surrogate, which is not a character: {error}") from None
    except RecursionError:
        raise EncodeError("the value contains itself, or is nested too deeply") from None


def wrap_result(value: object) -> dict[str, Json]:
    """Return the object that the server stores for the result `value`; `unwrap_result` is the inverse."""
    encoded = to_json(value)
    if isinstance(encoded, dict) and encoded.keys() != {WRAPPER}:
        return encoded
    return {WRAPPER: encoded}


def unwrap_result(stored: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value that `wrap_result` stored as `stored`."""
    return stored[WRAPPER] if stored.keys() == {WRAPPER} else stored


def from_json(kind: type[T], value: object, path: str = "$") -> T:
    """Return the JSON `value` as an instance of `kind`.

    Unknown keys of an object are ignored, missing keys take their default. Raises `DecodeError`, with the path, for a
    value that does not fit, and `ConfigurationError` for a `kind` that no JSON value can become.
    """
    return cast("T", _from_json(kind, value, path))


def _from_json(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401, PLR0911 - a dispatch on any type
    """Return `value` as `kind`. Special kinds come first: the last test compares the value's type with `kind`."""
    if kind is Any or kind is object:
        return value
    if hasattr(kind, "model_validate"):  # pydantic
        return _convert(kind.model_validate, value, path)
    if (origin := get_origin(kind)) is not None:
        return _from_json_generic(kind, origin, value, path)
    if _is_record(kind):
        return _build(kind, value, path)
    if kind is float and type(value) is int:  # not bool
        return _convert(float, value, path)
    if kind in {datetime, date, time}:
        return _convert(kind.fromisoformat, value, path)
    if isinstance(kind, type) and issubclass(kind, Enum | UUID):
        return _convert(kind, value, path)
    if is_typeddict(kind):
        return _typed_dict(kind, value, path)
    expected = type(None) if kind is None else kind
    if not isinstance(expected, type):
        raise _unsupported_type(kind)
    return _check(type(value) is expected, value, expected.__name__, path)


def _from_json_generic(kind: Any, origin: Any, value: Any, path: str) -> Any:  # noqa: ANN401 - any type and value
    """Return `value` as a type with arguments, such as `list[int]` or `Order | None`."""
    arguments = get_args(kind)
    if origin in {Union, types.UnionType}:
        return _first_fit(arguments, value, path)
    if origin is Literal:
        return _check(any(value == a and type(value) is type(a) for a in arguments), value, str(kind), path)
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        _check(isinstance(value, list) and len(value) == len(arguments), value, f"a list of {len(arguments)}", path)
        return tuple(
            _from_json(a, item, f"{path}[{i}]") for i, (a, item) in enumerate(zip(arguments, value, strict=True))
        )
    if not isinstance(origin, type):
        raise _unsupported_type(kind)
    if issubclass(origin, Mapping) and not issubclass(origin, Counter | defaultdict) and arguments:
        _check(isinstance(value, dict), value, "an object", path)
        members = {
            _key_from_json(arguments[0], key, f"{path}.{key}"): _from_json(arguments[1], item, f"{path}.{key}")
            for key, item in value.items()
        }
        return members if isabstract(origin) else _convert(origin, members, path)
    if issubclass(origin, Sequence | set | frozenset) and arguments:
        _check(isinstance(value, list), value, "a list", path)
        items = [_from_json(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value)]
        return items if isabstract(origin) else _convert(origin, items, path)
    if _is_record(origin):
        return _build(origin, value, path)
    raise _unsupported_type(kind)


def _key_from_json(kind: Any, key: str, path: str) -> Any:  # noqa: ANN401 - any type
    """Return a key of an object as `kind`. JSON has only strings for keys, which are what most kinds stand for."""
    is_other = isinstance(kind, type) and kind is not object and not issubclass(kind, str)
    return _from_json(kind, key, path) if is_other else key


def _is_record(kind: Any) -> bool:  # noqa: ANN401 - any type
    return dataclasses.is_dataclass(kind) or attrs_fields(kind) is not None


def _first_fit(kinds: tuple[Any, ...], value: object, path: str) -> object:
    """Return the value as the first of the kinds that takes it; raises `DecodeError` with the reasons of all."""
    failures = []
    for kind in kinds:
        try:
            return _from_json(kind, value, path)
        except DecodeError as error:
            failures.append(str(error))
    raise DecodeError("; ".join(failures))


def _build(kind: type, value: Any, path: str) -> object:  # noqa: ANN401 - any JSON value
    _check(isinstance(value, dict), value, f"an object ({kind.__name__})", path)
    known = {
        argument: _from_json(hint, value[name], f"{path}.{name}")
        for name, argument, hint in _arguments(kind)
        if name in value
    }
    return _convert(lambda fields: kind(**fields), known, path)


def _typed_dict(kind: Any, value: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 - any TypedDict and JSON value
    """Return an object with the keys of a TypedDict; other keys stay as they are."""
    _check(isinstance(value, dict), value, f"an object ({kind.__name__})", path)
    fields = _typed_dict_fields(kind)
    for name, (_, required) in fields.items():
        _check(name in value or not required, value, f"an object with the key {name!r}", path)
    return {
        name: _from_json(fields[name][0], item, f"{path}.{name}") if name in fields else item
        for name, item in value.items()
    }


@lru_cache(maxsize=256)
def _typed_dict_fields(kind: Any) -> Mapping[str, tuple[Any, bool]]:  # noqa: ANN401 - any TypedDict
    """Return type of each key, and whether it is required, which with postponed annotations only the hints know."""
    marks = {Required: True, NotRequired: False}
    hints, marked = _hints(kind), _hints(kind, include_extras=True)
    return {
        name: (hint, marks.get(get_origin(marked[name]), name in kind.__required_keys__))
        for name, hint in hints.items()
    }


@lru_cache(maxsize=256)
def _arguments(kind: type) -> Sequence[tuple[str, str, Any]]:
    """Return name, argument of `__init__`, and type of each field: in attrs, the argument of `_x` is `x`."""
    hints = _hints(kind)
    fields: Any = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else attrs_fields(kind)
    return [(f.name, getattr(f, "alias", f.name), hints.get(f.name, Any)) for f in fields if f.init]


def _hints(kind: type, *, include_extras: bool = False) -> dict[str, Any]:
    try:
        return get_type_hints(kind, include_extras=include_extras)
    except NameError as error:
        raise ConfigurationError(f"{kind.__name__}: {error}; import it for more than type checking") from error


def _convert(make: Callable[[Any], Any], value: object, path: str) -> object:
    try:
        return make(value)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DecodeError(f"{path}: {error}") from error


def _check(fits: bool, value: object, expected: str, path: str) -> object:  # noqa: FBT001 - the checked condition itself
    if not fits:
        raise DecodeError(f"{path}: expected {expected}, got {value!r:.80}")
    return value


def _unsupported_type(kind: object) -> ConfigurationError:
    return ConfigurationError(f"{kind!r} cannot be the type of a payload or a result")
