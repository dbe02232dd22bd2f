"""Laws on the end of tasks: it is final, and no task is lost before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from codeq_contract.checker.events import FOREVER, Event, Nack, Observation, Operation, Result
from codeq_contract.checker.history import History
from codeq_contract.checker.queues import Queue
from codeq_contract.checker.task_histories import TaskHistory, ends_task
from codeq_contract.checker.waiting_periods import WaitingPeriod, WaitingPeriods
from codeq_contract.recordings.times import SECOND

from .holding import is_held
from .law import Law, Mark, Violation, due_mark


def activity_after_end(history: History) -> Iterator[Violation]:
    """Find tasks that were delivered, settled or read as alive after their end."""
    for task in history.tasks.values():
        final = _final_states(task)
        for end in task.ends[:1]:
            for event, message in _after_end(task, end, final):
                if beside := _undoing(task, end, event):
                    yield Violation(
                        task.id, f"{message}, as a renewal beside its end had found it", (end, *beside, event)
                    )
                else:
                    yield Violation(task.id, message, (end, event), _race(end, event))


def _undoing(task: TaskHistory, end: Event, event: Event) -> Sequence[Event]:
    """The renewals, one of which may have undone the end: the server read the task before it and wrote it back after.

    No clause has this race. It is not Z1, in which a claim has counted one more attempt.
    """
    if not isinstance(event, Observation):
        return ()
    leases = [lease for lease in task.leases if lease.attempts == event.task.attempts]
    return [renewal for lease in leases for renewal in lease.heartbeats if renewal.overlaps(end)]


def _race(end: Event, event: Event) -> str:
    """The race that an event after the end looks like."""
    if isinstance(event, Operation) and end.overlaps(event):
        return "Z5"
    if isinstance(end, Result) and isinstance(event, Observation) and event.task.location == "DLQ_SET":
        return "Z3"  # a repair took the lease for expired while the last result came in
    return "Z1"


def _final_states(task: TaskHistory) -> set[str]:
    """The state in which the task ended, by the operations that ended it, or else by the first read (S4, N4)."""
    by_operation = {
        end.status if isinstance(end, Result) else "FAILED" for end in task.ends if isinstance(end, Operation)
    }
    return by_operation or {end.task.status for end in task.ends[:1] if isinstance(end, Observation)}


def _after_end(task: TaskHistory, end: Event, final: set[str]) -> Iterator[tuple[Event, str]]:
    """The events that cannot come after the end of a task, each with what it did."""
    for lease in task.leases:
        if end.precedes(lease.delivery):
            yield lease.delivery, f"was over and was delivered to {lease.delivery.task.worker}"
    for operation in task.operations:
        # S6: a batch checks all its items before it stores the first, so one batch may end a task twice.
        second_end = isinstance(end, Operation) and ends_task(operation) and operation.number != end.number
        if operation.is_accepted and (second_end or end.precedes(operation)):
            yield operation, "was over, and this was accepted"
    for read in task.observations:
        if end.precedes(read) and read.task.status not in final:
            yield read, f"was over, {' or '.join(sorted(final))}, and was read as {read.task.status}"


def lost_tasks(history: History) -> Iterator[Violation]:
    """Find tasks that disappeared, or that no claim delivered although it should have."""
    for task in history.tasks.values():
        yield from _disappeared(task, history.deleted_from)
        if history.drained and not task.ends:
            yield from _stuck(task, history)
            yield from _unended(task, history)
    if not history.drained:
        return
    for key, periods in history.waiting_periods.items():
        for period in periods:
            if period.delivery is None and period.is_certain and not history.tasks[period.task.id].ends:
                yield from _never_delivered(period, history.queues[key])


def _disappeared(task: TaskHistory, deleted_from: int) -> Iterator[Violation]:
    for create in task.creates[:1]:
        for missing in task.missing:
            if create.precedes(missing) and missing.answered < deleted_from:
                yield Violation(task.id, "was created and is gone", (create, missing))


def _stuck(task: TaskHistory, history: History) -> Iterator[Violation]:
    """The last lease expired, a claim came, and the task still reads as leased."""
    for lease in task.leases[-1:]:
        repair = history.repair_of(task, lease)
        for read in task.observations:
            if repair is not None and repair.precedes(read) and is_held(read, lease):
                message = "stayed in progress after its lease was over, and no claim requeued it"
                marks = (Mark(lease.latest_end, "the lease is over by then"),)
                events = (lease.delivery, *lease.heartbeats, repair, read)
                yield Violation(task.id, message, events, "Z2", marks)


def _unended(task: TaskHistory, history: History) -> Iterator[Violation]:
    """A created task must have ended once claims in its creator's tenant find nothing more, whatever reads of it show.

    Its last lease takes two claims: one that finds it expired, and one that finds the task due again (K7).
    """
    home, origin = history.home_of(task), task.certain_creator
    if home is None or origin is None:
        return
    due = _certainly_due(task, home, history)
    for empty in islice(home.empty_claims_after(due), 1):
        overlooked = min(home.overlooked_from, history.queues[origin.task.queue].overlooked_from)
        last = max(task.observations, key=lambda shown: shown.sent)
        if empty.precedes(last) and empty.answered < min(overlooked, history.deleted_from):
            is_leased = bool(task.leases) and is_held(last, task.leases[-1])
            events = (origin, *(lease.delivery for lease in task.leases[-1:]), empty, last)
            message = "was created and has not ended, and the claims of its tenant find nothing more"
            yield Violation(task.id, message, events, "Z2" if is_leased else "")


def _certainly_due(task: TaskHistory, home: Queue, history: History) -> int:
    """The moment from which a claim must find a task that has not ended, however its last lease went."""
    if not task.leases:
        periods = WaitingPeriods(task, home, history.settings, history.deleted_from)
        return next(iter(periods)).ready_by
    lease = task.leases[-1]
    repair = home.first_repair_after(lease.latest_end)
    _, longest = history.settings.backoff(lease.attempts)
    expired = FOREVER if repair is None else repair.answered + longest * SECOND
    nacks = [nack.answered + nack.delay * SECOND for nack in lease.settlements if isinstance(nack, Nack)]
    return max(expired, *nacks) if nacks else expired


def _never_delivered(period: WaitingPeriod, queue: Queue) -> Iterator[Violation]:
    for claim in queue.empty_claims_after(period.ready_by):
        if claim.sent >= period.leaves_from:
            return
        if claim.answered < period.leaves_from:
            message = "was waiting, a claim found nothing, and no worker ever got it again"
            yield Violation(period.task.id, message, (*period.start_events, claim), marks=due_mark(period))
            return


LAWS = (
    Law("ended", "A finished task stays finished", "S1 S4 N4", activity_after_end, ignores_lost_claims=True),
    Law("lost", "No task is lost", "C1 K4 K7 D1 N2 N5", lost_tasks),
)
