"""The story of one task: its history with the requests that were refused and the tries of its callbacks, in order.

`codeq_fake.timeline` writes the same as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from operator import attrgetter
from typing import Literal, TypeAlias

from codeq_fake.control.generated_tests import CAUSES
from codeq_fake.core import HistoryEntry, Task
from codeq_fake.core.durations import in_words
from codeq_fake.core.task import ENDED, LAST_ATTEMPT, Event
from codeq_fake.http.operations import CLAIMS
from codeq_fake.journal import Callback, Request, runs
from codeq_fake.surprises.history import fields_of_short

from .limits import MOST_STRUCK
from .rendering import STATES, counted, query

_ERROR = 400

#: What a line is about: a change of the task, a request that was refused or met a fault, or the try of a callback.
Kind: TypeAlias = Literal["event", "refusal", "try"]

#: The events that add to the number of attempts: claims, and what gives a task back (N4).
_ADDS_AN_ATTEMPT = frozenset({Event.CLAIM, Event.REFUSE_LEASE, *LAST_ATTEMPT, *LAST_ATTEMPT.values()})


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `what` happened at `at` (ns), caused `by` a caller. `state` is the word for the state that it led to.

    Heartbeats without anything in between are one line, and `until` is the time of the last of them. `link` leads to a
    request. `attempts` is their number afterwards, if the event changed it.
    """

    at: int
    what: str
    kind: Kind = "event"
    by: str = ""
    state: str = ""
    until: int | None = None
    why: str = ""
    link: str = ""
    attempts: int | None = None


def of_task(task: Task, requests: Sequence[Request], callbacks: Iterable[Callback]) -> list[Line]:
    """The story of a task with the requests and callbacks about it, the earliest line first."""
    struck = [entry for entry in requests if entry.status >= _ERROR or not entry.status or entry.faults]
    tries = sorted((line for entry in callbacks for line in _tries(entry)), key=attrgetter("at"))
    refusals = map(_of_refusal, struck[-MOST_STRUCK:])
    return list(_folded(merge(_events(task, requests), refusals, tries, key=attrgetter("at"))))


def _events(task: Task, requests: Sequence[Request]) -> list[Line]:
    """The history of a task, with what the requests that caused it say about it."""
    caused = {(entry.at, entry.operation.removesuffix("_batch")): entry for entry in requests}
    # A claim that waited came before the event.
    polls = [entry for entry in requests if entry.took and entry.operation in CLAIMS]
    lines: list[Line] = []
    attempts: int | None = task.attempts
    for event in reversed(task.history):  # only the present number of attempts is known
        cause = caused.get((event.at, CAUSES.get(event.what, "")))
        if cause is None and event.what == Event.CLAIM:
            cause = next((entry for entry in polls if entry.at <= event.at <= entry.answered), None)
        lines.append(_of_event(event, task, cause, attempts if event.what in _ADDS_AN_ATTEMPT else None))
        if event.what == Event.REQUEUE and event.before in ENDED:
            attempts = None  # the count began again, and nothing tells where it stood
        elif attempts is not None:
            attempts -= event.what in _ADDS_AN_ATTEMPT
    return lines[::-1]


def _of_event(event: HistoryEntry, task: Task, cause: Request | None, attempts: int | None) -> Line:
    changed = event.before is not event.after
    line = Line(event.at, event.what, by=event.by, state=STATES[event.after] if changed else "", attempts=attempts)
    if cause is None:
        return line
    return replace(line, why=_why(event, task, cause), link=query("/_fake/page/request", n=cause.n))


def _why(event: HistoryEntry, task: Task, cause: Request) -> str:
    """What a request adds to the event that it caused: the length of a lease, or the reason of a NACK."""
    if event.what == Event.CLAIM:
        until = next((touched.lease_until for touched in cause.tasks if touched.id == task.id), 0)
        return f"a lease of {in_words(until - event.at)}" if until > event.at else ""
    if event.what in (Event.NACK, Event.LAST_NACK):
        reason = fields_of_short(cause).get("reason")
        return reason if isinstance(reason, str) else ""
    return ""


def _of_refusal(entry: Request) -> Line:
    if entry.status >= _ERROR:
        what = f"{entry.operation} refused with {entry.status}"
    else:
        what = f"{entry.operation} struck by a fault" if entry.status else f"{entry.operation} without a reply"
    why = entry.reason or ", ".join(entry.faults)
    return Line(entry.at, what, "refusal", entry.caller, why=why, link=query("/_fake/page/request", n=entry.n))


def _tries(entry: Callback) -> Iterator[Line]:
    for number, tried in enumerate(entry.tries, start=entry.first_try):
        outcome = tried.status or tried.error or "no answer"
        link = query("/_fake/page/callback", n=entry.n)
        yield Line(tried.at, f"callback, try {number}: {outcome}", "try", link=link)


def _folded(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, with each run of heartbeats of one worker as one."""
    for first, others in runs(lines, attrgetter("what", "by")):
        if others and first.what == Event.HEARTBEAT:
            yield Line(first.at, counted(len(others) + 1, "heartbeat"), by=first.by, until=others[-1].at)
        else:
            yield from (first, *others)
