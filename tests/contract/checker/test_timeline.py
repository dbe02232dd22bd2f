"""A timeline describes every kind of event, and its bars overlap exactly where events do."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from codeq_contract.checker import Mark, Violation
from codeq_contract.checker.events import Cleanup, Event, Lost, Missing
from codeq_contract.checker.reading import EventReader
from codeq_contract.checker.settings import Settings
from codeq_contract.checker.timeline import label, timeline
from codeq_contract.recordings.format import Call, Callback
from codeq_contract.recordings.times import SECOND
from tests.contract.checker.support import EPOCH, SCENARIO, drive


def test_the_events_of_the_scenario_in_words() -> None:
    recording = drive(SCENARIO.values())
    reader = EventReader(recording.header, Settings.of(recording.header))
    entries: list[Call | Callback] = [*recording.calls, *recording.callbacks]
    events = [event for entry in entries for event in reader.events_of(entry)]
    words = [label(event) for event in events]
    high = next(event for event in events if label(event) == "create, priority 2").task_id  # type: ignore[attr-defined] # it is a Created
    assert words[:9] == [
        "create, priority 0",
        "create, priority 0",
        "create, priority 2",
        "create, priority 1",
        "create, priority 0, due in 4 s",
        f"claim of {high[:8]}",
        "claim for 4 s, attempts 1",
        "heartbeat: 5 s",
        "result: COMPLETED",
    ]
    assert {
        "NACK: requeued in 2 s",
        "NACK: dead letter",
        "abandon: requeued",
        "IN_PROGRESS by w0, attempts 2",
        "claim of nothing",
        "callback: COMPLETED",
    } <= set(words)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Missing(1, "w1", 0, 1, "some-id"), "no such task"),
        (Cleanup(1, "admin", 0, 1), "cleanup"),
        (Lost(1, "w1", 0, 1, "/v1/codeq/tasks/some-id/nack", "{}", None, None), "nack, no reply"),
    ],
)
def test_rarer_events_in_words(event: Event, words: str) -> None:
    assert label(event) == words


def drawn(*events: Event, marks: tuple[Mark, ...] = ()) -> list[str]:
    console = Console(file=StringIO(), width=100)
    console.print(timeline(Violation("some-id", "", events, "", marks), epoch=EPOCH))
    output: str = console.file.getvalue()  # type: ignore[attr-defined] # it is a StringIO
    return [line.rstrip() for line in output.splitlines()]


def test_bars_overlap_where_events_do_however_long_they_took() -> None:
    first = Cleanup(1, "a", EPOCH, EPOCH + 2 * SECOND)
    second = replace(first, caller="b", sent=EPOCH + SECOND, answered=EPOCH + 60 * SECOND)
    third = replace(first, caller="c", sent=EPOCH + 61 * SECOND, answered=EPOCH + 61 * SECOND)
    assert drawn(third, second, first, marks=(Mark(EPOCH + SECOND, "then"),)) == [
        "a  ├───────────┤              0.0000 to 2.0000    cleanup",
        "         ▲                    1.0000              then",
        "b        ├───────────┤        1.0000 to 60.0000   cleanup",
        "c                          │  61.0000 to 61.0000  cleanup",
    ]
