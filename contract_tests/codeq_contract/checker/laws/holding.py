"""Laws of holding a task: one live lease, honoured until it ends, and ended at the next claim once it ran out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_contract.checker.events import Heartbeat
from codeq_contract.checker.laws.law import Breach, Law, Mark
from codeq_contract.checker.task_histories import is_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.checker.events import Claim, Created, Deed, Event, Sight
    from codeq_contract.checker.history import History
    from codeq_contract.checker.task_histories import Lease, Life


def double_leases(history: History) -> Iterator[Breach]:
    """Deliveries of a task that is surely still leased."""
    for life in history.lives.values():
        for lease, following in life.pairs:
            second = following.delivery
            if second.answered < lease.earliest_end and not second.precedes(lease.delivery):
                says = f"was delivered to {second.task.worker} while {lease.delivery.task.worker} held it"
                revoked = following.attempts - lease.attempts > 1
                events = (lease.delivery, *_beats_before(lease, second), second)
                yield Breach(life.id, says, events, "Z3" if revoked else "", _holds(lease))


def broken_leases(history: History) -> Iterator[Breach]:
    """Refusals to a worker that surely holds the task, and reads that show it in other hands."""
    for life in history.lives.values():
        for lease in life.leases:
            for event, says in _contradictions(life, lease):
                if lease.delivery.precedes(event) and event.answered < lease.earliest_end:
                    events = (lease.delivery, *_beats_before(lease, event), event)
                    yield Breach(life.id, says, events, "Z3", _holds(lease))


def _contradictions(life: Life, lease: Lease) -> Iterator[tuple[Event, str]]:
    worker, attempts = lease.delivery.task.worker, lease.attempts
    for deed in life.deeds:
        if deed.worker == worker and deed.refused_as_not_held:
            yield deed, f"was taken from {worker} before its lease was over"
    for sight in life.shown:
        task = sight.task
        if (task.status, task.worker, task.attempts) != ("IN_PROGRESS", worker, attempts):
            yield sight, f"was read as {task.status} while {worker} held it"


def strangers(history: History) -> Iterator[Breach]:
    """Deeds accepted from who held no lease: never had one, or had already given it up."""
    for life in history.lives.values():
        for deed in life.deeds:
            if deed.accepted and deed.worker is not None and not any(deed in lease.deeds for lease in life.leases):
                yield _never_held(life, deed)
        for lease in life.leases:
            for deed in lease.certain:
                if lease.settled is not None and _cannot_follow(lease.settled, deed):
                    says = f"was given back or ended by {deed.worker}, from whom this was accepted all the same"
                    yield Breach(life.id, says, (lease.delivery, lease.settled, deed))


def _never_held(life: Life, deed: Deed) -> Breach:
    others = [lease.delivery for lease in life.leases if not deed.precedes(lease.delivery)]
    says = f"was not in the hands of {deed.worker}, from whom this was accepted"
    return Breach(life.id, says, (*others[-1:], deed))


def _cannot_follow(settled: Deed, deed: Deed) -> bool:
    """Whether one lease cannot have borne both. What comes after a task's end is another law's affair."""
    if settled.number == deed.number or (is_end(settled) and (is_end(deed) or settled.precedes(deed))):
        return False
    return settled.precedes(deed) or not isinstance(deed, Heartbeat)


def overdue_leases(history: History) -> Iterator[Breach]:
    """Leases that outlived a claim which was sent after their time: it should have requeued the task."""
    for life in history.lives.values():
        for lease in life.leases:
            repair = history.repair_of(life, lease)
            # Of a task that nobody got again the law of losses tells, if it can.
            by_reads = lease.following is not None or bool(life.ends) or not history.drained
            event = None if repair is None else _outlived(life, lease, repair, by_reads=by_reads)
            if repair is not None and event is not None:
                says = f"stayed with {lease.delivery.task.worker} after its lease was over and a claim came"
                marks = (Mark(lease.latest_end, "the lease is over by then"),)
                yield Breach(life.id, says, (lease.delivery, *_beats_before(lease, repair), repair, event), marks=marks)


def _outlived(life: Life, lease: Lease, repair: Claim, *, by_reads: bool) -> Event | None:
    """What shows that the claim changed nothing: a deed, or a read if these count."""
    shown: list[Event] = [deed for deed in lease.certain if repair.precedes(deed)]
    if by_reads:
        shown += [sight for sight in life.shown if repair.precedes(sight) and is_held(sight, lease)]
    return min(shown, key=lambda event: event.sent, default=None)


def hasty_takings(history: History) -> Iterator[Breach]:
    """Refusals to who held a task longer than its lease, though no claim had come by to take it away."""
    for life in history.lives.values():
        refusals = [deed for deed in life.deeds if deed.refused_as_not_held]
        for lease in life.leases[-1:] if refusals else ():
            for deed in refusals:
                if _is_overdue(lease, deed) and deed.answered < history.taken_from(lease):
                    says = f"was taken from {deed.worker}, and no claim had come by since its lease was over"
                    yield Breach(life.id, says, (lease.delivery, *_beats_before(lease, deed), deed))


def _is_overdue(lease: Lease, deed: Deed) -> bool:
    """Whether the holder did it when the lease may have been over, having neither ended the task nor given it back."""
    by_holder = deed.worker == lease.delivery.task.worker and not lease.settlements
    return by_holder and lease.delivery.precedes(deed) and lease.earliest_end <= deed.answered


def is_held(sight: Created | Sight, lease: Lease) -> bool:
    """Whether the task was seen in the hands that this lease put it into."""
    return sight.task.status == "IN_PROGRESS" and sight.task.attempts == lease.attempts


def _beats_before(lease: Lease, event: Event) -> tuple[Event, ...]:
    return tuple(beat for beat in lease.beats if not event.precedes(beat))


def _holds(lease: Lease) -> tuple[Mark, ...]:
    return (Mark(lease.earliest_end, "the lease holds until then"),)


LAWS = (
    Law(
        "one-lease", "A task is in one worker's hands at a time", "K5 K8 H1", double_leases, withstands_lost_claims=True
    ),
    Law("lease-holds", "A live lease is honoured", "K8 H1 H2 N1 S1", broken_leases, withstands_lost_claims=True),
    Law("owner", "Only who holds a task can settle it or keep it", "H2 D2 N1 S1", strangers),
    Law("late", "A lease that ran out counts until a claim comes", "K7 H2 N1 S3", hasty_takings),
    Law("expiry", "A lease that ran out ends at the next claim", "K7 K8 H3 N5 S3", overdue_leases),
)
