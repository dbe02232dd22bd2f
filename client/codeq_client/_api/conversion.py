"""Python values to JSON values and text, unchanged or refused: no key is renamed, no `None` dropped, no digit lost."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any, TypeAlias
from uuid import UUID

from codeq_client.errors import EncodeError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

WRAPPER = "$value"
"""The only key of the object that carries a result which is no object: the server stores objects alone (S2)."""


def to_json(value: object, path: str = "$") -> Json:  # noqa: PLR0911  # a dispatch on types: one return for each
    """Return `value` as JSON values: dataclasses, attrs and pydantic objects become objects, times ISO text.

    Raises `EncodeError` for what JSON or the server's doubles (T1) would change; `path` leads to it.
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return to_json(value.value, path)
        case str():
            return str(value)
        case int():
            return _exact_int(int(value), path)
        case float():
            return _finite(float(value), path)
        case Mapping():
            return {_key(key, path): to_json(item, f"{path}.{key}") for key, item in value.items()}
        case list() | tuple():
            return [to_json(item, f"{path}[{index}]") for index, item in enumerate(value)]
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return to_json(_object(value, path), path)


def _object(value: object, path: str) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    kind: Any = type(value)  # attrs and pydantic are told by their marks: we import neither
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "model_dump"):
        return kind.model_dump(value, mode="json", by_alias=True)  # as `model_validate` reads it
    raise EncodeError(f"{path}: a {type(value).__name__} is no JSON value; pass a dict, a dataclass or a model")


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
    if not isinstance(key, str):
        raise EncodeError(f"{path}: the key {key!r} is no text, and JSON has no other keys")
    return str(key)


def dumps(value: object) -> bytes:
    """Return `value` as UTF-8 JSON text; raises `EncodeError` as `to_json` does."""
    try:
        return json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"a text holds a lone surrogate, which is no character: {error}") from None
    except RecursionError:
        raise EncodeError("the value contains itself, or is nested too deeply") from None


def wrap_result(value: object) -> dict[str, Json]:
    """Return the object that the server stores for the result `value` (`unwrap_result` is its inverse)."""
    encoded = to_json(value)
    if isinstance(encoded, dict) and encoded.keys() != {WRAPPER}:
        return encoded
    return {WRAPPER: encoded}


def unwrap_result(stored: dict[str, Any]) -> Any:  # noqa: ANN401  # any JSON value
    """Return the value whose result object is `stored`."""
    return stored[WRAPPER] if stored.keys() == {WRAPPER} else stored
