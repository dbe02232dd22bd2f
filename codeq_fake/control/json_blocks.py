"""Large replies as JSON: written in slices, and sent in blocks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from codeq_fake.core.slices import Slices, batches
from codeq_fake.documents import LONG, JsonText, nests_too_deep
from codeq_fake.wire import without_surrogates

if TYPE_CHECKING:
    from starlette.responses import Response


def encoded(value: Any) -> Slices[list[bytes]]:  # noqa: ANN401 - any JSON value
    """The JSON text of a value in blocks. Iterators in its objects are read as lists; their items None are left out."""
    blocks: list[bytes] = []
    parts: list[str] = []
    size = 0
    for part in _parts(value):
        if part is not None:
            parts.append(part)
            size += len(part)
        if size >= LONG:
            blocks.append(without_surrogates("".join(parts)).encode())
            parts, size = [], 0
        yield
    blocks.append(without_surrogates("".join(parts)).encode())
    return blocks


def response(blocks: Sequence[bytes]) -> Response:
    """The reply with a JSON text."""
    from starlette.responses import Response, StreamingResponse  # noqa: PLC0415 - slow, and a state in process needs none

    if len(blocks) == 1:
        return Response(blocks[0], media_type="application/json")
    size = sum(map(len, blocks))
    return StreamingResponse(_each(blocks), media_type="application/json", headers={"Content-Length": str(size)})


async def _each(blocks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


def _parts(value: Any) -> Iterator[str | None]:  # noqa: ANN401 - as above
    """The JSON text of a value in small parts. None is a pause.

    An iterator is written item by item. An item holds no iterator and no JsonText. A list is written at once.
    """
    if isinstance(value, dict):
        yield "{"
        for index, (name, member) in enumerate(value.items()):
            yield f"{',' if index else ''}{_text(name)}:"
            yield from _parts(member)
        yield "}"
    elif isinstance(value, Iterator):
        yield "["
        comma = ""
        for item in value:
            if item is None:
                yield None
            elif _has_long_text(item):
                yield comma
                yield from _parts(item)
            else:
                yield comma + _text(item)
            comma = comma if item is None else ","
        yield "]"
    elif isinstance(value, str):
        yield from _string(value)
    elif isinstance(value, JsonText):  # sent as it is, or as a string where it nests too deep for most readers
        yield from (
            _string(value.text) if (yield from nests_too_deep(value.text)) else map(str, batches(value.text, LONG))
        )
    else:
        yield _text(value)


def _string(text: str) -> Iterator[str]:
    yield '"'
    for part in batches(text, LONG):  # a character is written in the same way wherever it is
        yield _text(part)[1:-1]
    yield '"'


def _has_long_text(value: Any) -> bool:  # noqa: ANN401 - as above
    """Whether this is a long text, or an object with one in it or in its objects."""
    if isinstance(value, dict):
        return any(map(_has_long_text, value.values()))
    return isinstance(value, str) and len(value) > LONG


def _text(value: Any) -> str:  # noqa: ANN401 - as above
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
