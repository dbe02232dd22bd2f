"""Draws a breach as a timeline: one line an event, bars that overlap exactly where the events do."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from codeq_contract.checker.events import FOREVER
from codeq_contract.checker.labels import label
from codeq_contract.recordings.times import SECOND

if TYPE_CHECKING:
    from codeq_contract.checker.events import Event
    from codeq_contract.checker.laws import Breach, Mark

_WIDTH = 24


def timeline(breach: Breach, *, epoch: int) -> Table:
    """The events of `breach` with their times in seconds since `epoch`.

    The scale is one of order, not of length: each moment is as far from the next as from the last, so that what
    overlaps can be told from what does not, in milliseconds as in minutes.
    """
    moments = sorted(
        {moment for event in breach.events for moment in _ends(event)} | {mark.at for mark in breach.marks}
    )
    step = max(1, _WIDTH // max(1, len(moments) - 1))
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column()
    rows = [
        (event.sent, (event.who, _bar(event, moments, step), _times(event, epoch), label(event)))
        for event in breach.events
    ]
    rows += [(mark.at, ("", _arrow(mark, moments, step), _time(mark.at, epoch), mark.text)) for mark in breach.marks]
    for _, row in sorted(rows):
        table.add_row(*map(escape, row))
    return table


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
