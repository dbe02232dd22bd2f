"""A naive model of the contract that checks the replies to a plan: slow, plain, and independent of the fake.

Moments are spans, for a request takes effect at an unknown moment between its call and its return. The model
stops at a reply that depends on the exact moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from codeq_contract.driver import KnownSettings, Reply, Span, TimeBounds

from .plans import Claim, Count, Create, Done, Settle

PENDING, DELAYED, LEASED, DEAD, ENDED = "PENDING_LIST", "DELAYED_ZSET", "INPROG_SET", "DLQ_SET", "NONE"

#: The sizes of a queue, and the places whose tasks they count (M2).
_SIZES = MappingProxyType({"ready": PENDING, "delayed": DELAYED, "inProgress": LEASED, "dlq": DEAD})


class UndecidedError(Exception):
    """The next reply depends on the exact moment of an earlier event."""


@dataclass(slots=True)
class ModelTask:
    """A task in the model. The spans are moments that are not known exactly.

    From `lease_over` on a claim counts its lease as expired, from `lease_lost` on no heartbeat revives it (K8, H3). At
    `due` its delay ends.
    """

    id: str
    command: int
    priority: int
    max_attempts: int
    where: str
    attempts: int = 0
    worker: str = ""
    status: str = "PENDING"
    lease_over: Span | None = None
    lease_lost: Span | None = None
    due: Span | None = None


class Model:
    """Follows the steps of a plan. Raises AssertionError at the first reply that the contract does not allow."""

    def __init__(self, settings: KnownSettings, time_bounds: TimeBounds, workers: Sequence[str]) -> None:
        """`workers` are their names. The subjects of their tokens show at their first claims."""
        self._settings = settings
        self._time_bounds = time_bounds
        self._subjects: dict[str, str] = dict.fromkeys(workers, "")
        self._tasks: dict[str, ModelTask] = {}
        #: The tasks of idempotency keys, which are numbered.
        self._keys: dict[int, str] = {}
        #: The ids of waiting tasks of all commands and priorities, first in first out.
        self._waiting: list[str] = []
        #: When leases of a command were last repaired.
        self._repaired: dict[int, Span] = {}

    def judge(self, done: Done) -> None:
        """Check the replies to one step. Raises UndecidedError."""
        self._judge_reaper(done.replies)
        match done.step:
            case Create():
                self._create(done.step, done.replies[0], done.task)
            case Claim():
                self._claims(done.step, done.replies)
            case Count(command):
                self._count(command, done.replies[0])
            case _:
                self._settle(done.step, done.worker, done.replies[0], self._tasks[done.task])

    def _judge_reaper(self, replies: Sequence[Reply]) -> None:
        """Raises UndecidedError if a lease may have ended, on a store whose reaper looks at unknown moments (P1)."""
        returned = max(reply.returned for reply in replies)
        ends = [task.lease_over for task in self._tasks.values() if task.lease_over is not None]
        if self._time_bounds.store.reaper and any(returned >= end.earliest for end in ends):
            raise UndecidedError

    def _create(self, step: Create, reply: Reply, task_id: str) -> None:
        """Check a create, and add its task. A known key returns its first task (C8)."""
        _must_be(HTTPStatus.ACCEPTED, reply.status, reply)
        if step.key and step.key in self._keys:
            _must_be(self._keys[step.key], task_id, "the task of a known key (C8)")
        else:
            _must_be(None, self._tasks.get(task_id), "the earlier task of a new id (C1)")
            if step.key:
                self._keys[step.key] = task_id
            where = DELAYED if step.delay else PENDING
            task = ModelTask(task_id, step.command, step.priority, step.max_attempts, where)
            self._tasks[task_id] = task
            if step.delay:
                task.due = self._time_bounds.delay_end(reply.called, reply.returned, step.delay)
            else:
                self._waiting.append(task_id)
        self._compare(self._tasks[task_id], reply)

    def _count(self, command: int, reply: Reply) -> None:
        """Check the sizes of a queue: each task is counted where it is, and nowhere once it has ended (M2)."""
        places = Counter(task.where for task in self._tasks.values() if task.command == command)
        for name, place in _SIZES.items():
            _must_be(places[place], reply.json[name], f"`{name}` of a queue (M2)")

    # Claims.

    def _claims(self, step: Claim, replies: Sequence[Reply]) -> None:
        """Check simultaneous claims, and lease their tasks: the first in the queue. Who gets which is undetermined."""
        called, returned = min(reply.called for reply in replies), max(reply.returned for reply in replies)
        for command in step.commands:
            self._repair(command, called, returned)
        expected = self._in_order(step.commands)[: len(replies)]
        successful = [(worker, reply) for worker, reply in zip(step.workers, replies, strict=True) if reply.body]
        _must_be(sorted(expected), sorted(reply.json["id"] for _, reply in successful), "the tasks claimed (K4)")
        statuses = {HTTPStatus.OK if reply.body else HTTPStatus.NO_CONTENT for reply in replies}
        _must_be(statuses, {reply.status for reply in replies}, "the statuses of claims (K3)")
        for worker, reply in successful:
            task = self._tasks[reply.json["id"]]
            self._waiting.remove(task.id)
            task.where, task.status, task.worker = LEASED, "IN_PROGRESS", worker
            task.attempts += 1
            self._give_lease(task, called, returned, step.lease)
            self._compare(task, reply)

    def _repair(self, command: int, called: int, returned: int) -> None:
        """Move what a claim between these moments has moved: due tasks to the list, expired leases to a delay (K7)."""
        tasks = [task for task in self._tasks.values() if task.command == command]
        due = [task for task in tasks if task.due is not None and _is_over(task.due, called, returned)]
        for task in sorted(due, key=lambda task: (task.due and task.due.earliest, task.id)):
            self._no_other_order(task, due)
            task.where, task.due = PENDING, None
            self._waiting.append(task.id)
        expired = [
            task for task in tasks if task.lease_over is not None and _is_over(task.lease_over, called, returned)
        ]
        if self._note_repair(command, called, returned, matters=bool(expired)):
            for task in expired:
                self._send_back(task, called, returned, self._settings.backoff_base)

    def _note_repair(self, command: int, called: int, returned: int, *, matters: bool) -> bool:
        """Note the repair of leases by a claim. Returns False if the claim comes too soon after one that repaired (Q1).

        Raises UndecidedError if that is not known and it `matters`.
        """
        interval = self._time_bounds.repair_interval
        last = self._repaired.get(command)
        if not interval or last is None or called - last.latest > interval + self._time_bounds.skew:
            self._repaired[command] = Span(called, returned)
            return True
        if returned - last.earliest >= interval:
            if matters:
                raise UndecidedError
            self._repaired[command] = Span(last.earliest, returned)
        return False

    def _no_other_order(self, task: ModelTask, others: Sequence[ModelTask]) -> None:
        """Raises UndecidedError if tasks of one queue may be due in either order."""
        if self._time_bounds.exact or task.due is None:
            return
        rivals = [other for other in others if other is not task and other.priority == task.priority]
        if any(rival.due is not None and rival.due.earliest <= task.due.latest for rival in rivals):
            raise UndecidedError

    def _in_order(self, commands: Sequence[int]) -> list[str]:
        """The ids of the waiting tasks in the order in which claims of these commands get them (K4)."""
        waiting = [self._tasks[task_id] for task_id in self._waiting]
        return [
            task.id
            for command in commands
            for task in sorted((each for each in waiting if each.command == command), key=lambda each: -each.priority)
        ]

    def _give_lease(self, task: ModelTask, called: int, returned: int, seconds: int) -> None:
        task.lease_over = self._time_bounds.lease_end(called, returned, seconds)
        task.lease_lost = self._time_bounds.lease_gone(called, returned, seconds)

    def _send_back(self, task: ModelTask, called: int, returned: int, delay: int) -> None:
        """Requeue a task after a NACK or an expiry (N2, N4, N5)."""
        task.attempts += 1
        task.worker, task.lease_over, task.lease_lost = "", None, None
        if task.attempts >= task.max_attempts:
            task.where, task.status = DEAD, "FAILED"
        else:
            task.where, task.status = DELAYED, "PENDING"
            task.due = self._time_bounds.delay_end(called, returned, delay)

    # Settlements.

    def _settle(self, step: Settle, worker: str, reply: Reply, task: ModelTask) -> None:
        """Check an operation on one task, and do to the model what it did to the task."""
        if step.action == "read":
            self._compare(task, reply)
            return
        refusal = _refusal(step, worker, task)
        if refusal:
            _must_be(refusal, (reply.status, reply.json.get("error")), f"{step} (H2, D2, N1, S1)")
            return
        _must_be(HTTPStatus.OK, reply.status, f"{step}: {reply}")
        called, returned = reply.called, reply.returned
        match step.action:
            case "heartbeat":
                if task.lease_lost is not None and not _is_over(task.lease_lost, called, returned):
                    self._give_lease(task, called, returned, step.seconds)
            case "abandon":
                task.where, task.status, task.worker = PENDING, "PENDING", ""
                task.lease_over, task.lease_lost = None, None
                self._waiting.append(task.id)
            case "nack":
                self._send_back(task, called, returned, step.seconds or self._settings.backoff_base)
                _must_be("dlq" if task.where == DEAD else "requeued", reply.json["status"], "a NACK (N2)")
            case _:
                task.where, task.worker, task.lease_over, task.lease_lost = ENDED, "", None, None
                task.status = "COMPLETED" if step.action == "complete" else "FAILED"

    def _compare(self, task: ModelTask, reply: Reply) -> None:
        """Check that a reply shows the task as the model has it."""
        task_json = reply.json
        if task.worker:
            subject = self._subjects[task.worker] = self._subjects[task.worker] or task_json["workerId"]
            _must_be(subject, task_json.get("workerId"), f"the worker of {task.id} (K5)")
        actual = (
            task_json["lastKnownLocation"],
            task_json["status"],
            task_json.get("attempts", 0),
            "workerId" in task_json,
        )
        expected = (task.where, task.status, task.attempts, bool(task.worker))
        _must_be(expected, actual, f"location, status, attempts and whether it is held, of {task.id}")


def _must_be(expected: object, found: object, subject: object) -> None:
    if found != expected:
        raise AssertionError(f"{subject}: found {found!s}; it must be {expected!s}")


def _refusal(step: Settle, worker: str, task: ModelTask) -> tuple[int, str] | None:
    """The refusal of an operation on this task, or None (H2, D2, N1, S1)."""
    ending = step.action in ("complete", "fail")
    # A result for a task that no worker holds is a conflict; any other operation is not its owner's.
    if task.worker != worker and (task.worker or not ending):
        return HTTPStatus.FORBIDDEN, "not-owner"
    return (HTTPStatus.CONFLICT, "not-in-progress") if task.where != LEASED else None


def _is_over(span: Span, called: int, returned: int) -> bool:
    """Whether the span was over when the server looked. Raises UndecidedError."""
    if called >= span.latest:
        return True
    if returned < span.earliest:
        return False
    raise UndecidedError
