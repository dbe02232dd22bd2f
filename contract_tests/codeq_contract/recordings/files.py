"""Reads and writes recordings: one JSON object a line, plain or with gzip."""

from __future__ import annotations

import gzip
import heapq
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from functools import partial
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, TextIO, cast

from .format import UNREADABLE, Call, Callback, Header, Identity, Recording, RecordingError
from .times import SECOND, moment_text

FORMAT = 1

_SURROGATE = re.compile("[\ud800-\udfff]")

_MICROSECOND = 1000

#: Of gzip. Higher levels take longer and save less than a tenth.
_COMPRESSION = 6

_HEADERS = json.JSONDecoder(parse_float=Decimal)
_ENTRIES = json.JSONDecoder()

#: The fields that have the same name and form in a file.
_HEADER_FIELDS = ("name", "profile", "settings", "yaml", "static")
_CALL_FIELDS = ("method", "path", "headers", "body", "status", "reply_headers", "reply")
_fields_of_call = itemgetter(*_CALL_FIELDS)
_CALLBACK_FIELDS = ("method", "path", "headers", "body")


@contextmanager
def open_recording(path: Path) -> Iterator[tuple[Header, Iterator[Call | Callback]]]:
    """The header of the recording at `path`, and its calls and callbacks one by one, as they are read from the file.

    Raises OSError, and RecordingError if the file is not a recording, also while the entries are read.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        # Lines end only at "\n": JSON may contain other characters that end a line of text.
        with opened(path, "rt", encoding="utf-8", newline="\n") as file:
            yield _read(cast("TextIO", file), name=str(path))
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
        raise RecordingError(f"{path}: {error}") from error


def read_recording(path: Path) -> Recording:
    """Read the recording at `path`. Raises OSError, and RecordingError if the file is not a recording."""
    with open_recording(path) as (header, entries):
        return _recording(header, entries)


def parse_recording(text: str, *, name: str) -> Recording:
    """Read the recording in `text`. Errors call it `name`. Raises RecordingError."""
    return _recording(*_read(text.split("\n"), name=name))


def recording_of(lines: Iterable[Mapping[str, Any]], *, name: str) -> Recording:
    """The recording whose lines are these JSON objects. Errors call it `name`. Raises RecordingError."""
    header, *entries = lines
    try:
        read = _read_header(header)
        return _recording(read, [_read_entry(entry, read.epoch) for entry in entries])
    except UNREADABLE as error:
        raise RecordingError(f"{name}: {type(error).__name__}: {error}") from error


def write_recording(recording: Recording, path: Path) -> None:
    """Write `recording` to `path`, with gzip if the name ends in `.gz`. Raises OSError."""
    opened = partial(gzip.open, compresslevel=_COMPRESSION) if path.suffix == ".gz" else open
    with opened(path, "wb") as file:
        file.writelines(line.encode() for line in _lines(recording))


def recording_text(recording: Recording) -> str:
    """The lines of a recording: its header, then the events in the order of their times."""
    return "".join(_lines(recording))


def _read(lines: Iterable[str], *, name: str) -> tuple[Header, Iterator[Call | Callback]]:
    """The header and the entries in the lines of a recording. Errors call it `name`. Raises RecordingError."""
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip("\n"))
    for number, line in numbered:
        try:
            header = _read_header(_HEADERS.decode(line))
        except UNREADABLE as error:
            raise _unreadable(name, number, error) from error
        return header, _read_entries(numbered, name, header.epoch)
    raise RecordingError(f"{name}: empty")


def _read_entries(numbered: Iterable[tuple[int, str]], name: str, epoch: int) -> Iterator[Call | Callback]:
    for number, line in numbered:
        try:
            found = _read_entry(_ENTRIES.decode(line), epoch)
        except UNREADABLE as error:
            raise _unreadable(name, number, error) from error
        yield found


def _read_entry(entry: Mapping[str, Any], epoch: int) -> Call | Callback:
    return _read_call(entry, epoch) if entry["kind"] == "call" else _read_callback(entry, epoch)


def _unreadable(name: str, number: int, error: Exception) -> RecordingError:
    return RecordingError(f"{name}, line {number}: {type(error).__name__}: {error}")


def _recording(header: Header, entries: Iterable[Call | Callback]) -> Recording:
    """A recording in memory, in the order of its times."""
    calls: list[Call] = []
    callbacks: list[Callback] = []
    for entry in entries:
        if isinstance(entry, Call):
            calls.append(entry)
        else:
            callbacks.append(entry)
    calls.sort(key=attrgetter("sent"))
    callbacks.sort(key=attrgetter("at"))
    return Recording(header, tuple(calls), tuple(callbacks))


def _lines(recording: Recording) -> Iterator[str]:
    """The lines of a recording: its header, then calls and callbacks in the order of their times."""
    yield _line(_header(recording.header))
    epoch = recording.header.epoch
    calls = ((call.sent, _call(call, epoch)) for call in sorted(recording.calls, key=attrgetter("sent")))
    ordered = sorted(recording.callbacks, key=attrgetter("at"))
    callbacks = ((callback.at, _callback(callback, epoch)) for callback in ordered)
    for _, entry in heapq.merge(calls, callbacks, key=itemgetter(0)):
        yield _line(entry)


def _line(entry: dict[str, Any]) -> str:
    line = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), default=dict) + "\n"
    # Half a surrogate pair, which stands for a byte, is no text for a file.
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _read_header(entry: Mapping[str, Any]) -> Header:
    if entry["kind"] != "header":
        raise ValueError("the first line must be the header")
    return Header(
        epoch=int(entry["epoch_unix"] * SECOND),
        identities={name: Identity(**identity) for name, identity in entry["identities"].items()},
        drained=entry.get("drained", True),
        reaper=_nanoseconds(entry["reaper"]) if "reaper" in entry else None,
        **{name: entry[name] for name in _HEADER_FIELDS},
    )


def _header(header: Header) -> dict[str, Any]:
    """The first line of a recording as a JSON object."""
    return {
        "kind": "header",
        "format": FORMAT,
        "name": header.name,
        "profile": header.profile,
        "epoch": moment_text(header.epoch),
        "epoch_unix": header.epoch / SECOND,
        "drained": header.drained,
        "settings": header.settings,
        "yaml": header.yaml,
        "auth": "jwks" if header.static is None else "static",
        "static": header.static,
        "identities": {
            name: {key: value for key, value in asdict(identity).items() if value is not None}
            for name, identity in header.identities.items()
        },
        **({} if header.reaper is None else {"reaper": header.reaper / SECOND}),
    }


def _read_call(entry: Mapping[str, Any], epoch: int) -> Call:
    return Call(
        entry["n"],
        epoch + _nanoseconds(entry["t0"]),
        epoch + _nanoseconds(entry["t1"]),
        entry["as"],
        *_fields_of_call(entry),
    )


def _call(call: Call, epoch: int) -> dict[str, Any]:
    return {
        "kind": "call",
        "n": call.number,
        # Rounded away from each other, so that no interval becomes shorter than it was.
        "t0": (call.sent - epoch) // _MICROSECOND / 10**6,
        "t1": -((epoch - call.answered) // _MICROSECOND) / 10**6,
        "as": call.identity,
        **{name: getattr(call, name) for name in _CALL_FIELDS},
    }


def _read_callback(entry: Mapping[str, Any], epoch: int) -> Callback:
    answered = entry["answered"]
    status, location = answered if isinstance(answered, list) else (answered, None)
    fields = {name: entry[name] for name in _CALLBACK_FIELDS}
    return Callback(at=epoch + _nanoseconds(entry["t"]), status=status, location=location, **fields)


def _callback(callback: Callback, epoch: int) -> dict[str, Any]:
    answered = callback.status if callback.location is None else [callback.status, callback.location]
    fields = {name: getattr(callback, name) for name in _CALLBACK_FIELDS}
    return {"kind": "callback", "t": (callback.at - epoch) // _MICROSECOND / 10**6, **fields, "answered": answered}


def _nanoseconds(seconds: float) -> int:
    """The nanoseconds since the start of a session. Of one that takes less than ten days, each is exact."""
    return round(seconds * SECOND)
