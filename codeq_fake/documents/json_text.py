"""Reads JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from decimal import DecimalException
from typing import Any, NoReturn

from .errors import DEEPEST, NO_UNICODE, TOO_DEEP, BadDocumentError, is_unicode, one_line


def finite(literal: str) -> float:
    """A JSON number as a float. Raises ValueError if it is too large."""
    value = float(literal)
    if math.isinf(value):
        raise ValueError(f"{literal} is too large for a number")
    return value


def read_json(text: str | bytes, *, parse_float: Callable[[str], Any] = finite, is_shaped: bool = False) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text. Raises BadDocumentError.

    The caller of an `is_shaped` text checks the type of each part, so that neither depth nor texts are checked here:
    that would take as long again for the state of many tasks.
    """
    try:
        value = json.loads(text, parse_float=parse_float, parse_constant=refuse_constant)
    except RecursionError:
        raise BadDocumentError(TOO_DEEP) from None
    except (ValueError, DecimalException) as error:
        raise BadDocumentError(one_line(error)) from None
    if not is_shaped:
        check(value)
    elif isinstance(value, dict):
        check(list(value))  # the names at the top: a name that the caller does not know is printed
    return value


def refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python reads. Raises ValueError."""
    raise ValueError(f"JSON has no {name}")


def check(value: object) -> None:
    """Raise BadDocumentError for a value that is too deep, or that has a text which is not Unicode."""
    level = [value]
    for _ in range(DEEPEST):
        _check_texts(level)
        level = [
            part
            for container in level
            if isinstance(container, dict | list)
            for part in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    if any(isinstance(part, dict | list) for part in level):
        raise BadDocumentError(TOO_DEEP)
    _check_texts(level)


def _check_texts(parts: Iterable[object]) -> None:
    """Raise BadDocumentError if one of these parts of a value is not Unicode, or has such a name."""
    if not all(is_unicode(text) for part in parts for text in _texts(part)):
        raise BadDocumentError(NO_UNICODE)


def _texts(part: object) -> Iterable[str]:
    """The texts in a value itself, without those of its parts."""
    if isinstance(part, str):
        return (part,)
    return part if isinstance(part, dict) else ()
