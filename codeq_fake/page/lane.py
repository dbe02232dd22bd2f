"""The lane above a story: the states of a task, or of a callback, as bars over time, and what happened as ticks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from codeq_fake.core import Task
from codeq_fake.core.task import ENDED, Event
from codeq_fake.core.times import MILLISECOND
from codeq_fake.journal import Callback

from .rendering import STATES
from .story import Line

#: What a tick stands for; `other` is a change that is no change of state, such as the end of a lease by hand.
Kind: TypeAlias = Literal["heartbeat", "refusal", "try", "other"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A state, from `x` on for `width` (per cent of the lane)."""

    state: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Something that happened at `x` (per cent of the lane)."""

    kind: Kind
    x: float
    at: int
    what: str


@dataclass(frozen=True, slots=True)
class Lane:
    """The lane from `since` to `until` (ns), with one tick where several of a kind would cover each other.

    `lengths` is how long each state lasted in all (ns), 0 for one that lasts for ever. `counts` is how many ticks of
    each kind there are.
    """

    since: int
    until: int
    bars: Sequence[Bar]
    ticks: Sequence[Tick]
    lengths: Mapping[str, int]
    counts: Mapping[Kind, int]


@dataclass(frozen=True, slots=True)
class _Scale:
    since: int
    length: int

    def x(self, at: int) -> float:
        """A time as per cent of the lane."""
        return round((at - self.since) * 100 / self.length, 1)


def of_task(task: Task, story: Iterable[Line], *, now: int) -> Lane:
    """The lane of a task: up to `now`, or up to a little after the last event of one that has ended."""
    changes = [(entry.at, STATES[entry.after]) for entry in task.history if entry.before is not entry.after]
    ticks: list[tuple[int, Kind, str]] = [
        (entry.at, "heartbeat" if entry.what == Event.HEARTBEAT else "other", entry.what)
        for entry in task.history
        if entry.before is entry.after
    ]
    ticks += [(line.at, line.kind, line.what) for line in story if line.kind != "event"]
    return _lane(changes, ticks, now=None if task.state in ENDED else now)


def of_callback(callback: Callback, *, now: int) -> Lane:
    """The lane of a callback: its tries, up to `now` if there will be more."""
    ticks: list[tuple[int, Kind, str]] = [
        (tried.at, "try", f"try {number}: {tried.status or tried.error or 'no answer'}")
        for number, tried in enumerate(callback.tries, start=callback.first_try)
    ]
    changes = [(callback.tries[0].at, "pending")] if callback.tries else []
    if callback.state != "pending" and callback.tries:
        changes.append((callback.tries[-1].at, callback.state))
    return _lane(changes, ticks, now=now if callback.state == "pending" else None)


def _lane(changes: Sequence[tuple[int, str]], ticks: Sequence[tuple[int, Kind, str]], *, now: int | None) -> Lane:
    """The lane of these changes of state and ticks, up to `now`.

    Without `now` the last state has no end: its bar is a twentieth of all before it, and its length is 0.
    """
    times = [*(at for at, _ in changes), *(at for at, _, _ in ticks)]
    since, last = min(times, default=0), max(times, default=0)
    until = max(last, now) if now is not None else last + (last - since) // 20
    scale = _Scale(since, max(until - since, MILLISECOND))
    lengths: Counter[str] = Counter()
    bars: list[Bar] = []
    for number, ((at, state), (end, _)) in enumerate(pairwise([*changes, (since + scale.length, "")]), start=1):
        if end > at:
            bars.append(Bar(state, scale.x(at), round(scale.x(end) - scale.x(at), 1)))
            lengths[state] += end - at if number < len(changes) or now is not None else 0
    drawn = {(kind, scale.x(at)): Tick(kind, scale.x(at), at, what) for at, kind, what in ticks}
    counts = Counter(kind for _, kind, _ in ticks)
    return Lane(since, until if now is not None else last, bars, list(drawn.values()), lengths, counts)
