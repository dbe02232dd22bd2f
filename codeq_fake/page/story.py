"""The story of one task: its history with the requests that were refused and the tries of its callbacks, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import attrgetter

from codeq_fake.core import HistoryEntry, Task
from codeq_fake.core.task import Event
from codeq_fake.journal import Callback, Request
from codeq_fake.runtime.fake_server import FakeServer

from .rendering import STATES, counted, query

#: So many refused requests are shown at most, the latest ones.
_MOST_REFUSED = 20
_ERROR = 400


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `what` happened at `at` (ns), caused `by` a caller. `state` is the word for the state that it led to.

    Heartbeats without anything in between are one line, and `until` is the time of the last of them. `link` leads to a
    request.
    """

    at: int
    what: str
    by: str = ""
    state: str = ""
    until: int | None = None
    why: str = ""
    link: str = ""


def of_task(runtime: FakeServer, task: Task) -> list[Line]:
    """The story of a task, the earliest line first. Its history has the requests that were not refused."""
    refused = [
        entry
        for entry in reversed(runtime.requests.entries)
        if (entry.status >= _ERROR or not entry.status) and any(touched.id == task.id for touched in entry.tasks)
    ]
    latest = map(_of_request, reversed(refused[:_MOST_REFUSED]))
    callbacks = (entry for entry in runtime.deliveries.journal.entries if entry.task_id == task.id)
    tries = sorted((line for entry in callbacks for line in _of_callback(entry)), key=attrgetter("at"))
    return list(_folded(merge(map(_of_event, task.history), latest, tries, key=attrgetter("at"))))


def _of_event(entry: HistoryEntry) -> Line:
    changed = entry.before is not entry.after
    return Line(entry.at, entry.what, entry.by, STATES[entry.after] if changed else "")


def _of_request(entry: Request) -> Line:
    what = f"{entry.operation} refused with {entry.status}" if entry.status else f"{entry.operation} without a reply"
    why = entry.reason or ", ".join(entry.faults)
    return Line(entry.at, what, entry.caller, why=why, link=query("/_fake/page/request", n=entry.n))


def _of_callback(entry: Callback) -> Iterator[Line]:
    for number, tried in enumerate(entry.tries, start=entry.first_try):
        yield Line(tried.at, f"callback, try {number}: {tried.status or tried.error or 'no answer'}")


def _folded(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, with each run of heartbeats of one worker as one."""
    for (what, by), run in groupby(lines, attrgetter("what", "by")):
        if what != Event.HEARTBEAT:
            yield from run
            continue
        first, *others = run
        if not others:
            yield first
        else:
            yield Line(first.at, counted(len(others) + 1, "heartbeat"), by, until=others[-1].at)
