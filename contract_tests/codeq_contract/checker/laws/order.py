"""Laws of who comes first: first in first out, higher priorities before lower ones, and no claim in vain."""

from __future__ import annotations

import heapq
from collections import defaultdict
from itertools import permutations
from typing import TYPE_CHECKING

from codeq_contract.checker.laws.ends import ready
from codeq_contract.checker.laws.law import Breach, Law, Mark
from codeq_contract.checker.names import queue_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codeq_contract.checker.events import Claim
    from codeq_contract.checker.history import History
    from codeq_contract.checker.queues import Queue
    from codeq_contract.checker.waiting_periods import Stay


def overtakings(history: History) -> Iterator[Breach]:
    """Tasks that were surely in the queue before others of their priority, and were claimed surely after them."""
    for stays in history.stays.values():
        by_priority: defaultdict[int, list[Stay]] = defaultdict(list)
        for stay in stays:
            by_priority[stay.task.priority].append(stay)
        for peers in by_priority.values():
            yield from _overtakings(peers)
            yield from _overtakings_in_batches(peers, history)


def _overtakings(stays: Sequence[Stay]) -> Iterator[Breach]:
    # Where a delayed task stands depends on the claim that moved it, so it may overtake but not be overtaken.
    ahead = sorted((stay for stay in stays if not stay.delayed), key=lambda stay: stay.ready_by, reverse=True)
    slowest: Stay | None = None
    for stay in sorted(stays, key=_came):
        while ahead and ahead[-1].ready_by < _came(stay):
            first = ahead.pop()
            slowest = first if slowest is None or first.leaves_from > slowest.leaves_from else slowest
        if slowest is not None and stay.taken is not None and stay.taken.answered < slowest.leaves_from:
            yield _overtaking(slowest, stay)


def _overtaking(slower: Stay, stay: Stay) -> Breach:
    says = f"was in the queue before {stay.task.id}, of the same priority, and was claimed after it"
    taken = () if stay.taken is None else (stay.taken,)
    return Breach(slower.task.id, says, (*slower.since, *stay.since, *taken), marks=_marks(slower))


def _overtakings_in_batches(stays: Sequence[Stay], history: History) -> Iterator[Breach]:
    """Of what one call made or took, the order counts in which it did (C9, K10)."""
    batches: defaultdict[tuple[str, int], list[Stay]] = defaultdict(list)
    for stay in stays:
        if history.lives[stay.task.id].creator is stay.origin:
            batches["made", stay.origin.number].append(stay)
        if stay.taken is not None:
            batches["taken", stay.taken.number].append(stay)
    for batch in batches.values():
        for first, second in permutations(batch, 2):
            if _is_ahead(first, second, history) and _is_taken_before(second, first):
                yield _overtaking(first, second)


def _is_ahead(stay: Stay, other: Stay, history: History) -> bool:
    """Whether one task surely came into the queue before the other, if only by its place in the call that made both."""
    one, two = stay.origin, other.origin
    in_one_call = one.number == two.number and history.lives[other.task.id].creator is two
    return not stay.delayed and (one.place < two.place if in_one_call else stay.ready_by < _came(other))


def _is_taken_before(stay: Stay, other: Stay) -> bool:
    one, two = stay.taken, other.taken
    if one is not None and two is not None and one.number == two.number:
        return one.place < two.place
    return one is not None and one.answered < other.leaves_from


def _came(stay: Stay) -> int:
    """The earliest moment for a task to take its place. From a lease that ran out, lest a revoked one count twice."""
    return stay.origin.sent if stay.expired else stay.ready_from


def passings(history: History) -> Iterator[Breach]:
    """Tasks that were surely waiting while a claim took one of lower priority, or of a command it named later."""
    for queue, claim, stay in _passed_over(history):
        if claim.tasks:
            taken = next(task for task in claim.tasks if _is_behind(task.command, task.priority, queue, stay))
            says = f"was waiting when a claim took {taken.id}, of priority {taken.priority} and {taken.command}"
            yield Breach(stay.task.id, says, (*stay.since, claim), "Z4", _marks(stay))


def _is_behind(command: str, priority: int, queue: Queue, stay: Stay) -> bool:
    return queue_name(command) != queue.name or priority < stay.task.priority


def false_empties(history: History) -> Iterator[Breach]:
    """Claims that found nothing while a task was surely waiting. One that nobody ever got is another law's affair."""
    for _, claim, stay in _passed_over(history):
        if not claim.tasks and (stay.taken is not None or not history.drained):
            says = "was waiting when a claim found nothing"
            yield Breach(stay.task.id, says, (*stay.since, claim), "Z4", _marks(stay))


def _passed_over(history: History) -> Iterator[tuple[Queue, Claim, Stay]]:
    """Each claim with a task that was there all the time, and that it should have taken instead of what it took."""
    for key, stays in history.stays.items():
        queue = history.queues[key]
        waiting = sorted((stay for stay in stays if stay.is_certain), key=lambda stay: stay.ready_by, reverse=True)
        longest: defaultdict[int, list[tuple[int, int, Stay]]] = defaultdict(list)
        for claim in queue.claims:
            while waiting and waiting[-1].ready_by < claim.sent:
                stay = waiting.pop()
                heapq.heappush(longest[stay.task.priority], (-stay.leaves_from, len(waiting), stay))
            for priority in range(_lowest_taken(claim, queue) + 1, 10):
                if longest[priority] and -longest[priority][0][0] > claim.answered:
                    yield queue, claim, longest[priority][0][2]


def _lowest_taken(claim: Claim, queue: Queue) -> int:
    """The lowest priority of what a claim took from a queue; when it took nothing, any task there was passed over."""
    return min((task.priority for task in claim.tasks if queue_name(task.command) == queue.name), default=-1)


def surpluses(history: History) -> Iterator[Breach]:
    """Tasks that a claim got beyond the number that it asked for."""
    for queue in history.queues.values():
        for claim in queue.claims:
            for task in claim.tasks[claim.most :]:
                yield Breach(task.id, f"was given to a claim of no more than {claim.most}", (claim,))


def _marks(stay: Stay) -> tuple[Mark, ...]:
    claimed = () if stay.taken is None else (Mark(stay.taken.sent, "it is not claimed before then"),)
    return (*ready(stay), *claimed)


LAWS = (
    Law("fifo", "Within a priority, first in first out", "K4 D1", overtakings),
    Law("priority", "Higher priorities first, commands in the order asked", "K4", passings),
    Law("empty", "No claim comes back empty while a task waits", "K3 K4 K7", false_empties),
    Law("count", "A claim gives no more than it was asked for", "K3 K10", surpluses, withstands_lost_claims=True),
)
