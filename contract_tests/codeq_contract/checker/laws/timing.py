"""Laws of delays: nothing is delivered before it is due, and a NACK's delay is as asked or as the policy has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_contract.checker.events import Nack
from codeq_contract.checker.laws.law import Breach, Law, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.checker.history import History


def premature(history: History) -> Iterator[Breach]:
    """Deliveries before a task was due. One before its lease's end is another law's affair."""
    held_until = {
        id(lease.delivery): lease.earliest_end
        for life in history.lives.values()
        for lease in life.leases
        if lease.settled is None
    }
    for stays in history.stays.values():
        for stay in stays:
            taken = stay.taken
            if taken is not None and held_until.get(id(stay.origin), 0) <= taken.answered < stay.ready_from:
                marks = (Mark(stay.ready_from, "it is not due before then"),)
                race = "Z3" if stay.expired else ""
                yield Breach(stay.task.id, "was delivered before it was due", (*stay.since, taken), race, marks)


def wrong_delays(history: History) -> Iterator[Breach]:
    """N3, N6: delays of NACKs that are neither what was asked for nor what the backoff policy gives."""
    most = history.terms.most
    for life in history.lives.values():
        for lease in life.leases:
            nack = lease.settled
            if not isinstance(nack, Nack) or nack.dead:
                continue
            low, high = (min(nack.asked, most),) * 2 if nack.asked > 0 else history.terms.backoff(lease.attempts)
            if not low <= nack.delay <= high:
                wanted = f"{low} s" if low == high else f"{low} to {high} s"
                yield Breach(life.id, f"was delayed by {nack.delay} s instead of {wanted}", (lease.delivery, nack))


LAWS = (
    Law("early", "Nothing is delivered before it is due", "C6 C7 N3 N5", premature),
    Law("delay", "A NACK delays by what was asked, or by the backoff policy", "N3 N6", wrong_delays),
)
