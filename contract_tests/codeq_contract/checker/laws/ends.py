"""Laws of how tasks end: for good, and never by being lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_contract.checker.events import Deed, Result, Shown
from codeq_contract.checker.laws.holding import is_held
from codeq_contract.checker.laws.law import Breach, Law, Mark
from codeq_contract.checker.task_histories import is_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.checker.events import Event
    from codeq_contract.checker.history import History
    from codeq_contract.checker.queues import Queue
    from codeq_contract.checker.task_histories import Life
    from codeq_contract.checker.waiting_periods import Stay


def resurrections(history: History) -> Iterator[Breach]:
    """Tasks that were over and were delivered, settled or seen alive afterwards."""
    for life in history.lives.values():
        final = _final_states(life)
        for end in life.ends[:1]:
            for event, says in _life_after(life, end, final):
                yield Breach(life.id, says, (end, event), "Z1")


def _final_states(life: Life) -> set[str]:
    """How it ended, by who ended it; or else by the first who saw it (S4, N4)."""
    told = {deed.status if isinstance(deed, Result) else "FAILED" for deed in life.ends if isinstance(deed, Deed)}
    return told or {sight.task.status for sight in life.ends[:1] if isinstance(sight, Shown)}


def _life_after(life: Life, end: Event, final: set[str]) -> Iterator[tuple[Event, str]]:
    for lease in life.leases:
        if end.precedes(lease.delivery):
            yield lease.delivery, f"was over and was delivered to {lease.delivery.task.worker}"
    for deed in life.deeds:
        # The items of one batch are all checked before the first is stored: S6.
        second_end = isinstance(end, Deed) and is_end(deed) and deed.number != end.number
        if deed.accepted and (second_end or end.precedes(deed)):
            yield deed, "was over, and this was accepted"
    for sight in life.shown:
        if end.precedes(sight) and sight.task.status not in final:
            yield sight, f"was over, {' or '.join(sorted(final))}, and was read as {sight.task.status}"


def losses(history: History) -> Iterator[Breach]:
    """Tasks that are gone, or that no claim ever hands out again though it is their turn."""
    for life in history.lives.values():
        yield from _vanished(life, history.gone)
        if history.drained and not life.ends:
            yield from _stuck(life, history)
    if not history.drained:
        return
    for key, stays in history.stays.items():
        for stay in stays:
            if stay.taken is None and stay.is_certain and not history.lives[stay.task.id].ends:
                yield from _never_found(stay, history.queues[key])


def _vanished(life: Life, gone: int) -> Iterator[Breach]:
    for birth in life.births[:1]:
        for missing in life.missing:
            if birth.precedes(missing) and missing.answered < gone:
                yield Breach(life.id, "was created and is gone", (birth, missing))


def _stuck(life: Life, history: History) -> Iterator[Breach]:
    """The last lease ran out, a claim came by, and the task still reads as leased."""
    for lease in life.leases[-1:]:
        repair = history.repair_of(life, lease)
        for sight in life.shown:
            if repair is not None and repair.precedes(sight) and is_held(sight, lease):
                says = "stayed in progress after its lease was over, and no claim requeued it"
                marks = (Mark(lease.latest_end, "the lease is over by then"),)
                yield Breach(life.id, says, (lease.delivery, *lease.beats, repair, sight), "Z2", marks)


def _never_found(stay: Stay, queue: Queue) -> Iterator[Breach]:
    for claim in queue.empty_claims_after(stay.ready_by):
        if claim.answered < stay.leaves_from:
            says = "was waiting, a claim found nothing, and nobody ever got it again"
            yield Breach(stay.task.id, says, (*stay.since, claim), marks=ready(stay))
            return


def ready(stay: Stay) -> tuple[Mark, ...]:
    """When a claim must find the task."""
    return (Mark(stay.ready_by, "it can be claimed by then"),) if stay.delayed else ()


LAWS = (
    Law("ended", "What is over stays over", "S1 S4 N4", resurrections, withstands_lost_claims=True),
    Law("lost", "No task is lost", "C1 K4 K7 D1 N2 N5", losses),
)
