"""Leases of a run: which worker held which task at which moment, from the history and the journal of the fake."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from operator import itemgetter

from codeq_fake import wire
from codeq_fake.journal import Request
from codeq_fake.payloads import HistoryEvent
from codeq_fake.testing import TaskView

_SECOND = 1_000_000_000

#: Events of a history that the real server's races cause, by their words, with the race (see `codeq_fake.core.task`).
RACES: Mapping[str, str] = {
    "queued a second time": "Z1",
    "dropped from the tasks in progress": "Z2",
    "lease revoked": "Z3",
    "lease revoked for the last time": "Z3",
}


#: Operation -> the events with which it changes a task.
_EVENTS: Mapping[str, tuple[str, ...]] = {
    "claim": ("claimed",),
    "claim_batch": ("claimed",),
    "heartbeat": ("heartbeat",),
    "abandon": ("abandoned",),
    "nack": ("nacked", "nacked for the last time"),
    "submit": ("completed", "failed"),
    "submit_batch": ("completed", "failed"),
}
_OF_REQUESTS = frozenset(what for words in _EVENTS.values() for what in words)
_NO_REPLY = 0
#: The statuses of requests that were carried out, or may have been.
_PERHAPS_CARRIED_OUT = (200, _NO_REPLY)
_SETS_LEASE = ("claim", "claim_batch", "heartbeat")


@dataclass(frozen=True, slots=True)
class Holding:
    """A worker held a task, from its claim until something else happened to the task, or its lease was over."""

    worker: str
    begin: float
    end: float


class Leases:
    """The leases of all tasks of a run. Moments are seconds since its start, which is at `started_at` (ns).

    A request may wait before it is carried out: a claim for a task, others if the server is slow. So the moment at
    which it changed a task is that of its event in the task's history.
    """

    def __init__(self, requests: Iterable[Request], tasks: Iterable[TaskView], started_at: int) -> None:
        self._started_at = started_at
        self._tasks = {task.id: task for task in tasks}
        self._times = {task.id: [self.moment(event["at"]) for event in task.history] for task in self._tasks.values()}
        #: (number of a request, task) -> when it was carried out.
        self._carried_out_at: dict[tuple[int, str], float] = {}
        #: The events of requests: task, and the event's number in its history -> when the request had arrived.
        self._arrived: dict[tuple[str, int], float] = {}
        #: Task -> since when the server promised which end of its lease.
        self._ends: dict[str, list[tuple[float, float]]] = {}
        #: The events whose requests are known: task, and the event's number in its history.
        taken: set[tuple[str, int]] = set()
        #: Those of requests that were answered.
        self._answered: set[tuple[str, int]] = set()
        # A request without a reply may not have been carried out: it gets an event that no other one explains.
        for request in sorted(requests, key=_has_no_reply):
            for touched in request.tasks:
                index = self._event_of(request, touched.id, taken)
                if index is not None:
                    taken.add((touched.id, index))
                    self._arrived[touched.id, index] = (request.arrived - started_at) / _SECOND
                    if request.status != _NO_REPLY:
                        self._answered.add((touched.id, index))
                    moment = self._carried_out_at[request.n, touched.id] = self._times[touched.id][index]
                    if request.operation in _SETS_LEASE:
                        end = (touched.lease_until - started_at) / _SECOND
                        insort(self._ends.setdefault(touched.id, []), (moment, end))

    def _event_of(self, request: Request, task_id: str, taken: AbstractSet[tuple[str, int]]) -> int | None:
        """The number of the event with which a request changed a task: the first that fits and is not taken."""
        words = _EVENTS.get(request.operation, ()) if request.status in _PERHAPS_CARRIED_OUT else ()
        received = (request.at - self._started_at) / _SECOND
        events = self._tasks[task_id].history if task_id in self._tasks and words else ()
        for index, event in enumerate(events):
            is_its_own = event["what"] in words and event["by"] == request.caller
            if is_its_own and self._times[task_id][index] >= received and (task_id, index) not in taken:
                return index
        return None

    def carried_out_at(self, request: Request, task_id: str) -> float:
        """When a request changed a task (s), or when it was received if it changed nothing."""
        received = (request.at - self._started_at) / _SECOND
        return self._carried_out_at.get((request.n, task_id), received)

    def is_answered_throughout(self, task_id: str) -> bool:
        """Whether all events of a task that come from requests come from known requests that were answered."""
        return all(
            event["what"] not in _OF_REQUESTS or (task_id, index) in self._answered
            for index, event in enumerate(self.history(task_id, inf))
        )

    def moment(self, time: str) -> float:
        """A time of the control API (RFC 3339) as seconds since the start of the run."""
        return (wire.parse_rfc3339(time) - self._started_at) / _SECOND

    def history(self, task_id: str, until: float) -> Sequence[HistoryEvent]:
        """What had happened to a task by a moment. Empty for a task that is gone."""
        if task_id not in self._tasks:
            return ()
        return self._tasks[task_id].history[: bisect_right(self._times[task_id], until)]

    def is_held(self, task_id: str, worker: str, at: float) -> bool:
        """Whether a worker held a task at a moment: it had the last claim, and its lease was not over."""
        history = self.history(task_id, at)
        if not history or history[-1]["to"]["status"] != "IN_PROGRESS":
            return False
        claims = [event for event in history if event["what"] == "claimed"]
        return bool(claims) and claims[-1]["by"] == worker and at < self.end(task_id, at)

    def is_ended_by_earlier_claim(self, task_id: str, worker: str, at: float) -> bool:
        """Whether a result for an earlier claim of a worker has ended the same worker's later claim by a moment.

        The server accepts it, since it knows the holder of a task by its token only. Such a result was sent before the
        later claim: `Server.as_sent` gives requests with a result as if they had arrived when they were sent.
        """
        history = self.history(task_id, at)
        if not history or history[-1]["what"] not in _EVENTS["submit"] or history[-1]["by"] != worker:
            return False
        claimed = max(n for n, event in enumerate(history) if event["what"] == "claimed")
        return self._arrived.get((task_id, len(history) - 1), inf) < self._times[task_id][claimed]

    def holdings(self, task_id: str) -> Iterator[Holding]:
        """Who held a task, one after another."""
        history, times = self.history(task_id, inf), self._times.get(task_id, [])
        changes = [n for n, event in enumerate(history) if _begins_or_ends_holding(event)]
        for begin, following in pairwise([*changes, len(history)]):
            if history[begin]["what"] == "claimed":
                changed_at = times[following] if following < len(history) else inf
                lease_end = self.end(task_id, min(changed_at, times[-1]))
                yield Holding(history[begin]["by"] or "", times[begin], min(changed_at, lease_end))

    def end(self, task_id: str, at: float) -> float:
        """The end of a task's lease as the server had promised it by a moment."""
        ends = self._ends.get(task_id, [])
        known = bisect_right(ends, at, key=itemgetter(0))
        return ends[known - 1][1] if known else 0.0

    def race(self, task_id: str, until: float) -> str:
        """The last race that had happened to a task by a moment, such as `Z3`, or an empty text."""
        races = [RACES[event["what"]] for event in self.history(task_id, until) if event["what"] in RACES]
        return races[-1] if races else ""


def _begins_or_ends_holding(event: HistoryEvent) -> bool:
    return event["what"] == "claimed" or event["to"]["status"] != "IN_PROGRESS"


def _has_no_reply(request: Request) -> bool:
    return request.status == _NO_REPLY
