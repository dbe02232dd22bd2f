"""Compares a replayed reply with the recorded one, down to the byte, and says in words where they differ."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from codeq_contract.clauses import clauses_of_call
from codeq_contract.replay.allowed_differences import Tolerance, Window, without_tolerated
from codeq_contract.replay.metrics import contracted_lines, subject_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from codeq_contract.recordings.format import Call

REPLY_HEADERS = ("content-encoding", "content-type", "location", "retry-after")
ABSENT = "(absent)"
_EXCERPT = 40

_Json: TypeAlias = "dict[str, _Json] | list[_Json] | str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a replay answered otherwise.

    `event` is the recorded call or callback, as in `call 12`; `request` its method and path; `clauses` those of the
    contract that it is about; `path` the place: `status`, a header, or a path into the body.
    """

    event: str
    request: str
    clauses: str
    path: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        return (
            f"{self.event}  {self.request}  [{self.clauses}]\n"
            f"  {self.path}\n"
            f"    theirs: {self.theirs}\n"
            f"    ours:   {self.ours}"
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What the replay's server answered: header names in lower case, the body decoded."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A place in a body, and what stands there in the recording and in the replay."""

    path: str
    theirs: str
    ours: str


def compare_reply(call: Call, ours: Reply, tolerance: Tolerance) -> list[Difference]:
    """Every way in which `ours` is not the reply that `call` recorded."""
    mismatches = []
    if call.status != ours.status:
        mismatches.append(Mismatch("status", str(call.status), str(ours.status)))
    for name in sorted({*REPLY_HEADERS, *call.reply_headers}):
        theirs_value, ours_value = call.reply_headers.get(name, ABSENT), ours.headers.get(name, ABSENT)
        if theirs_value != ours_value:
            mismatches.append(Mismatch(f"header {name}", theirs_value, ours_value))
    if call.path == "/metrics":
        mismatches.extend(_metrics_mismatches(call.reply, ours.text))
    else:
        window = Window(call.sent, call.answered)
        mismatches.extend(text_mismatches(call.reply, ours.text, tolerance, window))
    return [call_difference(call, mismatch.path, mismatch.theirs, mismatch.ours) for mismatch in mismatches]


def call_difference(call: Call, path: str, theirs: str, ours: str) -> Difference:
    """A difference in what `call` was answered."""
    clauses = clauses_of_call(call.method, call.path, call.status)
    return Difference(f"call {call.number}", f"{call.method} {call.path}", clauses, path, theirs, ours)


def text_mismatches(theirs: str, ours: str, tolerance: Tolerance, window: Window) -> Iterator[Mismatch]:
    """Where two bodies differ: by value when both are JSON, else (or if only the spelling differs) in their text."""
    if theirs == ours:
        return
    found = False
    blotted_theirs, blotted_ours = without_tolerated(theirs), without_tolerated(ours)
    for mismatch in json_mismatches(theirs, ours, tolerance, window):
        found = True
        yield mismatch
    if not found and blotted_theirs != blotted_ours:
        yield _spelling_mismatch(blotted_theirs, blotted_ours)


def json_mismatches(theirs: str, ours: str, tolerance: Tolerance, window: Window) -> Iterator[Mismatch]:
    """Where the values of two JSON bodies differ, the order of keys aside; nothing when one of them is not JSON."""
    try:
        their_value, our_value = json.loads(theirs), json.loads(ours)
    except (RecursionError, ValueError):
        return
    for path, key, left, right in _differing("body", "", their_value, our_value):
        if isinstance(left, str) and isinstance(right, str) and tolerance.allows(key, left, right, window):
            continue
        yield Mismatch(path, _shown(left), _shown(right))


def _differing(path: str, key: str, theirs: _Json, ours: _Json) -> Iterator[tuple[str, str, _Json, _Json]]:
    """Each place (path, last key, both values) at which two JSON values differ."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in dict.fromkeys((*theirs, *ours)):
            yield from _differing(f"{path}.{name}", name, theirs.get(name, ABSENT), ours.get(name, ABSENT))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (left, right) in enumerate(zip(theirs, ours, strict=True)):
            yield from _differing(f"{path}[{index}]", "", left, right)
    elif theirs != ours:
        yield path, key, theirs, ours


def _shown(value: _Json) -> str:
    return ABSENT if value is ABSENT else json.dumps(value, ensure_ascii=False)


def _spelling_mismatch(theirs: str, ours: str) -> Mismatch:
    """The place at which two texts part."""
    shorter = min(len(theirs), len(ours))
    at = next((index for index in range(shorter) if theirs[index] != ours[index]), shorter)
    excerpt = slice(max(0, at - _EXCERPT), at + _EXCERPT)
    return Mismatch(f"body, character {at}", repr(theirs[excerpt]), repr(ours[excerpt]))


def _metrics_mismatches(theirs: str, ours: str) -> Iterator[Mismatch]:
    their_lines, our_lines = contracted_lines(theirs), contracted_lines(ours)
    their_samples = {subject_of(line): line for line in their_lines}
    our_samples = {subject_of(line): line for line in our_lines}
    found = False
    for subject in dict.fromkeys((*their_samples, *our_samples)):
        left, right = their_samples.get(subject, ABSENT), our_samples.get(subject, ABSENT)
        if left != right:
            found = True
            yield Mismatch(subject, left, right)
    if not found and their_lines != our_lines:
        yield _spelling_mismatch("\n".join(their_lines), "\n".join(our_lines))
