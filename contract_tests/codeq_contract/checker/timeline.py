"""Draws a violation as a timeline: one line an event, with bars that overlap exactly where the events do."""

from __future__ import annotations

from bisect import bisect_left

from rich.markup import escape
from rich.table import Table

from codeq_contract.recordings.times import SECOND

from .events import (
    FOREVER,
    Abandon,
    CallbackReceived,
    Claim,
    Created,
    Delivery,
    Event,
    Heartbeat,
    Lost,
    Missing,
    Nack,
    Read,
    Result,
)
from .laws import Mark, Violation

_WIDTH = 24


def timeline(violation: Violation, *, epoch: int) -> Table:
    """The events of `violation` with their times in seconds since `epoch`.

    The scale shows order, not length: all neighbouring moments have the same distance. So overlaps are visible in
    milliseconds as well as in minutes.
    """
    moments = sorted(
        {moment for event in violation.events for moment in _ends(event)} | {mark.at for mark in violation.marks}
    )
    step = max(1, _WIDTH // max(1, len(moments) - 1))
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column()
    rows = [
        (event.sent, (event.caller, _bar(event, moments, step), _times(event, epoch), label(event)))
        for event in violation.events
    ]
    rows += [(mark.at, ("", _arrow(mark, moments, step), _time(mark.at, epoch), mark.text)) for mark in violation.marks]
    for _, row in sorted(rows):
        table.add_row(*map(escape, row))
    return table


def label(event: Event) -> str:  # noqa: C901, PLR0911 - one line a kind of event
    """What was done and what came of it, in a few words."""
    match event:
        case Created():
            due = f", due in {_seconds(event.delay)}" if event.delay else ""
            return f"create, priority {event.task.priority}{', with runAt' if event.run_at is not None else due}"
        case Claim():
            return f"claim of {', '.join(task.id[:8] for task in event.tasks) or 'nothing'}"
        case Delivery():
            return f"claim for {_seconds(event.lease)}, attempts {event.task.attempts}"
        case Heartbeat():
            return f"heartbeat: {event.refusal or _seconds(event.extension)}"
        case Abandon():
            return f"abandon: {event.refusal or 'requeued'}"
        case Nack():
            return f"NACK: {event.refusal or ('dead letter' if event.dead else f'requeued in {event.delay} s')}"
        case Result():
            return f"result: {event.refusal or event.status}"
        case Read():
            by = f" by {event.task.worker}" if event.task.worker else ""
            return f"{event.task.status}{by}, attempts {event.task.attempts}"
        case Missing():
            return "no such task"
        case Lost():
            return f"{event.path.rpartition('/')[2]}, no reply"
        case CallbackReceived():
            return f"callback: {event.status}"
        case _:
            return type(event).__name__.lower()


def _ends(event: Event) -> set[int]:
    return {event.sent, event.answered} - {FOREVER}


def _bar(event: Event, moments: list[int], step: int) -> str:
    start = bisect_left(moments, event.sent) * step
    if event.answered == FOREVER:
        return " " * start + "├" + "─" * (len(moments) * step - start) + "▶"
    length = bisect_left(moments, event.answered) * step - start
    return " " * start + ("├" + "─" * (length - 1) + "┤" if length else "│")


def _arrow(mark: Mark, moments: list[int], step: int) -> str:
    return " " * (bisect_left(moments, mark.at) * step) + "▲"


def _times(event: Event, epoch: int) -> str:
    return f"{_time(event.sent, epoch)} to {_time(event.answered, epoch)}"


def _time(moment: int, epoch: int) -> str:
    return "?" if moment == FOREVER else f"{(moment - epoch) / SECOND:.4f}"


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / SECOND:g} s"
