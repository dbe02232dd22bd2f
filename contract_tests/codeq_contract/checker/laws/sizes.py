"""The law on the sizes of queues: they count each task that no result has ended, and each once (M2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codeq_contract.checker.events import Nack, Read, Result, Sizes
from codeq_contract.checker.history import History
from codeq_contract.checker.task_histories import TaskHistory

from .law import Law, Violation

_CLAIMS = "/v1/codeq/tasks/claim"
_DEAD = "DLQ_SET"


def wrong_sizes(history: History) -> Iterator[Violation]:
    """Find sizes that are too small or too large for what was created and has ended."""
    for sizes in history.sizes:
        tasks = history.queues[sizes.queue].tasks if sizes.queue in history.queues else ()
        if tasks and not _is_unclear(history, sizes):
            for counted, kind, least, most in _bounds(tasks, sizes):
                if not least <= counted <= most:
                    expected = f"{least}" if least == most else f"{least} to {most}"
                    message = f"is of a queue that counted {counted} {kind} instead of {expected}"
                    yield Violation(tasks[0].id, message, (sizes,), "Z1" if counted > most else "Z2")


def _is_unclear(history: History, sizes: Sizes) -> bool:
    """Whether a call without a reply may have created or ended tasks, or a clean-up deleted some."""
    lost = (lost for lost in history.lost if not lost.path.startswith(_CLAIMS))
    return history.deleted_from <= sizes.answered or any(one.sent <= sizes.answered for one in lost)


def _bounds(tasks: Sequence[TaskHistory], sizes: Sizes) -> Iterator[tuple[int, str, int, int]]:
    """What was counted, and how many there are at least and at most.

    A lease that expires may make a dead letter unseen (N4), so that only together the tasks have close bounds.
    """
    least = sum(_is_certainly_there(task, sizes) for task in tasks)
    possible = [task for task in tasks if _is_possibly_there(task, sizes)]
    dead = sum(_is_dead(task, sizes) for task in possible)
    yield sizes.unended + sizes.dead, "tasks", least, len(possible)
    yield sizes.dead, "dead letters", dead, len(possible)
    yield sizes.unended, "tasks that have not ended", 0, len(possible) - dead


def _is_certainly_there(task: TaskHistory, sizes: Sizes) -> bool:
    is_created = any(create.precedes(sizes) for create in task.creates)
    return is_created and all(sizes.precedes(result) for result in _results(task))


def _is_possibly_there(task: TaskHistory, sizes: Sizes) -> bool:
    first = task.creates[0] if task.creates else task.leases[0].delivery
    return not sizes.precedes(first) and not any(result.precedes(sizes) for result in _results(task))


def _results(task: TaskHistory) -> list[Result | Read]:
    """The results that ended the task, or reads that show that one did."""
    results: list[Result | Read] = [one for one in task.operations if isinstance(one, Result) and one.is_accepted]
    return results + [read for read in task.reads if read.task.is_over and read.task.location != _DEAD]


def _is_dead(task: TaskHistory, sizes: Sizes) -> bool:
    """Whether it was a dead letter before, by a NACK or a read."""
    nacks = [one for one in task.operations if isinstance(one, Nack) and one.dead]
    reads = [read for read in task.reads if read.task.location == _DEAD]
    return any(event.precedes(sizes) for event in (*nacks, *reads))


LAWS = (Law("sizes", "A queue counts its tasks", "M2", wrong_sizes, ignores_lost_claims=True),)
