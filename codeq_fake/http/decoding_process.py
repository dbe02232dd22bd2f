"""The process that decodes large request bodies: the interpreter's lock would stop all other requests meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from codeq_fake import wire
from codeq_fake.wire import LIST_OF, BadBody, Struct

from .rejections import BodyNeedsMemory, NoWorkerProcess

#: Up to this size a body is decoded at once, whatever is in it (bytes): in the worst case that takes some 50 ms.
SMALL = 32 * 1024

#: From this size on, or with more values than this, it is decoded in the worker process.
_LARGE = 1024 * 1024
_MANY = 10_000
#: The field of an artifact whose text is base64 (S5).
_CONTENT = "contentBase64"
#: Each value of a container comes after one of these.
_BEFORE_A_VALUE = b",[{"


async def decode_large(body: bytes, struct: Struct) -> dict[str, Any] | BadBody | None:
    """The fields that `wire.decode` returns, or the BadBody that it raises. None if the body is quick to decode.

    Raises BodyNeedsMemory if the system has ended the process, and NoWorkerProcess if it cannot start: to decode the
    body here would end the server, or hold it up.
    """
    if len(body) < _LARGE and sum(map(body.count, _BEFORE_A_VALUE)) < _MANY:
        return None
    from anyio import BrokenWorkerProcess  # noqa: PLC0415 - slow, and only a large body needs it

    from codeq_fake.compat.anyio import run_in_process  # noqa: PLC0415 - as above

    try:
        await asyncio.sleep(0)  # to join, to send and to read back 60 MB takes some 40 ms each
        decoded = await run_in_process(_decoded, body, struct)
    except BadBody as refusal:
        return refusal.with_traceback(None)
    except (BrokenWorkerProcess, MemoryError) as error:
        if isinstance(error.__cause__, TimeoutError):
            raise NoWorkerProcess("it did not start in time") from None
        raise BodyNeedsMemory from None
    except OSError as error:  # mostly since there are too many open files, or processes
        raise NoWorkerProcess(error.strerror or str(error)) from None
    await asyncio.sleep(0)
    return decoded


def _decoded(body: bytes, struct: Struct) -> dict[str, Any]:
    """What `wire.decode` returns, with the contents of artifacts decoded, too.

    Of each list it has no more than the first item that is too many: all would have to be read.
    """
    return _prepared(wire.decode(body, struct), struct)


def _prepared(fields: dict[str, Any], struct: Struct) -> dict[str, Any]:
    """The fields with contents decoded, and without items beyond the first that is too many."""
    for name, value in fields.items():
        kind = struct.fields[name]
        if name == _CONTENT:
            fields[name] = _content(value)
        elif isinstance(kind, LIST_OF):
            del value[kind.most + 1 :]
            if isinstance(kind.item, Struct):
                for item in value:
                    _prepared(item, kind.item)
    return fields


def _content(text: str) -> str | bytes | wire.IllegalBase64:
    """What the text of an artifact contains, or why it has nothing; a text of nothing itself."""
    try:
        return wire.decode_base64(text) or text
    except wire.IllegalBase64 as fault:
        return fault
