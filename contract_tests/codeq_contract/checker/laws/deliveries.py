"""Laws of what is delivered: only what was created, as it was created, with the attempts counted right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_contract.checker.events import Abandon, Nack
from codeq_contract.checker.laws.law import Breach, Law
from codeq_contract.checker.names import queue_name
from codeq_contract.checker.task_histories import is_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.checker.events import Delivery
    from codeq_contract.checker.history import History
    from codeq_contract.checker.task_histories import Lease, Life

_LASTING = ("command", "payload", "priority", "webhook", "max_attempts", "tenant", "created_at")


def phantoms(history: History) -> Iterator[Breach]:
    """Deliveries of tasks that were not created, or not yet, or otherwise, or to who had not asked for them."""
    for life in history.lives.values():
        for lease in life.leases:
            says = _strangeness(history, life, lease.delivery)
            if says:
                yield Breach(life.id, says, (*life.births[:1], lease.delivery))


def _strangeness(history: History, life: Life, delivery: Delivery) -> str:
    if not life.births:
        return "was delivered, and nobody created it"
    birth, task = life.births[0], delivery.task
    if delivery.precedes(birth):
        return "was delivered before it was created"
    for name in _LASTING:
        if getattr(birth.task, name) != getattr(task, name):
            return f"was created with {name} {getattr(birth.task, name)!r} and delivered with {getattr(task, name)!r}"
    if delivery.queues is not None and queue_name(task.command) not in delivery.queues:
        return f"was delivered to a claim that did not ask for {task.command}"  # K4
    caller = history.terms.callers.get(delivery.who)
    if caller is not None and caller.tenant != task.tenant:
        return f"belongs to tenant {task.tenant!r} and was delivered to one of {caller.tenant!r}"  # K6
    return ""


def miscounts(history: History) -> Iterator[Breach]:
    """Attempts that do not go up by one with each claim and by one more with each NACK or expiry."""
    for life in history.lives.values():
        yield from _first_count(life)
        for lease, following in life.pairs:
            yield from _step(life, lease, following)
        for lease in life.leases:
            yield from _dead_letters(life, lease)
        yield from _counts_shown(life)


def _first_count(life: Life) -> Iterator[Breach]:
    if life.births and life.leases and life.leases[0].attempts != 1:
        delivery = life.leases[0].delivery
        says = f"was delivered first with attempts {delivery.task.attempts} instead of 1"
        yield Breach(life.id, says, (life.births[0], delivery), "Z3" if delivery.task.attempts > 1 else "")


def _step(life: Life, lease: Lease, following: Lease) -> Iterator[Breach]:
    """K5, D1, N2, N5: from one delivery to the next."""
    if lease.settled is not None and is_end(lease.settled):
        return
    events = (*_known(lease), following.delivery)
    step, allowed = following.attempts - lease.attempts, _allowed_steps(lease)
    if step not in allowed:
        wanted = " or ".join(str(lease.attempts + one) for one in sorted(allowed))
        says = f"was delivered with attempts {lease.attempts}, then with {following.attempts} instead of {wanted}"
        yield Breach(life.id, says, events, "Z3" if step > max(allowed) else "")
    elif following.delivery.precedes(lease.delivery):
        yield Breach(life.id, "went back in attempts from one delivery to the next", events)
    elif step == 2 and following.attempts > life.leases[0].delivery.task.max_attempts:  # noqa: PLR2004 - N2, N5
        yield Breach(life.id, "was delivered once more when it was due to be a dead letter", events)


def _allowed_steps(lease: Lease) -> set[int]:
    match lease.settled:
        case Abandon():
            return {1}
        case Nack():
            return {2}
        case _:
            return {1, 2} if lease.settlements else {2}


def _known(lease: Lease) -> tuple[Delivery | Abandon | Nack, ...]:
    settled = lease.settled
    return (lease.delivery, settled) if isinstance(settled, Abandon | Nack) else (lease.delivery,)


def _dead_letters(life: Life, lease: Lease) -> Iterator[Breach]:
    nack, most = lease.settled, lease.delivery.task.max_attempts
    if isinstance(nack, Nack) and nack.dead != (lease.attempts + 1 >= most):  # N2
        became = "was made a dead letter" if nack.dead else "was requeued"
        says = f"{became} by a NACK after attempts {lease.attempts} of {most}"
        yield Breach(life.id, says, (lease.delivery, nack))


def _counts_shown(life: Life) -> Iterator[Breach]:
    """No read shows fewer attempts than there had been, nor more than one above those that there can have been."""
    for sight in life.shown:
        before = [lease.delivery for lease in life.leases if lease.delivery.precedes(sight)]
        possible = [lease.delivery for lease in life.leases if not sight.precedes(lease.delivery)]
        least = max(before, key=lambda delivery: delivery.task.attempts, default=None)
        most = max((delivery.task.attempts + 1 for delivery in possible), default=0)
        if least is not None and sight.task.attempts < least.task.attempts:
            yield Breach(life.id, "was read with fewer attempts than it was delivered with", (least, sight))
        elif sight.task.attempts > most:
            says = f"was read with attempts {sight.task.attempts}, more than its {len(possible)} deliveries account for"
            yield Breach(life.id, says, (*life.births[:1], *possible, sight), "Z3")


LAWS = (
    Law(
        "phantom",
        "Only what was created is delivered, as it was created",
        "C1 K4 K5 K6",
        phantoms,
        withstands_lost_claims=True,
    ),
    Law("attempts", "Attempts count each claim, each NACK and each expiry once", "K5 D1 N2 N4 N5", miscounts),
)
