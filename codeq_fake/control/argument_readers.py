"""Reads the arguments of control calls. Errors name the argument and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from codeq_fake import wire
from codeq_fake.clocks import in_slices
from codeq_fake.core import PROFILES, canonical_name
from codeq_fake.core.codec import MismatchError, codec
from codeq_fake.core.slices import Slices
from codeq_fake.core.times import SECOND
from codeq_fake.documents import LONG, BadDocumentError, finite, free_in_slices, nearest, read_json, read_shaped_json

from .errors import BadRequestError
from .limits import LARGEST_CALL, LARGEST_STATE

if TYPE_CHECKING:
    from starlette.requests import Request

#: Makes an argument of a JSON value, or of text from a path or query, and the argument's name. Raises BadRequestError.
Reader: TypeAlias = Callable[[Any, str], Any]

#: So many unknown names are shown, each with so many characters: there may be a million.
_MOST_SHOWN = 10
_LONGEST_SHOWN = 60
_MOST_SECONDS = Decimal(10) ** 12
_CLASS = re.compile(r"([1-5])xx")
_NUMBER = re.compile(r"[0-9]{1,18}")


async def body(
    request: Request, names: Collection[str], *, parse_float: Callable[[str], Any] = finite, is_shaped: bool = False
) -> dict[str, Any]:
    """The JSON object in a request's body; see `json_object`."""
    largest = LARGEST_STATE if is_shaped else LARGEST_CALL
    size, parts = 0, list[bytes]()
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise BadRequestError(f"the body of this control call has at most {largest} bytes")
        parts.append(part)
    if is_shaped and size > LONG:
        return await in_slices(shaped_object(parts, names))
    return json_object(b"".join(parts), names, parse_float=parse_float, is_shaped=is_shaped)


def json_object(
    text: bytes, names: Collection[str], *, parse_float: Callable[[str], Any] = finite, is_shaped: bool = False
) -> dict[str, Any]:
    """A JSON object without its nulls, {} for an empty text. Raises BadRequestError, also for other names.

    `is_shaped`: the call checks the type of each part.
    """
    try:
        body = read_json(text, parse_float=parse_float, is_shaped=is_shaped) if text.strip() else {}
    except BadDocumentError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    return _members(body, names)


def shaped_object(text: bytes | list[bytes], names: Collection[str]) -> Slices[dict[str, Any]]:
    """As `json_object` with `is_shaped`, in slices, for a long text or its parts, which are removed from the list."""
    try:
        value = yield from read_shaped_json(text)
    except BadDocumentError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from None
    try:
        return _members(value, names)
    except BadRequestError:
        yield from free_in_slices(value)
        raise


def _members(body: object, names: Collection[str]) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    check_names(body, names)
    return {name: value for name, value in body.items() if value is not None}


def check_names(given: Iterable[str], names: Collection[str]) -> None:
    """Raise BadRequestError for a name that is not in `names`."""
    if unknown := list(islice((_cut(name) for name in given if name not in names), _MOST_SHOWN)):
        raise BadRequestError(f"unknown: {', '.join(unknown)}; known are {', '.join(names)}")


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}..."


# The readers.


def anything(value: Any, _name: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """The value as it is; the handler checks it."""
    return value


def shaped(shape: Any) -> Reader:  # noqa: ANN401 - any type
    """A reader of values of the type `shape`."""

    def read(value: object, name: str) -> object:
        try:
            return codec(shape).load(value)
        except MismatchError as error:
            raise BadRequestError(str(error.within(name))) from None

    return read


def whole(text: str, name: str) -> int:
    """A text as a whole number."""
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(f"{name}: found {text!r} where a whole number belongs")
    return int(text)


def statuses(text: str, name: str) -> range:
    """A status, or a class of them such as `4xx`, as a range; an empty one for 0."""
    if match := _CLASS.fullmatch(text):
        return range(int(match[1]) * 100, int(match[1]) * 100 + 100)
    if not _NUMBER.fullmatch(text):
        raise BadRequestError(f"{name}: {text!r} is no status; write one such as 404, or a class such as 4xx")
    status = int(text)
    return range(status, status + 1 if status else 0)


def number_of(noun: str) -> Reader:
    """A reader of the number of an entry or a rule in a path."""
    return lambda text, _: whole(text, f"the {noun}'s number")


def duration(seconds: object, _name: str = "") -> int:
    """A number of seconds, as ns."""
    if type(seconds) not in (int, Decimal) or not 0 <= seconds <= _MOST_SECONDS:  # type: ignore[operator]
        raise BadRequestError("seconds: a number that is not negative belongs here")
    return int(Decimal(seconds) * SECOND)  # type: ignore[arg-type]


def phase(seconds: object, name: str) -> int:
    """A number of seconds, negative ones too, as ns."""
    if type(seconds) not in (int, float, Decimal) or not abs(seconds) <= _MOST_SECONDS:  # type: ignore[arg-type]
        raise BadRequestError(f"{name}: found {seconds!r} where a number of seconds belongs")
    return int(Decimal(str(seconds)) * SECOND)


def instant(text: object, _name: str = "") -> int:
    """An RFC 3339 time, as ns since the epoch."""
    try:
        return wire.parse_rfc3339(text if isinstance(text, str) else "")
    except wire.BadTime:
        raise BadRequestError(f"found {text!r} where an RFC 3339 time such as 2026-01-31T12:00:00Z belongs") from None


def clock_mode(value: object, name: str) -> Literal["real", "manual"]:
    """`real` or `manual`."""
    if value == "real":
        return "real"
    if value == "manual":
        return "manual"
    raise BadRequestError(f"{name}: found {value!r}, allowed are real and manual")


def profile(value: object, _name: str = "") -> str:
    """The name of a profile: a store, with a version of CodeQ before it."""
    name = canonical_name(value) if isinstance(value, str) else ""
    if name not in PROFILES:
        guess = nearest(value, PROFILES) if isinstance(value, str) else ""
        raise BadRequestError(f"profile: found {value!r}, allowed are {', '.join(PROFILES)}{guess}")
    return name
