"""Compares a replayed reply with the recorded one, byte by byte, and names the places of all differences."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from codeq_contract.clauses import clauses_of_call
from codeq_contract.driver.requests import Reply
from codeq_contract.recordings.format import REPLY_HEADERS, Call, text_of

from .allowed_differences import AllowedDifferences, Window, masked
from .metrics import metrics_mismatches
from .mismatches import ABSENT, Mismatch, spelling_mismatch

_Json: TypeAlias = "dict[str, _Json] | list[_Json] | str | int | float | bool | None"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a recording and its replay.

    `event` is the recorded call or callback, as in `call 12`, `request` its method and path, and `clauses` are those of
    the contract behind it. `path` is the place: `status`, a header, or a path into the body.
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


def compare_reply(call: Call, ours: Reply, allowed: AllowedDifferences) -> list[Difference]:
    """All differences between `ours` and the recorded reply to `call`."""
    mismatches = []
    if call.status != ours.status:
        mismatches.append(("status", str(call.status), str(ours.status)))
    for name in sorted({*REPLY_HEADERS, *call.reply_headers}):
        theirs_value, ours_value = call.reply_headers.get(name, ABSENT), ours.headers.get(name, ABSENT)
        if not allowed.allows_header(name, theirs_value, ours_value):
            mismatches.append((f"header {name}", theirs_value, ours_value))
    if call.path == "/metrics":
        mismatches.extend(metrics_mismatches(call.reply, ours.text, allowed.lateness))
    else:
        window = Window(call.sent, call.answered)
        mismatches.extend(text_mismatches(call.reply, text_of(ours.body), allowed, window))
    return [call_difference(call, *mismatch) for mismatch in mismatches]


def call_difference(call: Call, path: str, theirs: str, ours: str) -> Difference:
    """A difference in the reply to `call`."""
    clauses = clauses_of_call(call.method, call.path, call.status)
    return Difference(f"call {call.number}", f"{call.method} {call.path}", clauses, path, theirs, ours)


def text_mismatches(theirs: str, ours: str, allowed: AllowedDifferences, window: Window) -> Iterator[Mismatch]:
    """The differences of two bodies: of their values if both are JSON and these differ, otherwise of their text."""
    if theirs == ours:
        return
    mismatches = json_mismatches(theirs, ours, allowed, window)
    yield from mismatches
    masked_theirs, masked_ours = masked(theirs), masked(ours)
    if not mismatches and masked_theirs != masked_ours:
        yield spelling_mismatch(masked_theirs, masked_ours)


def json_mismatches(theirs: str, ours: str, allowed: AllowedDifferences, window: Window) -> list[Mismatch]:
    """The values that differ in two JSON bodies. The order of keys is ignored.

    Empty if one body is not JSON, or nests deeper than Python goes: some versions read 65,000 levels, but walk 1,000.
    """
    try:
        return [
            (path, _shown(left), _shown(right))
            for path, key, left, right in _differing("body", "", json.loads(theirs), json.loads(ours))
            if not (isinstance(left, str) and isinstance(right, str) and allowed.allows(key, left, right, window))
        ]
    except (RecursionError, ValueError):
        return []


def _differing(path: str, key: str, theirs: _Json, ours: _Json) -> Iterator[tuple[str, str, _Json, _Json]]:
    """The places (path, last key, both values) at which two JSON values differ."""
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
