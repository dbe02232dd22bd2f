"""Laws on holding a task: one live lease, respected until it ends, and ended by the next claim once it expired.

The end of a lease is known only within bounds. Before `earliest_end` the lease holds in every possible order of the
calls; from `latest_end` on it has expired in every order. Between the two both answers of a server are right, so no law
looks there. An expired lease stays valid until a claim repairs the queue (K7): that is why refusals after the end are
wrong as long as no claim can have come.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from codeq_contract.checker.events import Claim, Event, Heartbeat, Observation, Operation
from codeq_contract.checker.history import History
from codeq_contract.checker.task_histories import Lease, TaskHistory, ends_task

from .law import Law, Mark, Violation


def double_leases(history: History) -> Iterator[Violation]:
    """Find deliveries of a task that is certainly still leased."""
    for task in history.tasks.values():
        for lease, following in pairwise(task.leases):
            second = following.delivery
            # Attempts order the leases. A second delivery that came earlier is the law on attempts' concern.
            if second.answered < lease.earliest_end and not second.precedes(lease.delivery):
                message = f"was delivered to {second.task.worker} while {lease.delivery.task.worker} held it"
                events = (lease.delivery, *_heartbeats_before(lease, second), second)
                yield Violation(task.id, message, events, _race(lease, following), _holds(lease))


def _race(lease: Lease, following: Lease) -> str:
    """The race that a second delivery of a leased task looks like."""
    if following.attempts - lease.attempts > 1:
        return "Z3"  # the server took the lease for expired, and counted that as a NACK (N5)
    return "Z1" if lease.delivery.overlaps(following.delivery) else ""  # two copies of the id, each in one claim


def broken_leases(history: History) -> Iterator[Violation]:
    """Find refusals to a worker that certainly holds the task, and reads that show it as not held by this worker."""
    for task in history.tasks.values():
        for lease in task.leases:
            for event, message in _contradictions(task, lease):
                if lease.delivery.precedes(event) and event.answered < lease.earliest_end:
                    events = (lease.delivery, *_heartbeats_before(lease, event), event)
                    yield Violation(task.id, message, events, "Z3", _holds(lease))


def _contradictions(task: TaskHistory, lease: Lease) -> Iterator[tuple[Event, str]]:
    """What shows that the worker did not hold its lease: a refusal, or a read with another holder."""
    worker, attempts = lease.delivery.task.worker, lease.attempts
    for operation in task.operations:
        if operation.worker == worker and operation.is_refused_as_not_held:
            yield operation, f"was taken from {worker} before its lease was over"
    for read in task.observations:
        shown = (read.task.status, read.task.worker, read.task.attempts)
        if shown != ("IN_PROGRESS", worker, attempts):
            yield read, f"was read as {read.task.status} while {worker} held it"


def operations_without_lease(history: History) -> Iterator[Violation]:
    """Find operations that the server accepted from a worker that never had the lease, or had given it up."""
    for task in history.tasks.values():
        for operation in task.operations:
            is_known = operation.is_accepted and operation.worker is not None
            if is_known and not any(operation in lease.operations for lease in task.leases):
                yield _never_held(task, operation)
        for lease in task.leases:
            for operation in lease.certain:
                if lease.settlement is not None and _cannot_follow(lease.settlement, operation):
                    message = f"was given back or ended by {operation.worker}, and this was still accepted"
                    yield Violation(task.id, message, (lease.delivery, lease.settlement, operation))


def _never_held(task: TaskHistory, operation: Operation) -> Violation:
    others = [lease.delivery for lease in task.leases if not operation.precedes(lease.delivery)]
    message = f"was not held by {operation.worker}, but this was accepted from it"
    return Violation(task.id, message, (*others[-1:], operation))


def _cannot_follow(settlement: Operation, operation: Operation) -> bool:
    """Whether one lease cannot allow both. The law on ends reports what follows a task's end.

    Two settlements exclude each other in any order. A heartbeat may have come before the settlement, unless it was sent
    after its answer.
    """
    if settlement.number == operation.number:
        return False
    if ends_task(settlement) and (ends_task(operation) or settlement.precedes(operation)):
        return False
    return settlement.precedes(operation) or not isinstance(operation, Heartbeat)


def overdue_leases(history: History) -> Iterator[Violation]:
    """Find leases that survived a claim sent after their end: the claim should have requeued the task."""
    for task in history.tasks.values():
        for lease in task.leases:
            repair = history.repair_of(task, lease)
            # The law on losses reports a task that no worker got again, if the history is drained.
            by_reads = lease.next_delivery is not None or bool(task.ends) or not history.drained
            event = None if repair is None else _proof_of_survival(task, lease, repair, by_reads=by_reads)
            if repair is not None and event is not None:
                message = f"stayed with {lease.delivery.task.worker} after its lease was over and a claim came"
                marks = (Mark(lease.latest_end, "the lease is over by then"),)
                events = (lease.delivery, *_heartbeats_before(lease, repair), repair, event)
                yield Violation(task.id, message, events, marks=marks)


def _proof_of_survival(task: TaskHistory, lease: Lease, repair: Claim, *, by_reads: bool) -> Event | None:
    """The first event that shows that the claim changed nothing: an operation, or a read if reads count."""
    proofs: list[Event] = [operation for operation in lease.certain if repair.precedes(operation)]
    if by_reads:
        proofs += [read for read in task.observations if repair.precedes(read) and is_held(read, lease)]
    return min(proofs, key=lambda event: event.sent, default=None)


def premature_revocations(history: History) -> Iterator[Violation]:
    """Find refusals to a worker whose lease had expired, but whose task no claim can have taken away."""
    for task in history.tasks.values():
        refusals = [operation for operation in task.operations if operation.is_refused_as_not_held]
        # After an earlier lease there was another delivery, so there was a claim.
        for lease in task.leases[-1:] if refusals else ():
            for refusal in refusals:
                if _is_overdue(lease, refusal) and refusal.answered < history.taken_from(lease):
                    message = f"was taken from {refusal.worker}, and no claim had come since its lease was over"
                    events = (lease.delivery, *_heartbeats_before(lease, refusal), refusal)
                    yield Violation(task.id, message, events)


def _is_overdue(lease: Lease, operation: Operation) -> bool:
    """Whether the holder called when the lease may have been over, and had neither ended the task nor given it back."""
    by_holder = operation.worker == lease.delivery.task.worker and not lease.settlements
    return by_holder and lease.delivery.precedes(operation) and lease.earliest_end <= operation.answered


def is_held(read: Observation, lease: Lease) -> bool:
    """Whether a read showed the task as held under this lease. Each lease has its own count of attempts."""
    return read.task.status == "IN_PROGRESS" and read.task.attempts == lease.attempts


def _heartbeats_before(lease: Lease, event: Event) -> tuple[Event, ...]:
    return tuple(heartbeat for heartbeat in lease.heartbeats if not event.precedes(heartbeat))


def _holds(lease: Lease) -> tuple[Mark, ...]:
    return (Mark(lease.earliest_end, "the lease holds until then"),)


LAWS = (
    Law("one-lease", "A task is in one worker's hands at a time", "K5 K8 H1", double_leases, ignores_lost_claims=True),
    Law("lease-holds", "A live lease is respected", "K8 H1 H2 N1 S1", broken_leases, ignores_lost_claims=True),
    Law("owner", "Only the holder of a task can settle or keep it", "H2 D2 N1 S1", operations_without_lease),
    Law("late", "An expired lease counts until a claim comes", "K7 H2 N1 S3", premature_revocations),
    Law("expiry", "An expired lease ends at the next claim", "K7 K8 H3 N5 S3", overdue_leases),
)
