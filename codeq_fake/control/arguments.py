"""What a control call sends: a JSON object, and numbers in the query. What does not fit is refused by name."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, NoReturn

from codeq_fake.core.codec import MisshapenError, checker
from codeq_fake.core.times import SECOND

from .errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.requests import Request

_LARGEST_BODY = 256 * 1024 * 1024
_MOST_SECONDS = Decimal(10) ** 12
_NUMBER = re.compile(r"[0-9]{1,18}")


def _double(literal: str) -> float:
    value = float(literal)
    if math.isinf(value):
        raise ValueError(literal)
    return value


async def body(request: Request, *names: str, parse_float: Callable[[str], Any] = _double) -> dict[str, Any]:
    """The request's JSON object, {} for an empty body, without what is null. Raises BadRequestError."""
    return parsed(await _text(request), *names, parse_float=parse_float)


def parsed(text: bytes, *names: str, parse_float: Callable[[str], Any] = _double) -> dict[str, Any]:
    """A body's JSON object, with no other names than these. Raises BadRequestError."""
    try:
        found = json.loads(text, parse_float=parse_float, parse_constant=_no_constant) if text.strip() else {}
        if rb"\u" in text:
            json.dumps(found, ensure_ascii=False, default=str).encode()  # fails for half a surrogate pair
    except (ValueError, DecimalException, RecursionError):
        raise BadRequestError("the body is no JSON") from None
    if not isinstance(found, dict):
        raise BadRequestError("the body must be a JSON object")
    _check_names(found, names)
    return {name: value for name, value in found.items() if value is not None}


async def _text(request: Request) -> bytes:
    size, parts = 0, list[bytes]()
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST_BODY:
            raise BadRequestError(f"a control call's body has at most {_LARGEST_BODY} bytes")
        parts.append(part)
    return b"".join(parts)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def field(found: Mapping[str, Any], name: str, shape: Any, default: Any) -> Any:  # noqa: ANN401 - of the type `shape`
    """One field of a body, of the type ``shape``. Raises BadRequestError."""
    if name not in found:
        return default
    try:
        checker(shape)(found[name])
    except MisshapenError as misfit:
        raise BadRequestError(str(misfit.within(name))) from None
    return found[name]


def duration(seconds: object) -> int:
    """A number of seconds, as ns. Raises BadRequestError."""
    if type(seconds) not in (int, Decimal) or not 0 <= seconds <= _MOST_SECONDS:  # type: ignore[operator]
        raise BadRequestError("seconds: a number that is not negative belongs here")
    return int(Decimal(seconds) * SECOND)  # type: ignore[arg-type]


def query(request: Request, *names: str) -> Mapping[str, str]:
    """The request's query, with no other names than these. Raises BadRequestError."""
    found = request.query_params
    _check_names(found.keys(), names)
    return found


def _check_names(found: Iterable[str], names: tuple[str, ...]) -> None:
    if unknown := sorted(set(found) - set(names)):
        raise BadRequestError(f"unknown: {', '.join(unknown)}; known are {', '.join(names)}")


def number(request: Request, name: str, default: int) -> int:
    """A whole number from the query. Raises BadRequestError."""
    text = request.query_params.get(name)
    return default if text is None else whole(text, name)


def whole(text: str, name: str) -> int:
    """A text as a whole number. Raises BadRequestError, which calls it ``name``."""
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(f"{name}: found {text!r} where a whole number belongs")
    return int(text)
