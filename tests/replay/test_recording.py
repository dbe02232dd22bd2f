from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from codeq_contract.recordings.files import parse_recording, read_recording
from codeq_contract.recordings.format import RecordingError

HEADER: dict[str, Any] = {
    "kind": "header",
    "name": "story",
    "profile": "redis",
    "epoch_unix": 1795500595.3,
    "settings": {},
    "yaml": None,
    "static": None,
    "identities": {"prod": {"kind": "producer", "claims": {"sub": "p"}}},
}
CALL: dict[str, Any] = {
    "kind": "call",
    "n": 1,
    "t0": 0.0002,
    "t1": 1.01,
    "as": "prod",
    "method": "GET",
    "path": "/metrics",
    "headers": {},
    "body": None,
    "status": 200,
    "reply_headers": {},
    "reply": "",
}
CALLBACK: dict[str, Any] = {
    "kind": "callback",
    "t": 1.5,
    "method": "POST",
    "path": "/hook",
    "headers": {},
    "body": "{}",
    "answered": [302, "/other"],
}


def lines(*entries: dict[str, Any]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def test_moments_are_exact_nanoseconds_since_1970() -> None:
    recording = parse_recording(lines(HEADER, CALL, CALLBACK), name="story")
    assert recording.header.epoch == 1795500595_300000000
    assert recording.calls[0].sent == 1795500595_300200000
    assert recording.calls[0].answered == 1795500596_310000000
    assert recording.callbacks[0].at == recording.end == 1795500596_800000000


def test_an_answer_to_a_callback_is_a_status_or_a_status_with_a_location() -> None:
    plain = {**CALLBACK, "answered": 503}
    recording = parse_recording(lines(HEADER, CALLBACK, plain), name="story")
    assert [(callback.status, callback.location) for callback in recording.callbacks] == [(302, "/other"), (503, None)]


def test_calls_come_in_the_order_in_which_they_were_sent() -> None:
    recording = parse_recording(lines(HEADER, {**CALL, "n": 2, "t0": 0.5}, CALL), name="story")
    assert [call.number for call in recording.calls] == [1, 2]


def test_a_file_may_be_compressed(tmp_path: Path) -> None:
    text = lines(HEADER, CALL)
    (tmp_path / "story.jsonl").write_text(text)
    (tmp_path / "story.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    plain = read_recording(tmp_path / "story.jsonl")
    compressed = read_recording(tmp_path / "story.jsonl.gz")
    assert (plain.header, plain.calls) == (compressed.header, compressed.calls)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "empty"),
        ("nonsense\n", "line 1"),
        (lines(CALL), "line 1: ValueError: the first line must be the header"),
        (lines(HEADER, CALL) + "[]\n", "line 3"),
        (lines(HEADER, {**CALL, "t0": None}), "line 2"),
        (lines(HEADER, {"kind": "call"}), "line 2: KeyError"),
    ],
)
def test_any_other_file_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(RecordingError, match=complaint):
        parse_recording(text, name="story")


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "story.jsonl.gz"
    damaged.write_bytes(gzip.compress(lines(HEADER, CALL).encode())[:-20])
    with pytest.raises(RecordingError, match="story"):
        read_recording(damaged)
