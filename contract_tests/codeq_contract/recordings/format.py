"""Recordings of the real server: sessions of calls and callbacks, one JSON object a line, gzip or plain."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NANOSECONDS = 10**9


class RecordingError(Exception):
    """The file is no recording; the text says which line does not fit and why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: a producer or a worker, and what its token says."""

    kind: str
    claims: Mapping[str, Any]
    alg: str | None = None
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """How the recorded server was set up.

    `epoch` is the session's start, in nanoseconds since 1970. `static` has both sides' static tokens; without it the
    callers of the session sent signed ones. A history is `drained` when in the end all tasks were claimed and ended
    that could be: only then does a task that nobody got show that it was lost.
    """

    name: str
    profile: str
    epoch: int
    settings: Mapping[str, str]
    yaml: str | None
    static: Mapping[str, Any] | None
    identities: Mapping[str, Identity]
    drained: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One request and its reply. `sent` and `answered` are nanoseconds since 1970; without a reply `status` is 0."""

    number: int
    sent: int
    answered: int
    identity: str | None
    method: str
    path: str
    headers: Mapping[str, str]
    body: str | None
    status: int
    reply_headers: Mapping[str, str]
    reply: str


@dataclass(frozen=True, slots=True)
class Callback:
    """One request that the server made to a webhook, at nanosecond `at`, and how the webhook answered it."""

    at: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: str
    status: int
    location: str | None = None


@dataclass(frozen=True)
class Recording:
    """A whole session, its calls in the order in which they were sent."""

    header: Header
    calls: tuple[Call, ...]
    callbacks: tuple[Callback, ...]

    @cached_property
    def end(self) -> int:
        """The moment after which nothing more was seen, in nanoseconds since 1970."""
        moments = [call.answered for call in self.calls] + [callback.at for callback in self.callbacks]
        return max(moments, default=self.header.epoch)


def read_recording(path: Path) -> Recording:
    """Read the recording at `path`.

    Raises OSError when the file cannot be read, and RecordingError when it is not a recording.
    """
    content = path.read_bytes()
    try:
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (EOFError, ValueError, gzip.BadGzipFile) as error:
        raise RecordingError(f"{path}: {error}") from error
    return parse_recording(text, name=str(path))


def parse_recording(text: str, *, name: str) -> Recording:
    """Read the recording that `text` holds; `name` is what errors call it.

    Raises RecordingError.
    """
    header: Header | None = None
    calls: list[Call] = []
    callbacks: list[Callback] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line:
            continue
        try:
            entry = json.loads(line, parse_float=Decimal)
            if header is None:
                header = _header(entry)
            elif entry["kind"] == "call":
                calls.append(_call(entry, header.epoch))
            else:
                callbacks.append(_callback(entry, header.epoch))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RecordingError(f"{name}, line {number}: {type(error).__name__}: {error}") from error
    if header is None:
        raise RecordingError(f"{name}: empty")
    calls.sort(key=lambda call: call.sent)
    callbacks.sort(key=lambda callback: callback.at)
    return Recording(header, tuple(calls), tuple(callbacks))


def _header(entry: dict[str, Any]) -> Header:
    if entry["kind"] != "header":
        raise ValueError("the first line must be the header")
    return Header(
        name=entry["name"],
        profile=entry["profile"],
        epoch=_nanoseconds(entry["epoch_unix"]),
        settings=entry["settings"],
        yaml=entry["yaml"],
        static=entry["static"],
        identities={name: Identity(**identity) for name, identity in entry["identities"].items()},
        drained=entry.get("drained", True),
    )


def _call(entry: dict[str, Any], epoch: int) -> Call:
    return Call(
        number=entry["n"],
        sent=epoch + _nanoseconds(entry["t0"]),
        answered=epoch + _nanoseconds(entry["t1"]),
        identity=entry["as"],
        method=entry["method"],
        path=entry["path"],
        headers=entry["headers"],
        body=entry["body"],
        status=entry["status"],
        reply_headers=entry["reply_headers"],
        reply=entry["reply"],
    )


def _callback(entry: dict[str, Any], epoch: int) -> Callback:
    answered = entry["answered"]
    status, location = answered if isinstance(answered, list) else (answered, None)
    return Callback(
        at=epoch + _nanoseconds(entry["t"]),
        method=entry["method"],
        path=entry["path"],
        headers=entry["headers"],
        body=entry["body"],
        status=status,
        location=location,
    )


def _nanoseconds(seconds: Decimal | int) -> int:
    return int(seconds * NANOSECONDS)
