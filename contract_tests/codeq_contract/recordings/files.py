"""Reads and writes recordings: one JSON object a line, plain or with gzip."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from .format import UNREADABLE, Call, Callback, Header, Identity, Recording, RecordingError
from .times import SECOND, moment_text

FORMAT = 1

_SURROGATE = re.compile("[\ud800-\udfff]")

_MICROSECOND = 1000

#: The fields that have the same name and form in a file.
_HEADER_FIELDS = ("name", "profile", "settings", "yaml", "static")
_CALL_FIELDS = ("method", "path", "headers", "body", "status", "reply_headers", "reply")
_CALLBACK_FIELDS = ("method", "path", "headers", "body")


def read_recording(path: Path) -> Recording:
    """Read the recording at `path`. Raises OSError, and RecordingError if the file is not a recording."""
    content = path.read_bytes()
    try:
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (EOFError, ValueError, gzip.BadGzipFile) as error:
        raise RecordingError(f"{path}: {error}") from error
    return parse_recording(text, name=str(path))


def parse_recording(text: str, *, name: str) -> Recording:
    """Read the recording in `text`. Errors call it `name`. Raises RecordingError."""
    header: Header | None = None
    calls: list[Call] = []
    callbacks: list[Callback] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        try:
            entry = json.loads(line, parse_float=Decimal)
            if header is None:
                header = _read_header(entry)
            elif entry["kind"] == "call":
                calls.append(_read_call(entry, header.epoch))
            else:
                callbacks.append(_read_callback(entry, header.epoch))
        except UNREADABLE as error:
            raise RecordingError(f"{name}, line {number}: {type(error).__name__}: {error}") from error
    if header is None:
        raise RecordingError(f"{name}: empty")
    calls.sort(key=lambda call: call.sent)
    callbacks.sort(key=lambda callback: callback.at)
    return Recording(header, tuple(calls), tuple(callbacks))


def write_recording(recording: Recording, path: Path) -> None:
    """Write `recording` to `path`, with gzip if the name ends in `.gz`. Raises OSError."""
    content = recording_text(recording).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def recording_text(recording: Recording) -> str:
    """The lines of a recording: its header, then the events in the order of their times."""
    epoch = recording.header.epoch
    entries = [(call.sent, _call(call, epoch)) for call in recording.calls]
    entries += [(callback.at, _callback(callback, epoch)) for callback in recording.callbacks]
    ordered = [entry for _, entry in sorted(entries, key=lambda pair: pair[0])]
    return "".join(_line(entry) for entry in [_header(recording.header), *ordered])


def _line(entry: dict[str, Any]) -> str:
    line = json.dumps(entry, ensure_ascii=False, separators=(",", ":"), default=dict) + "\n"
    # Half a surrogate pair, which stands for a byte, is no text for a file.
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def _read_header(entry: dict[str, Any]) -> Header:
    if entry["kind"] != "header":
        raise ValueError("the first line must be the header")
    return Header(
        epoch=_nanoseconds(entry["epoch_unix"]),
        identities={name: Identity(**identity) for name, identity in entry["identities"].items()},
        drained=entry.get("drained", True),
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
    }


def _read_call(entry: dict[str, Any], epoch: int) -> Call:
    return Call(
        number=entry["n"],
        sent=epoch + _nanoseconds(entry["t0"]),
        answered=epoch + _nanoseconds(entry["t1"]),
        identity=entry["as"],
        **{name: entry[name] for name in _CALL_FIELDS},
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


def _read_callback(entry: dict[str, Any], epoch: int) -> Callback:
    answered = entry["answered"]
    status, location = answered if isinstance(answered, list) else (answered, None)
    fields = {name: entry[name] for name in _CALLBACK_FIELDS}
    return Callback(at=epoch + _nanoseconds(entry["t"]), status=status, location=location, **fields)


def _callback(callback: Callback, epoch: int) -> dict[str, Any]:
    answered = callback.status if callback.location is None else [callback.status, callback.location]
    fields = {name: getattr(callback, name) for name in _CALLBACK_FIELDS}
    return {"kind": "callback", "t": (callback.at - epoch) // _MICROSECOND / 10**6, **fields, "answered": answered}


def _nanoseconds(seconds: Decimal | int) -> int:
    return int(seconds * SECOND)
