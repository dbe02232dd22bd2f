"""Judges a history: for each law a verdict, and every breach that led to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from codeq_contract.checker.history import History
from codeq_contract.checker.laws import LAWS
from codeq_contract.checker.names import queue_name

if TYPE_CHECKING:
    from codeq_contract.checker.events import Lost, TaskSeen
    from codeq_contract.checker.laws import Breach, Law
    from codeq_contract.checker.task_histories import Life
    from codeq_contract.recordings.format import Recording


class Verdict(Enum):
    """What can be said: the law was kept as far as can be seen, was broken, or may have been."""

    VALID = "valid"
    UNKNOWN = "unknown"
    VIOLATED = "violated"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one law.

    `breaches` are certain, at most one a task. `doubtful` ones would be, but for a call without a reply: the last of
    their events, which may have done what explains them.
    """

    law: Law
    breaches: tuple[Breach, ...]
    doubtful: tuple[Breach, ...]

    @property
    def verdict(self) -> Verdict:
        """The law's verdict."""
        if self.breaches:
            return Verdict.VIOLATED
        return Verdict.UNKNOWN if self.doubtful else Verdict.VALID


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all laws in one recording."""

    recording: Recording
    tasks: int
    judgements: tuple[Judgement, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all verdicts."""
        verdicts = {judgement.verdict for judgement in self.judgements}
        return next(one for one in (Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.VALID) if one in verdicts)

    @property
    def breaches(self) -> tuple[tuple[str, Breach], ...]:
        """Every certain breach, with its law's name."""
        return tuple((judgement.law.name, breach) for judgement in self.judgements for breach in judgement.breaches)


def check(recording: Recording) -> Report:
    """Hold a recording to all laws. Raises RecordingError when it cannot be understood."""
    history = History.of(recording)
    return Report(recording, len(history.lives), tuple(_judge(law, history) for law in LAWS))


def _judge(law: Law, history: History) -> Judgement:
    certain: dict[str, Breach] = {}
    doubtful: dict[str, Breach] = {}
    for breach in law.breaches(history):
        lost = explanation(breach, law, history)
        if lost is None:
            _keep_shortest(certain, breach)
        else:
            _keep_shortest(doubtful, replace(breach, events=(*breach.events, lost)))
    return Judgement(law, tuple(certain.values()), tuple(doubtful.values()))


def _keep_shortest(known: dict[str, Breach], breach: Breach) -> None:
    other = known.get(breach.task_id)
    if other is None or len(breach.events) < len(other.events):
        known[breach.task_id] = breach


def explanation(breach: Breach, law: Law, history: History) -> Lost | None:
    """A call without a reply, sent before the breach was complete, that may have done what explains it."""
    life = history.lives[breach.task_id]
    return next((lost for lost in history.lost if lost.sent <= breach.last and _may_explain(lost, life, law)), None)


def _may_explain(lost: Lost, life: Life, law: Law) -> bool:
    if life.id in lost.path or life.id in lost.body:
        return True
    match lost.path:
        case "/v1/codeq/tasks" | "/v1/codeq/tasks/batch":
            # C8: with a key, it may be the create that made a task which a later one found there.
            return not life.births or "idempotencykey" in lost.body.casefold()
        case "/v1/codeq/tasks/claim" | "/v1/codeq/tasks/claim/batch":
            return not law.withstands_lost_claims and _may_have_delivered(lost, life.task)
        case path:
            return path == "/v1/codeq/admin/tasks/cleanup"


def _may_have_delivered(lost: Lost, task: TaskSeen | None) -> bool:
    if task is None:
        return True
    return lost.tenant in {None, task.tenant} and (lost.queues is None or queue_name(task.command) in lost.queues)
