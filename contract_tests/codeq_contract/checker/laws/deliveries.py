"""Laws on deliveries: only created tasks, as they were created, with the right number of attempts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from codeq_contract.checker.events import Abandon, Delivery, Nack, queue_name
from codeq_contract.checker.history import History
from codeq_contract.checker.task_histories import Lease, TaskHistory, ends_task

from .law import Law, Violation

_CONSTANT_FIELDS = ("command", "payload", "priority", "webhook", "max_attempts", "tenant", "created_at")


def phantoms(history: History) -> Iterator[Violation]:
    """Find deliveries of tasks never created, created later or with other fields, or not asked for by the claim."""
    for task in history.tasks.values():
        for lease in task.leases:
            message = _problem(history, task, lease.delivery)
            if message:
                yield Violation(task.id, message, (*task.creates[:1], lease.delivery))


def _problem(history: History, task: TaskHistory, delivery: Delivery) -> str:
    """What is wrong with a delivery, or an empty text."""
    if not task.creates:
        return "was delivered, but never created"
    create, given = task.creates[0], delivery.task
    if delivery.precedes(create):
        return "was delivered before it was created"
    for name in _CONSTANT_FIELDS:
        before, after = getattr(create.task, name), getattr(given, name)
        if before != after:
            return f"was created with {name} {before!r} and delivered with {after!r}"
    if delivery.queues is not None and queue_name(given.command) not in delivery.queues:
        return f"was delivered to a claim that did not ask for {given.command}"  # K4
    caller = history.settings.callers.get(delivery.caller)
    if caller is not None and caller.tenant != given.tenant:
        return f"belongs to tenant {given.tenant!r} and was delivered to one of {caller.tenant!r}"  # K6
    return ""


def wrong_attempts(history: History) -> Iterator[Violation]:
    """Find attempts that do not rise by one with each claim, and by one more with each NACK or expiry."""
    for task in history.tasks.values():
        yield from _first_count(task)
        for lease, following in pairwise(task.leases):
            yield from _step(task, lease, following)
        for lease in task.leases:
            yield from _dead_letters(task, lease)
        yield from _counts_read(task)


def _first_count(task: TaskHistory) -> Iterator[Violation]:
    if task.creates and task.leases and task.leases[0].attempts != 1:
        delivery = task.leases[0].delivery
        message = f"was delivered first with attempts {delivery.task.attempts} instead of 1"
        yield Violation(task.id, message, (task.creates[0], delivery), "Z3" if delivery.task.attempts > 1 else "")


def _step(task: TaskHistory, lease: Lease, following: Lease) -> Iterator[Violation]:
    """How attempts rise from one delivery to the next (K5, D1, N2, N5)."""
    if lease.settlement is not None and ends_task(lease.settlement):
        return
    events = (*_certain_events(lease), following.delivery)
    step, allowed = following.attempts - lease.attempts, _allowed_steps(lease)
    if step not in allowed:
        expected = " or ".join(str(lease.attempts + one) for one in sorted(allowed))
        message = f"was delivered with attempts {lease.attempts}, then with {following.attempts} instead of {expected}"
        yield Violation(task.id, message, events, _race(lease, following, most=max(allowed)))
    elif following.delivery.precedes(lease.delivery):
        yield Violation(task.id, "went back in attempts from one delivery to the next", events)
    elif step == 2 and following.attempts > task.leases[0].delivery.task.max_attempts:  # noqa: PLR2004 - N2, N5
        race = "Z3" if following.delivery.answered < lease.earliest_end else ""  # a repair took the lease for expired
        yield Violation(task.id, "was delivered once more when it was due to be a dead letter", events, race)


def _race(lease: Lease, following: Lease, *, most: int) -> str:
    """The race that a wrong step of attempts looks like: more than `most`, or a lost update."""
    if following.attempts - lease.attempts > most:
        return "Z3"  # a repair took a lease for expired
    return "Z1" if lease.delivery.overlaps(following.delivery) else ""  # both claims took a copy and counted the same


def _allowed_steps(lease: Lease) -> set[int]:
    """By how much the attempts may rise from this lease to the next, which depends on how it ended."""
    match lease.settlement:
        case Abandon():
            return {1}
        case Nack():
            return {2}
        case _:
            return {1, 2} if lease.settlements else {2}


def _certain_events(lease: Lease) -> tuple[Delivery | Abandon | Nack, ...]:
    settlement = lease.settlement
    return (lease.delivery, settlement) if isinstance(settlement, Abandon | Nack) else (lease.delivery,)


def _dead_letters(task: TaskHistory, lease: Lease) -> Iterator[Violation]:
    nack, most = lease.settlement, lease.delivery.task.max_attempts
    if isinstance(nack, Nack) and nack.dead != (lease.attempts + 1 >= most):  # N2
        became = "was made a dead letter" if nack.dead else "was requeued"
        message = f"{became} by a NACK after attempts {lease.attempts} of {most}"
        yield Violation(task.id, message, (lease.delivery, nack))


def _counts_read(task: TaskHistory) -> Iterator[Violation]:
    """No read shows fewer attempts than before it, nor more than one above those of all possible deliveries."""
    for read in task.observations:
        before = [lease.delivery for lease in task.leases if lease.delivery.precedes(read)]
        possible = [lease.delivery for lease in task.leases if not read.precedes(lease.delivery)]
        least = max(before, key=lambda delivery: delivery.task.attempts, default=None)
        most = max((delivery.task.attempts + 1 for delivery in possible), default=0)
        if least is not None and read.task.attempts < least.task.attempts:
            yield Violation(task.id, "was read with fewer attempts than it was delivered with", (least, read))
        elif read.task.attempts > most:
            message = (
                f"was read with attempts {read.task.attempts}, more than its {len(possible)} deliveries account for"
            )
            yield Violation(task.id, message, (*task.creates[:1], *possible, read), "Z3")


LAWS = (
    Law(
        "phantom",
        "Only what was created is delivered, as it was created",
        "C1 K4 K5 K6",
        phantoms,
        ignores_lost_claims=True,
    ),
    Law("attempts", "Attempts count each claim, each NACK and each expiry once", "K5 D1 N2 N4 N5", wrong_attempts),
)
