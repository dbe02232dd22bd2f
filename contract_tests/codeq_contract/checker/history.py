"""A recording as its laws look at it: the life of every task, the queues, and what is not known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from codeq_contract.checker.events import (
    FOREVER,
    CalledBack,
    Claim,
    Cleanup,
    Created,
    Deed,
    Delivery,
    Lost,
    Missing,
    OfTask,
    Sight,
)
from codeq_contract.checker.names import queue_name
from codeq_contract.checker.queues import Queue
from codeq_contract.checker.reading import events_of
from codeq_contract.checker.settings import Terms
from codeq_contract.checker.task_histories import Life, leases_of
from codeq_contract.checker.waiting_periods import stays_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from codeq_contract.checker.events import Event
    from codeq_contract.checker.task_histories import Lease
    from codeq_contract.checker.waiting_periods import Stay
    from codeq_contract.recordings.format import Recording

E = TypeVar("E", bound="Event")


@dataclass(frozen=True)
class History:
    """All that is known of a server's doings between two moments.

    A history is judged as if it were complete: nobody else called the server, or used its store. `lost` are the calls
    of which no reply came. From `gone` on tasks may have been deleted by a clean-up. `end` is the last moment. Unless
    it was `drained`, a task that nobody got might have been had by who had gone on.
    """

    terms: Terms
    lives: Mapping[str, Life]
    claims: tuple[Claim, ...]
    queues: Mapping[tuple[str, str], Queue]
    lost: tuple[Lost, ...]
    gone: int
    end: int
    drained: bool

    @classmethod
    def of(cls, recording: Recording) -> History:
        """The history that `recording` holds. Raises RecordingError when it cannot be understood."""
        terms = Terms.of(recording.header)
        events = list(events_of(recording, terms))
        lost = _only(Lost, events)
        gone = min((cleanup.sent for cleanup in _only(Cleanup, events)), default=FOREVER)
        lives = _lives(events, terms)
        queues = _queues(events, lives.values(), max(0, terms.inspect_limit - len(lost)))
        return cls(terms, lives, _only(Claim, events), queues, lost, gone, recording.end, recording.header.drained)

    @cached_property
    def stays(self) -> Mapping[tuple[str, str], tuple[Stay, ...]]:
        """For each queue the stays of its tasks."""
        return {
            key: tuple(stay for life in queue.lives for stay in stays_of(life, queue, self))
            for key, queue in self.queues.items()
        }

    def taken_from(self, lease: Lease) -> int:
        """Before this moment no claim can have taken a task away whose lease was over, by those that are known (K7)."""
        tenant, name = lease.delivery.task.queue
        repairs = (
            claim.sent
            for claim in self.claims
            if claim.answered >= lease.earliest_end
            and claim.tenant in {None, tenant}
            and (claim.queues is None or name in claim.queues)
        )
        return max(lease.earliest_end, min(repairs, default=FOREVER))

    def repair_of(self, life: Life, lease: Lease) -> Claim | None:
        """The first claim that must have found the lease run out, if nobody had settled it, and requeued it (K7)."""
        task = life.task or lease.delivery.task
        return self.queues[task.queue].repair_of(lease)


def _lives(events: Iterable[Event], terms: Terms) -> Mapping[str, Life]:
    by_id: defaultdict[str, list[OfTask]] = defaultdict(list)
    for event in events:
        if isinstance(event, OfTask):
            by_id[event.task_id].append(event)
    return {task_id: _life(task_id, mine, terms) for task_id, mine in by_id.items()}


def _life(task_id: str, events: Sequence[OfTask], terms: Terms) -> Life:
    deeds = _only(Deed, events)
    return Life(
        id=task_id,
        births=_only(Created, events),
        leases=leases_of(_only(Delivery, events), deeds, terms),
        deeds=deeds,
        sights=_only(Sight, events),
        missing=_only(Missing, events),
        callbacks=_only(CalledBack, events),
    )


def _only(kind: type[E], events: Iterable[Event]) -> tuple[E, ...]:
    return tuple(event for event in events if isinstance(event, kind))


def _queues(events: Iterable[Event], lives: Iterable[Life], limit: int) -> Mapping[tuple[str, str], Queue]:
    claims: defaultdict[tuple[str, str], list[Claim]] = defaultdict(list)
    residents: defaultdict[tuple[str, str], list[Life]] = defaultdict(list)
    for claim in _only(Claim, events):
        if claim.tenant is not None:
            for name in _reached(claim):
                claims[claim.tenant, name].append(claim)
    for life in lives:
        if life.task is not None:
            residents[life.task.queue].append(life)
    return {
        (tenant, name): Queue(tenant, name, tuple(claims[tenant, name]), tuple(tasks), limit)
        for (tenant, name), tasks in residents.items()
    }


def _reached(claim: Claim) -> Iterator[str]:
    """The queues at which a claim has surely looked: in its order, up to those that gave something (K4)."""
    given = {queue_name(task.command) for task in claim.tasks}
    if claim.queues is None:
        yield from given
        return
    for name in dict.fromkeys(claim.queues):
        yield name
        given.discard(name)
        if claim.tasks and not given:
            return
