"""Writes recordings, in the format in which those of the real server are."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from codeq_contract.recordings.times import SECOND, moment_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codeq_contract.recordings.format import Call, Callback, Header, Identity, Recording

FORMAT = 1

_MICROSECOND = 1000


def write_recording(recording: Recording, path: Path) -> None:
    """Write `recording` to `path`, with gzip if the name ends in `.gz`. Raises OSError."""
    content = recording_text(recording).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def recording_text(recording: Recording) -> str:
    """The lines of a recording: its header, and then what happened in the order in which it did."""
    epoch = recording.header.epoch
    entries = [(call.sent, _call(call, epoch)) for call in recording.calls]
    entries += [(callback.at, _callback(callback, epoch)) for callback in recording.callbacks]
    ordered = [entry for _, entry in sorted(entries, key=lambda pair: pair[0])]
    return "".join(_lines([_header(recording.header), *ordered]))


def _lines(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"


def _header(header: Header) -> dict[str, Any]:
    return {
        "kind": "header",
        "format": FORMAT,
        "name": header.name,
        "profile": header.profile,
        "epoch": moment_text(header.epoch),
        "epoch_unix": header.epoch / SECOND,
        "drained": header.drained,
        "settings": dict(header.settings),
        "yaml": header.yaml,
        "auth": "jwks" if header.static is None else "static",
        "static": header.static,
        "identities": {name: _identity(identity) for name, identity in header.identities.items()},
    }


def _identity(identity: Identity) -> dict[str, Any]:
    return {name: value for name, value in asdict(identity).items() if value is not None}


def _call(call: Call, epoch: int) -> dict[str, Any]:
    return {
        "kind": "call",
        "n": call.number,
        # Rounded apart, so that no interval gets shorter than it was.
        "t0": (call.sent - epoch) // _MICROSECOND / 10**6,
        "t1": -((epoch - call.answered) // _MICROSECOND) / 10**6,
        "as": call.identity,
        "method": call.method,
        "path": call.path,
        "headers": dict(call.headers),
        "body": call.body,
        "status": call.status,
        "reply_headers": dict(call.reply_headers),
        "reply": call.reply,
    }


def _callback(callback: Callback, epoch: int) -> dict[str, Any]:
    answered = callback.status if callback.location is None else [callback.status, callback.location]
    return {
        "kind": "callback",
        "t": (callback.at - epoch) // _MICROSECOND / 10**6,
        "method": callback.method,
        "path": callback.path,
        "headers": dict(callback.headers),
        "body": callback.body,
        "answered": answered,
    }
