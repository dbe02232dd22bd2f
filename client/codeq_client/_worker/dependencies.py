"""Dependencies of handlers: keyword-only parameters, which get by their type what the worker's lifespan yields."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, get_origin

from codeq_client._compat.signatures import signature
from codeq_client.errors import ConfigurationError


def dependency_names(function: Callable[..., Any]) -> list[str]:
    """Return the keyword-only parameters of a function that have no default."""
    parameters = signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]


def dependencies(function: Callable[..., Any], state: object) -> dict[str, Any]:
    """Return the arguments for the dependencies of a function, by name; raises `ConfigurationError`.

    `state` is what the lifespan yields: a value, or a tuple of values.
    """
    names = dependency_names(function)
    if not names:
        return {}
    values = (state, *state) if isinstance(state, tuple) else (state,)
    types = _types(function)
    return {name: _value(f"{_name(function)} needs {name}", types[name], values) for name in names}


def _types(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
    except NameError as error:
        reason = f"the types of handler {_name(function)} cannot be found, they must be names of its module: {error}"
        raise ConfigurationError(reason) from None
    return {parameter.name: parameter.annotation for parameter in parameters}


def _value(need: str, kind: Any, values: Sequence[object]) -> object:  # noqa: ANN401 - the user's annotation
    """Return the one value of a type."""
    wanted = get_origin(kind) or kind
    reason = f"handler {need}, whose type must be a class, not {kind!r}"
    if wanted is UnionType:  # the class of all unions: no value is one
        raise ConfigurationError(reason)
    try:
        of_type = [value for value in values if isinstance(value, wanted)]
    except TypeError:
        raise ConfigurationError(reason) from None
    if len(of_type) != 1:
        number = "no value" if not of_type else "more than one value"
        raise ConfigurationError(f"handler {need}, but the lifespan yields {number} of the type {kind.__qualname__}")
    return of_type[0]


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
