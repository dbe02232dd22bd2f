"""Laws on delays: no task is delivered before it is due, and a NACK delays as asked or as the policy says."""

from __future__ import annotations

from collections.abc import Iterator

from codeq_contract.checker.events import Nack
from codeq_contract.checker.history import History

from .law import Law, Mark, Violation


def early_deliveries(history: History) -> Iterator[Violation]:
    """Find deliveries before a task was due. The law on leases reports those before the end of a lease."""
    held_until = {
        id(lease.delivery): lease.earliest_end
        for task in history.tasks.values()
        for lease in task.leases
        if lease.settlement is None
    }
    for periods in history.waiting_periods.values():
        for period in periods:
            delivery = period.delivery
            if delivery is None or not held_until.get(id(period.origin), 0) <= delivery.answered < period.ready_from:
                continue
            marks = (Mark(period.ready_from, "it is not due before then"),)
            race = "Z3" if period.follows_expiry else ""
            events = (*period.start_events, delivery)
            yield Violation(period.task.id, "was delivered before it was due", events, race, marks)


def wrong_delays(history: History) -> Iterator[Violation]:
    """Find delays of NACKs that are neither as requested nor as the backoff policy says (N3, N6)."""
    for task in history.tasks.values():
        for lease in task.leases:
            nack = lease.settlement
            if not isinstance(nack, Nack) or nack.dead:
                continue
            if nack.requested > 0:
                low = high = min(nack.requested, history.settings.backoff_max)
            else:
                low, high = history.settings.backoff(lease.attempts)
            if not low <= nack.delay <= high:
                expected = f"{low} s" if low == high else f"{low} to {high} s"
                yield Violation(task.id, f"was delayed by {nack.delay} s instead of {expected}", (lease.delivery, nack))


LAWS = (
    Law("early", "Nothing is delivered before it is due", "C6 C7 N3 N5", early_deliveries),
    Law("delay", "A NACK delays by what was asked, or by the backoff policy", "N3 N6", wrong_delays),
)
