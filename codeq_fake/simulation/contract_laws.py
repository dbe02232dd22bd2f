"""The contract's laws, judged on the fake's own history by the checker of the contract suite.

The fake does not import the suite: the suite says by an entry point that it has laws. Each is stated once, there. What
the fake itself has done to a task, by a race or by hand, is known only here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from math import inf
from typing import Any, Protocol, TypeAlias

from codeq_fake.journal import Request
from codeq_fake.payloads import FaultKind

from .evidence import Evidence, Violation

#: The group of entry points. Each names a function that judges the lines of a recording.
GROUP = "codeq_fake.simulation.laws"

_SECOND = 1_000_000_000

#: Kind of fault -> the race that it is.
_RACES: Mapping[FaultKind, str] = {
    "redeliver_finished": "Z1",
    "lose_task": "Z2",
    "revoke_lease": "Z3",
    "false_empty": "Z4",
    "accept_result_twice": "Z5",
    "double_create": "Z6",
}
#: How an event ends that no request has caused, but the test.
_BY_HAND = "by hand"


class BrokenLaw(Protocol):
    """A law that is certainly broken, by the tasks with these ids, as the requests with these numbers show."""

    law: str
    text: str
    tasks: Sequence[str]
    requests: Sequence[int]


Judge: TypeAlias = Callable[[Iterable[Mapping[str, Any]]], Iterable[BrokenLaw]]


@cache
def judges() -> tuple[Judge, ...]:
    """The functions by which other packages judge a recording. They are loaded at the first use."""
    return tuple(entry.load() for entry in entry_points(group=GROUP))


def contract_is_kept(evidence: Evidence) -> Iterator[Violation]:
    """The server keeps the contract. What looks like a violation may be a race of the real server, or done by hand."""
    for judge in judges():
        for broken in judge(evidence.recording):
            if _is_all_recorded(evidence, broken.tasks):
                yield Violation(broken.law, broken.text, tuple(broken.tasks), _race(evidence, broken))


def _is_all_recorded(evidence: Evidence, tasks: Sequence[str]) -> bool:
    """Whether all that happened to the tasks is in the recording.

    A test may change tasks by hand. A server that is killed may have changed one without a reply.
    """
    touching = _touching(evidence.requests, tasks)
    created = {task.id for request in touching for task in request.created}
    is_known = created.union(task.id for task in evidence.tasks).issuperset(tasks)
    events = [event["what"] for task_id in tasks for event in evidence.leases.history(task_id, inf)]
    by_hand = any(what.endswith(_BY_HAND) for what in events)
    is_skewed = any("clock_skew" in request.faults for request in touching)
    return is_known and not by_hand and not is_skewed and all(map(evidence.leases.is_answered_throughout, tasks))


def _race(evidence: Evidence, broken: BrokenLaw) -> str:
    """The last race on the tasks, or on the requests that show the violation, before its last request was answered.

    Empty if there was none.
    """
    last = max(broken.requests, default=inf)
    earlier = [request for request in evidence.requests if request.n <= last]
    until = max((request.answered - evidence.started_at for request in earlier), default=0) / _SECOND
    shown = [request for request in earlier if request.n in broken.requests]
    kinds = [kind for request in (*_touching(earlier, broken.tasks), *shown) for kind in request.faults]
    races = [
        *(_RACES.get(kind, "") for kind in kinds),
        *(evidence.leases.race(task_id, until) for task_id in broken.tasks),
    ]
    return next(filter(None, reversed(races)), "")


def _touching(requests: Iterable[Request], tasks: Sequence[str]) -> list[Request]:
    """The requests that touched one of the tasks."""
    return [request for request in requests if any(task.id in tasks for task in request.tasks)]
