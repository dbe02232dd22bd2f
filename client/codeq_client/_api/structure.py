"""JSON values to the types that users name: dataclasses, attrs classes, pydantic models, containers, scalars."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints, is_typeddict
from uuid import UUID

from codeq_client.errors import ConfigurationError, DecodeError

T = TypeVar("T")


def structure(kind: type[T], value: object, path: str = "$") -> T:
    """Return the JSON `value` as an instance of `kind`.

    Unknown keys of an object are ignored, missing ones take their default. Raises `DecodeError` with the path to
    what does not fit, and `ConfigurationError` for a `kind` that no JSON value can become.
    """
    return cast("T", _structure(kind, value, path))


def _structure(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401, PLR0911  # a dispatch on any type
    if kind is Any or kind is object:
        return value
    if hasattr(kind, "model_validate"):
        return _convert(kind.model_validate, value, path)
    if get_origin(kind) is not None:
        return _generic(kind, value, path)
    if dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__"):
        return _object(kind, value, path)
    if kind is float and type(value) is int:
        return float(value)
    if kind in {datetime, date, time}:
        return _convert(kind.fromisoformat, value, path)
    if isinstance(kind, type) and issubclass(kind, Enum | UUID):
        return _convert(kind, value, path)
    if is_typeddict(kind):
        return _check(isinstance(value, dict), value, "an object", path)
    expected = type(None) if kind is None else kind
    if not isinstance(expected, type):
        raise ConfigurationError(f"{kind!r} is no type that a payload or a result can have")
    return _check(type(value) is expected, value, expected.__name__, path)


def _generic(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value, or any type
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return _union(arguments, value, path)
    if origin is Literal:
        return _check(any(value == a and type(value) is type(a) for a in arguments), value, str(kind), path)
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        _check(isinstance(value, list) and len(value) == len(arguments), value, f"a list of {len(arguments)}", path)
        return tuple(
            _structure(a, item, f"{path}[{i}]") for i, (a, item) in enumerate(zip(arguments, value, strict=True))
        )
    if issubclass(origin, Mapping):
        _check(isinstance(value, dict), value, "an object", path)
        return {key: _structure(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if issubclass(origin, Sequence | set | frozenset):
        _check(isinstance(value, list), value, "a list", path)
        items = [_structure(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value)]
        return origin(items) if origin in {tuple, set, frozenset} else items
    if dataclasses.is_dataclass(origin) or hasattr(origin, "__attrs_attrs__"):
        return _object(origin, value, path)
    raise ConfigurationError(f"{kind!r} is no type that a payload or a result can have")


def _union(kinds: tuple[Any, ...], value: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value, or any type
    failures = []
    for kind in kinds:
        try:
            return _structure(kind, value, path)
        except DecodeError as error:
            failures.append(str(error))
    raise DecodeError("; ".join(failures))


def _object(kind: type, value: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value, or any type
    _check(isinstance(value, dict), value, f"an object ({kind.__name__})", path)
    known = {
        argument: _structure(hint, value[name], f"{path}.{name}")
        for name, argument, hint in _fields(kind)
        if name in value
    }
    return _convert(lambda fields: kind(**fields), known, path)


@lru_cache(maxsize=256)
def _fields(kind: type) -> Sequence[tuple[str, str, Any]]:
    """Return name, argument of `__init__`, and type of each field: in attrs, the argument of `_x` is `x`."""
    try:
        hints = get_type_hints(kind)
    except NameError as error:
        raise ConfigurationError(f"{kind.__name__}: {error}; import it for more than type checking") from error
    fields: Any = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else kind.__attrs_attrs__  # type: ignore[attr-defined]  # attrs
    return [(f.name, getattr(f, "alias", f.name), hints.get(f.name, Any)) for f in fields if f.init]


def _convert(make: Callable[[Any], Any], value: Any, path: str) -> Any:  # noqa: ANN401  # any JSON value, or any type
    try:
        return make(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise DecodeError(f"{path}: {error}") from error


def _check(fits: bool, value: Any, expected: str, path: str) -> Any:  # noqa: ANN401, FBT001  # any JSON value, or any type; the checked condition itself
    if not fits:
        raise DecodeError(f"{path}: expected {expected}, got {value!r:.80}")
    return value
