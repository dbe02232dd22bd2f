"""The law on results: what was accepted is what was sent, and is read back."""

from __future__ import annotations

from collections.abc import Iterator

from codeq_contract.checker.events import Result, ResultRead
from codeq_contract.checker.history import History
from codeq_contract.checker.task_histories import TaskHistory

from .law import Law, Violation


def altered_results(history: History) -> Iterator[Violation]:
    """Find results whose record is not what was sent, that are gone, or are read back as another one.

    Of results that were accepted side by side any may be the one that stays (Z5). The law on ends reports the others.
    """
    for task in history.tasks.values():
        accepted = [one for one in task.operations if isinstance(one, Result) and one.is_accepted]
        for result in accepted:
            if result.is_altered:
                yield Violation(task.id, "was answered with another result than was sent", (result,))
        yield from _altered_reads(task, accepted)
        for missing in task.results_missing:
            for result in accepted[:1]:
                if result.precedes(missing):
                    yield Violation(task.id, "had its result accepted, and it is gone", (result, missing))


def _altered_reads(task: TaskHistory, accepted: list[Result]) -> Iterator[Violation]:
    for read in task.reads:
        if isinstance(read, ResultRead):
            possible = [result for result in accepted if not read.precedes(result)]
            if all(result.record != read.record for result in possible):
                yield Violation(task.id, "was read back with a result that was never accepted", (*possible[:1], read))


LAWS = (
    Law(
        "result",
        "An accepted result is what was sent, and is read back",
        "S2 S6 S7",
        altered_results,
        ignores_lost_claims=True,
    ),
)
