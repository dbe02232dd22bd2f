"""Laws on the order and time of deliveries: first in first out, higher priorities first, nothing early, no empty claim.

A call takes effect at an unknown moment between being sent and being answered. So a law compares only moments that are
certain: a task was in its queue from `ready_by` on, and it left it at `leaves_from` or later. Two tasks whose intervals
overlap have no order, and no violation follows from them.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

from codeq_contract.checker.events import FOREVER, Claim, Delivery, Nack, queue_name
from codeq_contract.checker.history import History
from codeq_contract.checker.queues import Queue
from codeq_contract.checker.waiting_periods import WaitingPeriod
from codeq_contract.recordings.times import MILLISECOND

from .law import Law, Mark, Violation, due_mark

_INTERVAL = 250 * MILLISECOND
"""The time between two looks of a long poll (K9)."""


def overtakings(history: History) -> Iterator[Violation]:
    """Find tasks that certainly waited before others of their priority, and were certainly claimed after them."""
    for periods in history.waiting_periods.values():
        by_priority: defaultdict[int, list[WaitingPeriod]] = defaultdict(list)
        for period in periods:
            by_priority[period.task.priority].append(period)
        for peers in by_priority.values():
            yield from _overtakings(peers)
            yield from _overtakings_in_batches(peers, history)


def _overtakings(periods: Sequence[WaitingPeriod]) -> Iterator[Violation]:
    """Compare all pairs in one pass, in the order of arrival.

    At each arrival, `slowest` is the one of all tasks certainly ahead that leaves last. If the new task was claimed
    before that one left, it overtook it; if not, it overtook none of them. So one comparison stands for all.
    """
    # The place of a delayed task depends on the claim that moved it. So it may overtake but cannot be overtaken.
    ahead = sorted((period for period in periods if not period.delayed), key=_ready_by, reverse=True)
    slowest: WaitingPeriod | None = None
    for period in sorted(periods, key=_arrival):
        while ahead and ahead[-1].ready_by < _arrival(period):
            first = ahead.pop()
            slowest = first if slowest is None or first.leaves_from > slowest.leaves_from else slowest
        if slowest is not None and period.delivery is not None and period.delivery.answered < slowest.leaves_from:
            yield _overtaking(slowest, period)


def _overtaking(slower: WaitingPeriod, period: WaitingPeriod) -> Violation:
    message = f"was in the queue before {period.task.id}, of the same priority, and was claimed after it"
    delivery = () if period.delivery is None else (period.delivery,)
    events = (*slower.start_events, *period.start_events, *delivery)
    return Violation(slower.task.id, message, events, "Z1" if _may_have_copies(period) else "", _marks(slower))


def _may_have_copies(period: WaitingPeriod) -> bool:
    """Whether claims may have pushed the task's id more than once: it was delayed, or delivered before (Z1)."""
    return period.delayed or isinstance(period.origin, Delivery)


def _overtakings_in_batches(periods: Sequence[WaitingPeriod], history: History) -> Iterator[Violation]:
    """Within one call the times are equal, but its items have an order (C9, K10)."""
    created: defaultdict[int, list[WaitingPeriod]] = defaultdict(list)
    delivered: defaultdict[int, list[WaitingPeriod]] = defaultdict(list)
    for period in periods:
        if history.tasks[period.task.id].certain_creator is period.origin:
            created[period.origin.number].append(period)
        if period.delivery is not None:
            delivered[period.delivery.number].append(period)
    for batch in (*filter(_leaves_out_of_order, created.values()), *delivered.values()):
        for first, second in permutations(batch, 2):
            if _is_ahead(first, second, history) and _leaves_before(second, first):
                yield _overtaking(first, second)


def _leaves_out_of_order(batch: Sequence[WaitingPeriod]) -> bool:
    """Whether some task of a batch create was claimed before an earlier one. One pass instead of all pairs.

    It goes from the last item to the first. `earliest` is the first answer of a claim that got a later item, `places`
    are the first places of later items in the replies to claims.
    """
    earliest = FOREVER
    places: dict[int, int] = {}
    for period in sorted(batch, key=lambda period: period.origin.position, reverse=True):
        delivery = period.delivery
        if earliest < period.leaves_from:
            return True
        if delivery is not None:
            earliest = min(earliest, delivery.answered)
            if places.setdefault(delivery.number, delivery.position) < delivery.position:
                return True
            places[delivery.number] = delivery.position
    return False


def _is_ahead(period: WaitingPeriod, other: WaitingPeriod, history: History) -> bool:
    """Whether a task certainly came into the queue before another, if only by its position in a batch of creates."""
    one, two = period.origin, other.origin
    in_one_call = one.number == two.number and history.tasks[other.task.id].certain_creator is two
    is_before = one.position < two.position if in_one_call else period.ready_by < _arrival(other)
    return is_before and not period.delayed


def _leaves_before(period: WaitingPeriod, other: WaitingPeriod) -> bool:
    """Whether a task was certainly claimed before another, if only by its position in a batch claim."""
    one, two = period.delivery, other.delivery
    if one is not None and two is not None and one.number == two.number:
        return one.position < two.position
    return one is not None and one.answered < other.leaves_from


def _ready_by(period: WaitingPeriod) -> int:
    return period.ready_by


def _arrival(period: WaitingPeriod) -> int:
    """The earliest moment at which the task can have taken its place.

    After an expiry that is the moment of the delivery: if the server revoked the lease too soon, the law on leases
    reports it, and this law must not report it again.
    """
    return period.origin.sent if period.follows_expiry else period.ready_from


def priority_inversions(history: History) -> Iterator[Violation]:
    """Find tasks that certainly waited while a claim took one of lower priority, or of a command named later."""
    for queue, claim, period in _passed_over(history):
        if claim.tasks:
            taken = next(task for task in claim.tasks if _is_behind(task.command, task.priority, queue, period))
            message = f"was waiting when a claim took {taken.id}, of priority {taken.priority} and {taken.command}"
            yield Violation(period.task.id, message, (*period.start_events, claim), "Z4", _marks(period))


def _is_behind(command: str, priority: int, queue: Queue, period: WaitingPeriod) -> bool:
    return queue_name(command) != queue.name or priority < period.task.priority


def false_empties(history: History) -> Iterator[Violation]:
    """Find claims without a task while one was certainly waiting.

    In a drained history the law on losses reports tasks that no worker ever got.
    """
    for _, claim, period in _passed_over(history):
        if not claim.tasks and (period.delivery is not None or not history.drained):
            message = "was waiting when a claim found nothing"
            yield Violation(period.task.id, message, (*period.start_events, claim), "Z4", _marks(period))


def _passed_over(history: History) -> Iterator[tuple[Queue, Claim, WaitingPeriod]]:
    """Yield each claim with a task that waited during all of it, and that it should have taken first.

    Claims come in the order of sending. `longest` keeps, for each priority, a heap of the tasks that were ready before
    the claim, the one that stays longest on top: if even that one may have left, all may have.
    """
    for key, periods in history.waiting_periods.items():
        queue = history.queues[key]
        waiting = sorted((period for period in periods if period.is_certain), key=_ready_by, reverse=True)
        longest: defaultdict[int, list[tuple[int, int, WaitingPeriod]]] = defaultdict(list)
        for claim in _looks(queue):
            while waiting and waiting[-1].ready_by < claim.sent:
                period = waiting.pop()
                # The number breaks ties, because periods have no order.
                heapq.heappush(longest[period.task.priority], (-period.leaves_from, len(waiting), period))
            for priority in range(_lowest_taken(claim, queue) + 1, 10):
                if longest[priority] and -longest[priority][0][0] > claim.answered:
                    yield queue, claim, longest[priority][0][2]


def _looks(queue: Queue) -> list[Claim]:
    """The claims of a queue in the order of sending, and for each empty long poll its last look as another one (K9).

    The last look is less than one interval before the deadline, which is no earlier than the poll's wait after it was
    sent. The interval counts twice, because a look takes time, too.
    """
    last = [
        replace(claim, sent=claim.sent + claim.wait - 2 * _INTERVAL)
        for claim in queue.claims
        if claim.wait and not claim.tasks and claim.answered >= claim.sent + claim.wait
    ]
    return sorted((*queue.claims, *last), key=lambda claim: claim.sent) if last else list(queue.claims)


def _lowest_taken(claim: Claim, queue: Queue) -> int:
    """The lowest priority that a claim took from a queue. If it took nothing, it passed over every task there."""
    return min((task.priority for task in claim.tasks if queue_name(task.command) == queue.name), default=-1)


def surplus_deliveries(history: History) -> Iterator[Violation]:
    """Find tasks that a claim got beyond the number that it asked for."""
    for queue in history.queues.values():
        for claim in queue.claims:
            for task in claim.tasks[claim.limit :]:
                yield Violation(task.id, f"was given to a claim of no more than {claim.limit}", (claim,))


def _marks(period: WaitingPeriod) -> tuple[Mark, ...]:
    claimed = () if period.delivery is None else (Mark(period.delivery.sent, "it is not claimed before then"),)
    return (*due_mark(period), *claimed)


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
            # After a NACK there may be a second copy of the id, which waits for nothing.
            race = "Z3" if period.follows_expiry else "Z1" if isinstance(period.cause, Nack) else ""
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
    Law("fifo", "Within a priority, first in first out", "K4 D1", overtakings),
    Law("priority", "Higher priorities first, commands in the order asked", "K4", priority_inversions),
    Law("empty", "No claim comes back empty while a task waits", "K3 K4 K7 K9", false_empties),
    Law("count", "A claim gives no more than it was asked for", "K3 K10", surplus_deliveries, ignores_lost_claims=True),
    Law("early", "Nothing is delivered before it is due", "C6 C7 N3 N5", early_deliveries),
    Law("delay", "A NACK delays by what was asked, or by the backoff policy", "N3 N6", wrong_delays),
)
