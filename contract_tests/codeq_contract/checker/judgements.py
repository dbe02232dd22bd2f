"""Judges a history: whether it keeps each law, and every violation behind that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from codeq_contract.recordings.files import open_recording
from codeq_contract.recordings.format import Call, Callback, Header, Recording

from .events import Lost, TaskSnapshot, queue_name
from .history import History
from .laws import LAWS, Law, Violation
from .task_histories import TaskHistory


class Validity(Enum):
    """Whether a law was kept as far as can be seen, was broken, or may have been."""

    VALID = "valid"
    UNKNOWN = "unknown"
    VIOLATED = "violated"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The outcome for one law.

    `violations` are certain, at most one a task. A call without a reply may explain each of the `doubtful` ones; it is
    the last of their events.
    """

    law: Law
    violations: tuple[Violation, ...]
    doubtful: tuple[Violation, ...]

    @property
    def validity(self) -> Validity:
        """Whether the law was kept."""
        if self.violations:
            return Validity.VIOLATED
        return Validity.UNKNOWN if self.doubtful else Validity.VALID


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome for all laws in one recording, and the numbers of its calls, callbacks and tasks."""

    header: Header
    calls: int
    callbacks: int
    tasks: int
    judgements: tuple[Judgement, ...]

    @property
    def validity(self) -> Validity:
        """Whether all laws were kept: the worst of all."""
        validities = {judgement.validity for judgement in self.judgements}
        return next(one for one in (Validity.VIOLATED, Validity.UNKNOWN, Validity.VALID) if one in validities)

    @property
    def violations(self) -> tuple[tuple[str, Violation], ...]:
        """Every certain violation, with the name of its law."""
        return tuple(
            (judgement.law.name, violation) for judgement in self.judgements for violation in judgement.violations
        )


def check(recording: Recording) -> CheckResult:
    """Check a recording against all laws. Raises RecordingError if a call makes no sense."""
    return _check(recording.header, (*recording.calls, *recording.callbacks))


def check_file(path: Path) -> CheckResult:
    """As `check`, of the recording in a file, which is read call by call: it may be larger than the memory.

    Raises OSError, and RecordingError if the file is not a recording.
    """
    with open_recording(path) as (header, entries):
        return _check(header, entries)


def _check(header: Header, entries: Iterable[Call | Callback]) -> CheckResult:
    history = History.of(header, entries)
    judgements = tuple(_judge(law, history) for law in LAWS)
    return CheckResult(header, history.calls, history.callbacks, len(history.tasks), judgements)


def _judge(law: Law, history: History) -> Judgement:
    """The violations of one law, at most one a task: those that a lost call may explain are doubtful."""
    certain: dict[str, Violation] = {}
    doubtful: dict[str, Violation] = {}
    for violation in law.find_violations(history):
        lost = explanation(violation, law, history)
        if lost is None:
            _keep_shortest(certain, violation)
        else:
            _keep_shortest(doubtful, replace(violation, events=(*violation.events, lost)))
    return Judgement(law, tuple(certain.values()), tuple(doubtful.values()))


def _keep_shortest(known: dict[str, Violation], violation: Violation) -> None:
    other = known.get(violation.task_id)
    if other is None or len(violation.events) < len(other.events):
        known[violation.task_id] = violation


def explanation(violation: Violation, law: Law, history: History) -> Lost | None:
    """A call without a reply, sent before the violation was complete, that may have caused what looks like one."""
    task = history.tasks[violation.task_id]
    return next(
        (lost for lost in history.lost if lost.sent <= violation.complete_at and _may_explain(lost, task, law)), None
    )


def _may_explain(lost: Lost, task: TaskHistory, law: Law) -> bool:
    """Whether a call without a reply may have done to the task what a violation of the law blames on the server."""
    if task.id in lost.path or task.id in lost.body:
        return True
    match lost.path:
        case "/v1/codeq/tasks" | "/v1/codeq/tasks/batch":
            # C8: a create with a key may have made the task that a later create found.
            return not task.creates or "idempotencykey" in lost.body.casefold()
        case "/v1/codeq/tasks/claim" | "/v1/codeq/tasks/claim/batch":
            return not law.ignores_lost_claims and _may_have_delivered(lost, task.task)
        case path:
            return path == "/v1/codeq/admin/tasks/cleanup"


def _may_have_delivered(lost: Lost, task: TaskSnapshot | None) -> bool:
    if task is None:
        return True
    return lost.tenant in {None, task.tenant} and (lost.queues is None or queue_name(task.command) in lost.queues)
