"""The broker: every operation of the contract on the state of one server, pure and synchronous."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from codeq_fake import wire

from . import errors, results, schedule
from .callback_retries import Outbox
from .commands import is_blank, queue_name, to_claim
from .counters import Tally
from .effects import CallbackDue
from .idempotency import IdempotencyKeys
from .queue import PRIORITIES
from .rate_limits import Limiter
from .requeueing import Returns
from .subscriptions import Subscriptions
from .task import Event, Happening, Nacked, Record, State, Task
from .task_store import Store
from .times import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .effects import Effect
    from .profiles import StoreProfile
    from .queue import Queue
    from .rules import Rules
    from .sources import Chance, Ids


class Broker:
    """One server's state, and the operations on it.

    Every operation takes ``now`` (ns since the epoch), does all of its work at once, and either returns or raises a
    :class:`~codeq_fake.core.errors.Refused` and has changed nothing. What it wants done outside waits in
    :meth:`drain_effects`. The shell calls :meth:`fire` whenever :meth:`next_due` has come.
    """

    def __init__(self, *, rules: Rules, profile: StoreProfile, ids: Ids, chance: Chance, now: int = 0) -> None:
        self.rules = rules
        self.profile = profile
        self.store = Store(profile)
        self.keys = IdempotencyKeys(profile)
        self.subscriptions = Subscriptions(profile=profile, ids=ids)
        self.subscriptions.swept_at = now
        self.limiter = Limiter(rules.limits)
        self.outbox = Outbox(rules=rules, limiter=self.limiter)
        self.tally = Tally()
        self.returns = Returns(rules=rules, store=self.store, tally=self.tally, chance=chance)
        self._ids = ids
        self._effects: list[Effect] = []

    # Create: section 5.

    def create(
        self,
        command: str = "",
        payload: str = "null",
        *,
        tenant: str,
        now: int,
        priority: int = 0,
        webhook: str = "",
        max_attempts: int = 0,
        idempotency_key: str = "",
        run_at: str = "",
        delay_seconds: int = 0,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Task:
        """Create a task, or return the one that the idempotency key already made (C1 to C8).

        ``payload`` is T1 text, ``run_at`` as sent. Raises :class:`~codeq_fake.core.errors.InvalidRunAt`,
        :class:`~codeq_fake.core.errors.InvalidDelay`, :class:`~codeq_fake.core.errors.InvalidCommand` or
        :class:`~codeq_fake.core.errors.InvalidWebhook`, checked in this order (C6).
        """
        visible_at = schedule.visible_at(run_at, delay_seconds, now=now)
        if not command or is_blank(command):
            raise errors.InvalidCommand
        if webhook and not wire.is_webhook_url(webhook):
            raise errors.InvalidWebhook
        if idempotency_key:
            known = self.store.tasks.get(self.keys.find(idempotency_key, now=now) or "")
            if known is not None:
                return known
        task = Task(
            id=self._ids.task_id(),
            command=command,
            payload=payload,
            tenant=tenant,
            priority=min(max(priority, 0), PRIORITIES - 1),  # C5
            max_attempts=max_attempts if max_attempts > 0 else self.rules.max_attempts_default,  # C4
            created_at=now,
            updated_at=now,
            touched_at=now,
            state=State.READY if visible_at is None else State.DELAYED,
            webhook=webhook,
            visible_at=visible_at or 0,
        )
        task.history.append(Happening(now, "created", tenant, None, task.state))
        if self.rules.tracing:
            task.trace_parent = self._next_span(trace_parent)
            task.trace_state = trace_state
        self.keys.keep(idempotency_key, task.id, now=now)
        self.tally.created[command] += 1
        if self.store.add(task) and self.subscriptions.by_id:  # U3
            self._notify(command, now=now)
        return task

    def _notify(self, command: str, *, now: int) -> None:
        for notice in self.subscriptions.notices(command, now=now):
            if self.limiter.admit("webhook", notice.url, now=now) == 0:  # L1
                self._effects.append(notice)

    def _next_span(self, trace_parent: str) -> str:
        """A new span of the trace that ``trace_parent`` names, or of a new trace (X1)."""
        match trace_parent.split("-"):
            case [_, trace_id, _, flags] if trace_id and flags:
                return f"00-{trace_id}-{self._ids.span_id()}-{flags}"
            case _:
                return f"00-{self._ids.trace_id()}-{self._ids.span_id()}-01"

    # Claim: section 6.

    def claim(
        self,
        commands: Sequence[str],
        *,
        worker: str,
        event_types: Sequence[str],
        tenant: str,
        lease_seconds: int = 0,
        now: int,
    ) -> Task | None:
        """Lease the next task of ``commands`` to ``worker``, or return None when there is none (K1 to K8).

        Raises :class:`~codeq_fake.core.errors.EventTypeNotAllowed` or :class:`~codeq_fake.core.errors.WorkerRequired`.
        """
        names = [queue_name(command) for command in to_claim(commands, event_types)]
        if not worker:
            raise errors.WorkerRequired
        for name in names:
            self.returns.repair(name, tenant, now=now)
        for name in names:
            queue = self.store.queues.get((tenant, name))
            task = queue.take() if queue is not None else None
            if queue is not None and task is not None:
                self._lease(task, queue, worker, lease_seconds, now=now)
                return task
        return None

    def claim_batch(
        self,
        commands: Sequence[str],
        count: int,
        *,
        worker: str,
        event_types: Sequence[str],
        tenant: str,
        lease_seconds: int = 0,
        now: int,
    ) -> list[Task]:
        """Lease up to ``count`` tasks: as many claims one after the other, until one finds nothing (K10).

        Returns copies, each as its claim left it: on KVRocks a lease of one second is taken back by the next claim of
        the same batch (K8). Raises as :meth:`claim`.
        """
        claimed: list[Task] = []
        while len(claimed) < count:
            task = self.claim(
                commands, worker=worker, event_types=event_types, tenant=tenant, lease_seconds=lease_seconds, now=now
            )
            if task is None:
                break
            claimed.append(copy(task))
        return claimed

    def _lease(self, task: Task, queue: Queue, worker: str, lease_seconds: int, *, now: int) -> None:
        lease_seconds = lease_seconds if lease_seconds > 0 else self.rules.default_lease  # K2
        task.happens(Event.CLAIM, by=worker, now=now)
        task.worker = worker
        task.attempts += 1
        task.touched_at = now
        task.lease_until = now + seconds(lease_seconds)
        task.lease_expiry = self.profile.expiry(lease_seconds, now=now)
        queue.lease(task)
        if task.trace_parent:
            task.trace_parent = self._next_span(task.trace_parent)  # X1
        self.tally.claimed[task.command] += 1

    # A held task: sections 7 to 9.

    def heartbeat(self, task_id: str, *, worker: str, extend_seconds: int = 0, now: int) -> None:
        """Move the lease's end to ``now`` + extension (H1); a lease that is gone from the store stays gone (H3).

        Raises :class:`~codeq_fake.core.errors.TaskNotFound` or :class:`~codeq_fake.core.errors.NotOwner`.
        """
        task = self._held(task_id, worker)
        extend_seconds = extend_seconds if extend_seconds > 0 else self.rules.default_lease
        task.happens(Event.HEARTBEAT, by=worker, now=now)
        task.touched_at = now
        task.lease_until = now + seconds(extend_seconds)
        if now < task.lease_expiry and task.state is State.LEASED:
            task.lease_expiry = self.profile.expiry(extend_seconds, now=now)
            self.store.queue_for(task).lease(task)

    def abandon(self, task_id: str, *, worker: str, now: int) -> None:
        """Give the task back: at once, to the tail of its queue (D1).

        Raises :class:`~codeq_fake.core.errors.TaskNotFound` or :class:`~codeq_fake.core.errors.NotOwner`.
        """
        task = self._held(task_id, worker)
        self.returns.put_back(task, worker=worker, now=now)

    def nack(self, task_id: str, *, worker: str, delay_seconds: int = 0, reason: str = "", now: int) -> Nacked:
        """Give the task back as not done: after a delay, or into the dead letter queue (N1 to N4).

        Only a task in progress has a worker, so N1's ``not-in-progress`` is never reached: a task that is in no one's
        hands is not the caller's. Raises :class:`~codeq_fake.core.errors.TaskNotFound` or
        :class:`~codeq_fake.core.errors.NotOwner`.
        """
        task = self._held(task_id, worker)
        queue = self.store.queue_for(task)
        queue.in_progress.pop(task.id, None)
        return self.returns.send_back(
            task, queue, Event.NACK, delay_seconds=delay_seconds, reason=reason, by=worker, now=now
        )

    def _held(self, task_id: str, worker: str) -> Task:
        task = self.store.tasks.get(task_id)
        if task is None:
            raise errors.TaskNotFound
        if not task.worker or task.worker != worker:
            raise errors.NotOwner
        return task

    # Results: section 10.

    def submit(self, task_id: str, handed_in: results.Submission, *, worker: str, now: int) -> Record:
        """Store a result and end the task (S1 to S5); its callback becomes due (W1).

        Raises what :func:`~codeq_fake.core.submission.check_holder` and :func:`~codeq_fake.core.submission.check` do.
        """
        task = results.check_holder(self.store.tasks.get(task_id), worker)
        checked = results.check(task, handed_in, artifacts_dir=self.rules.artifacts_dir)
        record = self._end(task, handed_in, checked, worker, now=now)
        self._effects.extend(checked.files)
        self.tally.ended(task.command, record.status, after=now - task.created_at)
        if task.webhook:
            self.call_back(task, record, now=now)
        return record

    def submit_batch(
        self, items: Sequence[tuple[str, results.Submission]], *, worker: str, now: int
    ) -> list[Record | errors.Refused]:
        """Store several results; each item gets its record or its refusal (S6).

        When every task exists, all items are checked before the first is stored, artifacts are ignored and nobody is
        called back or counted; else each item goes the way of :meth:`submit`.
        """
        if all(task_id in self.store.tasks for task_id, _ in items):
            return self._submit_known(items, worker, now=now)
        answers: list[Record | errors.Refused] = []
        for task_id, handed_in in items:
            try:
                answers.append(self.submit(task_id, handed_in, worker=worker, now=now))
            except errors.Refused as refusal:
                answers.append(refusal)
        return answers

    def _submit_known(
        self, items: Sequence[tuple[str, results.Submission]], worker: str, *, now: int
    ) -> list[Record | errors.Refused]:
        bare = [
            (self.store.tasks[task_id], results.Submission(handed_in.status, handed_in.result, handed_in.error))
            for task_id, handed_in in items
        ]
        verdicts: list[results.Checked | errors.Refused] = []
        for task, handed_in in bare:
            try:
                results.check_holder(task, worker)
                verdicts.append(results.check(task, handed_in, artifacts_dir=self.rules.artifacts_dir))
            except errors.Refused as refusal:
                verdicts.append(refusal)
        return [
            verdict if isinstance(verdict, errors.Refused) else self._end(task, handed_in, verdict, worker, now=now)
            for (task, handed_in), verdict in zip(bare, verdicts, strict=True)
        ]

    def _end(
        self, task: Task, handed_in: results.Submission, checked: results.Checked, worker: str, *, now: int
    ) -> Record:
        task.happens(checked.event, by=worker, now=now)
        task.touched_at = now
        task.let_go()
        task.error = handed_in.error
        self.store.queue_for(task).in_progress.pop(task.id, None)
        task.record = Record(task.id, handed_in.status, handed_in.result, handed_in.error, checked.artifacts, now)
        return task.record

    def call_back(self, task: Task, record: Record, *, now: int) -> None:
        """Let the first try of a result's callback become due (W1)."""
        callback = CallbackDue(
            delivery_id=self.outbox.next_id,
            attempt=1,
            url=task.webhook,
            task_id=task.id,
            command=task.command,
            status=record.status,
            result=record.result,
            error=record.error,
            artifacts=record.artifacts,
            completed_at=record.completed_at,
            trace_parent=self._next_span(task.trace_parent) if task.trace_parent else "",
            trace_state=task.trace_state,
        )
        first_try = self.outbox.post(callback, now=now)
        if first_try is not None:
            self._effects.append(first_try)

    def get(self, task_id: str) -> Task:
        """The task with this id, of any tenant (S8). Raises :class:`~codeq_fake.core.errors.TaskNotFound`."""
        task = self.store.tasks.get(task_id)
        if task is None:
            raise errors.TaskNotFound
        return task

    def result(self, task_id: str) -> tuple[Task, Record]:
        """The task and its result, of any tenant (S7).

        Raises :class:`~codeq_fake.core.errors.TaskNotFound` or :class:`~codeq_fake.core.errors.ResultNotFound`.
        """
        task = self.get(task_id)
        if task.record is None:
            raise errors.ResultNotFound
        return task, task.record

    # Limits: section 14.

    def admit(self, scope: str, token: str, operation: str, *, now: int) -> int:
        """Ask the rate limit of ``scope``: 0 when the call may go on, else the seconds to wait (L1)."""
        wait = self.limiter.admit(scope, token, now=now)
        if wait:
            self.tally.rate_limited[scope, operation] += 1
        return wait

    # Time and effects: what the shell drives.

    def next_due(self) -> int | None:
        """The next instant (ns) at which :meth:`fire` has something to do by itself, or None."""
        dues = (self.outbox.next_due(), self.subscriptions.next_sweep(interval=self.rules.sweep_interval))
        return min((due for due in dues if due is not None), default=None)

    def fire(self, *, now: int) -> None:
        """Do what has come due by ``now``: callback tries (W3) and sweeps of subscriptions (U9)."""
        self._effects.extend(self.outbox.due(now=now))
        sweep = self.subscriptions.next_sweep(interval=self.rules.sweep_interval)
        if sweep is not None and sweep <= now:
            self.subscriptions.sweep(now=sweep)

    def callback_answered(self, delivery_id: int, *, delivered: bool, final: bool = False, now: int) -> bool:
        """A callback's try ended: ``delivered`` by a 2xx, or failed and to be tried again unless ``final`` (W3).

        Returns whether the callback is over for good.
        """
        over = self.outbox.answered(delivery_id, delivered=delivered, final=final, now=now)
        if over is not None:
            self.tally.delivered("task_result", over.command, success=delivered)
        return over is not None

    def notice_answered(self, command: str, *, delivered: bool) -> None:
        """A queue-ready notice was sent, with or without success: there is one try (U4)."""
        self.tally.delivered("queue_ready", command, success=delivered)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to carry out, and nothing that time could bring: the usual case, told fast."""
        return not (self._effects or self.outbox.deliveries or self.subscriptions.by_id)

    def drain_effects(self) -> Iterable[Effect]:
        """What the operations since the last call want done outside, in order."""
        if not self._effects:
            return ()
        effects, self._effects = self._effects, []
        return effects

    def expire_lease(self, task_id: str, *, now: int) -> None:
        """End a task's lease now, as if its time had passed; the next claim requeues it. The contract has no such call.

        Raises :class:`~codeq_fake.core.errors.TaskNotFound` or :class:`~codeq_fake.core.errors.NotInProgress`.
        """
        self.returns.end_lease(self.get(task_id), now=now)
