"""The broker: the state of one server, with a method for each operation of the contract. Pure and synchronous."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from itertools import chain
from typing import ParamSpec, TypeVar

from codeq_fake import wire

from . import errors, results, retention
from .callback_retries import CallbackRetries
from .commands import BUILT_IN_COMMANDS, is_blank, queue_name, to_claim
from .counters import Counters
from .effects import CallbackDue, Effect, Ids, Jitter
from .idempotency import IdempotencyKeys
from .leases import Leases
from .pebble_reaper import Reaper
from .profiles import Profile
from .queue import PRIORITIES
from .rate_limits import RateLimiter
from .requeueing import Requeueing
from .settings import CoreSettings
from .slices import Slices
from .subscriptions import MODES, Subscription, Subscriptions
from .task import Event, NackOutcome, Record, State, Task
from .task_store import QueueStats, TaskStore
from .times import visible_at
from .topics import Topics
from .traces import Traces

P = ParamSpec("P")
T = TypeVar("T")


class Broker:
    """The state of one server and all operations on it.

    Each operation takes `now` (ns since the epoch) and does all of its work at once. An operation that raises a
    `Refused` has changed nothing. Effects on the outside world are read with `drain_effects`. The caller calls `fire`
    when `next_due` has come. `reaper_phase` is one of the reaper's ticks (ns); the default is `now` (P1).
    `on_change` is called after each change by which a claim could find more than before.
    """

    def __init__(
        self,
        *,
        settings: CoreSettings,
        profile: Profile,
        ids: Ids,
        jitter: Jitter,
        now: int = 0,
        reaper_phase: int | None = None,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self.profile = profile
        self.store = TaskStore(profile.store, on_change)
        self.keys = IdempotencyKeys(profile.store)
        self.subscriptions = Subscriptions(profile.store, swept_at=now)
        self.rate_limiter = RateLimiter(settings.rate_limit)
        self.callbacks = CallbackRetries(settings=settings, rate_limiter=self.rate_limiter)
        self.counters = Counters()
        self.requeueing = Requeueing(
            settings=settings,
            store=self.store,
            counters=self.counters,
            jitter=jitter,
            profile=profile,
        )
        self.topics = Topics()
        store = profile.store
        # The reaper's latest tick up to now.
        start = now if reaper_phase is None else now - (now - reaper_phase) % (store.reaper_interval or 1)
        self.reaper: Reaper | None = None
        if store.reaper_interval:
            self.reaper = Reaper(
                interval=store.reaper_interval, start=start, store=self.store, requeueing=self.requeueing
            )
        self.entry_index = retention.EntryIndex(start=start, store=self.store) if store.ends_tasks else None
        #: The id of a task whose end the current operation overlooks (Z5; a heartbeat: `races.can_undo_end`), and the
        #: idempotency key whose first use it overlooks (Z6): it works with what the server read before. `races` sets
        #: them for one operation.
        self.overlooked_end = ""
        self.overlooked_key = ""
        self._is_tracing = settings.tracing_enabled and store.stores_traces
        self._traces = Traces(ids, knows_random_flag=profile.version.knows_random_flag)
        self.leases = Leases(
            settings=settings,
            profile=profile,
            store=self.store,
            counters=self.counters,
            traces=self._traces,
            reaper=self.reaper,
        )
        self._artifacts = results.Artifacts(settings.local_artifacts_dir, profile.version.checks_artifact_names)
        self._ids = ids
        self._effects: list[Effect] = []

    # Creating: R1 (C1 to C8).

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
        """Create a task, or return the one that the idempotency key created (C1 to C8).

        `payload` is compact JSON text (T1), `run_at` the text as sent. Raises `InvalidRunAt`, `InvalidDelay`,
        `InvalidCommand` or `InvalidWebhook`, checked in this order (C6).
        """
        visible_from = visible_at(run_at, delay_seconds, now=now)
        if is_blank(command):
            raise errors.InvalidCommand
        if webhook and not wire.is_webhook_url(webhook):
            raise errors.InvalidWebhook
        if idempotency_key:
            known = self.store.tasks.get(self.keys.find(idempotency_key, now=now) or "")
            if known is not None and idempotency_key != self.overlooked_key:
                return known
        task = Task(
            id=self._ids.task_id(),
            command=command,
            payload=payload,
            tenant=tenant,
            priority=min(max(priority, 0), PRIORITIES - 1),  # C5
            max_attempts=max_attempts if max_attempts > 0 else self.settings.max_attempts_default,  # C4
            created_at=now,
            updated_at=now,
            touched_at=now,
            state=State.READY if visible_from is None else State.DELAYED,
            webhook=webhook,
            visible_at=visible_from or 0,
        )
        if self._is_tracing:
            is_valid = self._traces.accepts(trace_parent)
            task.trace_parent = self._traces.next_span(trace_parent if is_valid else "")
            task.trace_state = trace_state if is_valid else ""
        self.keys.keep(idempotency_key, task.id, now=now)
        self.counters.created[command] += 1
        is_first = self.store.add(task)
        if self.subscriptions.by_id and (is_first or (self.profile.store.announces_all and visible_from is None)):
            self._notify(command, now=now)  # U3, P10
        return task

    def _notify(self, command: str, *, now: int) -> None:
        for notice in self.subscriptions.take_notices(command, now=now):
            if self.rate_limiter.admit("webhook", notice.url, now=now) == 0:  # L1
                self._effects.append(notice)

    # Claiming: R3, R4 (K1 to K10).

    def claim(
        self,
        commands: Sequence[str],
        *,
        worker: str,
        event_types: Sequence[str],
        tenant: str,
        lease_seconds: int = 0,
        now: int,
        is_last_try: bool = False,
    ) -> Task | None:
        """Lease the next task of `commands` to `worker`, or return None if there is none (K1 to K8).

        `is_last_try` says that this is the last try of a long poll, which comes at another moment than the others
        (Q1, `Requeueing.repair`).

        Raises `EventTypeNotAllowed`, `WorkerRequired` or `LeaseRefused`.
        """
        wanted = to_claim(commands, event_types)
        if not worker:
            raise errors.WorkerRequired
        for command in wanted:
            self.requeueing.repair(command, tenant, now=now, is_last_try=is_last_try)
        for command in wanted:
            queue = self.store.queues.get((tenant, queue_name(command)))
            if queue is not None and (task := queue.take()) is not None:
                self.leases.start(task, queue, worker, lease_seconds, now=now)
                return task
        return None

    def next_claim(self, commands: Sequence[str], *, event_types: Sequence[str], tenant: str) -> int | None:
        """The moment (ns) from which a claim may find or change something. Before it, a claim does nothing.

        A moment that is past means now, and None never. The answer holds until `on_change` is called.
        """
        moments = (self.requeueing.next_moments(command, tenant) for command in to_claim(commands, event_types))
        return min(chain.from_iterable(moments), default=None)

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
        """Lease up to `count` tasks, by claims one after the other until one finds nothing (K10).

        Returns copies, as the claims left the tasks, since on KVRocks the next claim of the same batch already takes
        back a lease of one second (K8). Raises as `claim`.
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

    # Tasks in progress: R5, R6, R7 (H1 to H4, D1, D2, N1 to N6).

    def heartbeat(self, task_id: str, *, worker: str, extend_seconds: int = 0, now: int) -> None:
        """Move the end of the lease to `now` + extension (H1). A key that is gone from the store stays gone (H3, P3).

        Raises `TaskNotFound` or `NotOwner`.
        """
        task = self._task_held_by(task_id, worker)
        task.apply(Event.HEARTBEAT, by=worker, now=now)
        if task_id == self.overlooked_end:  # written as it was read before its end (`races.can_undo_end`)
            task.worker, task.error = worker, ""
        task.touched_at = now
        self.leases.extend(task, extend_seconds, now=now)

    def abandon(self, task_id: str, *, worker: str, now: int) -> None:
        """Give the task back to the tail of its queue at once (D1). Raises `TaskNotFound` or `NotOwner`."""
        self.requeueing.abandon(self._task_held_by(task_id, worker), worker=worker, now=now)

    def nack(self, task_id: str, *, worker: str, delay_seconds: int = 0, reason: str = "", now: int) -> NackOutcome:
        """Give the task back as not done: after a delay, or to the dead letter queue (N1 to N4).

        Raises `WorkerRequired`, `TaskNotFound` or `NotOwner`: also for a task that is not in progress, because it has
        no worker. So the `not-in-progress` of N1 never occurs.
        """
        if not worker:
            raise errors.WorkerRequired
        task = self._task_held_by(task_id, worker)
        queue = self.store.queue_for(task)
        queue.in_progress.pop(task.id, None)
        # A task whose lease was refused is still in its pending list (K11).
        if task.state is State.UNLEASED:
            queue.remove(task)
        outcome = self.requeueing.give_back(
            task, queue, Event.NACK, delay_seconds=delay_seconds, reason=reason, by=worker, now=now
        )
        if outcome.dead and self.profile.version.dead_letter_calls_back:  # G6
            self._call_back_for_dead_letter(task, now=now)
        return outcome

    def _call_back_for_dead_letter(self, task: Task, *, now: int) -> None:
        # With a record for this callback alone: the store keeps no result of a dead letter (N4).
        if task.webhook:
            self.start_callback(task, Record(task.id, "FAILED", None, task.error, (), now), now=now)

    def _task_held_by(self, task_id: str, worker: str) -> Task:
        """The task, if this worker holds it. One whose end is overlooked counts as held."""
        task = self.get(task_id)
        if task_id == self.overlooked_end:
            return task
        if not task.worker or task.worker != worker:
            raise errors.NotOwner
        return task

    # Results: R8, R9 (S1 to S6), and their callbacks (W1 to W4).

    def submit(self, task_id: str, submission: results.Submission, *, worker: str, now: int) -> Record:
        """Store a result and end the task (S1 to S5). Its callback becomes due (W1). Raises as `results.check`."""
        checked = self._check(task_id, submission, worker)
        task, record = checked.task, self._store_result(checked, worker, now=now)
        self._effects.extend(checked.files)
        self.counters.count_end(task.command, record.status, latency=now - task.created_at)
        if task.webhook:
            self.start_callback(task, record, now=now)
        return record

    def submit_batch(
        self, items: Sequence[tuple[str, results.Submission]], *, worker: str, now: int
    ) -> list[Record | errors.Refused]:
        """Store several results. Each item gets its record or its refusal (S6).

        If every task exists, all items are checked before the first is stored, artifacts are ignored, there are no
        counts, and callbacks only where the version sends them (G5). Otherwise each item is submitted by itself, except
        on some stores (P13).
        """
        if not self.profile.store.splits_batches or all(task_id in self.store.tasks for task_id, _ in items):
            return self._submit_known(items, worker, now=now)
        return [_or_refusal(self.submit, task_id, submission, worker=worker, now=now) for task_id, submission in items]

    def _submit_known(
        self, items: Sequence[tuple[str, results.Submission]], worker: str, *, now: int
    ) -> list[Record | errors.Refused]:
        """Check all items, then store the results of those that pass: one task can be named twice (S6)."""
        bare = [(task_id, submission._replace(artifacts=())) for task_id, submission in items]
        verdicts = [_or_refusal(self._check, task_id, submission, worker) for task_id, submission in bare]
        return [
            verdict if isinstance(verdict, errors.Refused) else self._store_batch_result(verdict, worker, now=now)
            for verdict in verdicts
        ]

    def _store_batch_result(self, checked: results.CheckedSubmission, worker: str, *, now: int) -> Record:
        record = self._store_result(checked, worker, now=now)
        if checked.task.webhook and self.profile.version.batch_calls_back:  # G5
            self.start_callback(checked.task, record, lists_artifacts=True, now=now)
        return record

    def _check(self, task_id: str, submission: results.Submission, worker: str) -> results.CheckedSubmission:
        """Check a result (S1). If the end of its task is overlooked, holder and state do not matter (Z5)."""
        task, artifacts = self.store.tasks.get(task_id), self._artifacts
        if task is not None and task_id == self.overlooked_end:
            return results.check_content(task, submission, artifacts=artifacts)
        return results.check(task, submission, worker=worker, artifacts=artifacts)

    def _store_result(self, checked: results.CheckedSubmission, worker: str, *, now: int) -> Record:
        """End the task with its result: it leaves the tasks in progress, and has no lease any more (S2, S4)."""
        task, submission = checked.task, checked.submission
        task.apply(checked.event, by=worker, now=now)
        task.touched_at = now
        task.clear_lease()
        task.error = submission.error
        self.store.queue_for(task).in_progress.pop(task.id, None)
        task.record = Record(task.id, submission.status, submission.result, submission.error, checked.artifacts, now)
        return task.record

    def start_callback(self, task: Task, record: Record, *, lists_artifacts: bool = False, now: int) -> None:
        """Make the first try of a result callback due (W1).

        If there are no artifacts, it has an empty list if it `lists_artifacts`, else null (G5).
        """
        callback = CallbackDue(
            delivery_id=self.callbacks.next_id,
            attempt=1,
            url=task.webhook,
            task_id=task.id,
            command=task.command,
            status=record.status,
            result=record.result,
            error=record.error,
            artifacts=record.artifacts if record.artifacts or lists_artifacts else None,
            completed_at=record.completed_at,
            trace_parent=self._traces.next_span(task.trace_parent) if task.trace_parent else "",
            trace_state=task.trace_state,
        )
        first_try = self.callbacks.start(callback, now=now)
        if first_try is not None:
            self._effects.append(first_try)

    # Subscriptions: R10, R11 (U1 to U9).

    def subscribe(
        self,
        url: str,
        *,
        event_types: Sequence[str] = (),
        ttl_seconds: int = 0,
        delivery_mode: str = "",
        group_id: str = "",
        min_interval_seconds: int = 0,
        now: int,
    ) -> Subscription:
        """Subscribe to queue-ready notices (U1). A value that is empty or not positive means the default.

        Raises `InvalidCallbackUrl`, `InvalidDeliveryMode` or `GroupRequired`.
        """
        if not wire.is_webhook_url(url):
            raise errors.InvalidCallbackUrl
        mode = delivery_mode or "fanout"
        if mode not in MODES:
            raise errors.InvalidDeliveryMode
        if mode == "group" and not group_id:
            raise errors.GroupRequired
        events = event_types or BUILT_IN_COMMANDS
        subscription = Subscription(
            id=self._ids.subscription_id(),
            url=url,
            commands=tuple(dict.fromkeys(map(queue_name, events))),
            mode=mode,
            group=group_id,
            interval=self.subscriptions.interval(min_interval_seconds),
            expires_at=self.subscriptions.expiry(ttl_seconds, now=now),
        )
        self.subscriptions.add(subscription, events)
        return subscription

    def renew_subscription(self, subscription_id: str, *, ttl_seconds: int = 0, now: int) -> Subscription:
        """Set a new expiry, also for a subscription that has expired (U2, U9). Raises `SubscriptionNotFound`."""
        subscription = self.subscriptions.by_id.get(subscription_id)
        if subscription is None:
            raise errors.SubscriptionNotFound
        subscription.expires_at = self.subscriptions.expiry(ttl_seconds, now=now)
        return subscription

    # Reading: R12, R13 (S7, S8).

    def get(self, task_id: str) -> Task:
        """The task with this id, of any tenant (S8). Raises `TaskNotFound`."""
        task = self.store.tasks.get(task_id)
        if task is None:
            raise errors.TaskNotFound
        return task

    def result(self, task_id: str) -> tuple[Task, Record]:
        """The task and its result, of any tenant (S7). Raises `TaskNotFound` or `ResultNotFound`."""
        task = self.get(task_id)
        if task.record is None:
            raise errors.ResultNotFound
        return task, task.record

    # Administration: R14, R15, R16 (M1 to M3), and rate limits (L1).

    def queue_sizes(self) -> dict[str, int]:
        """The sizes of the built-in commands' queues without tenant, or of all, by storage key (M1, P12)."""
        return self.store.all_sizes() if self.profile.store.lists_all_queues else self.store.built_in_sizes()

    def queue_stats(self, command: str, *, tenant: str) -> QueueStats:
        """The sizes of the queue of one command and tenant (M2)."""
        return self.store.stats(command, tenant=tenant)

    def cleanup(self, *, before: int, limit: int) -> Slices[int]:
        """Delete tasks untouched for 24 h as of `before` (ns), at most `limit`. Returns their number (M3, P8).

        Other operations may come in between.
        """
        if self.entry_index is not None:
            return self.entry_index.cleanup(before=before, limit=limit)
        return retention.cleanup(self.store, before=before, limit=limit)

    def admit(self, scope: str, token: str, operation: str, *, now: int) -> int:
        """Take a token of the rate limit of `scope`. Returns 0 if there was one, else the seconds to wait (L1)."""
        wait = self.rate_limiter.admit(scope, token, now=now)
        if wait:
            self.counters.rate_limited[scope, operation] += 1
        return wait

    # Time and effects, for the caller to drive.

    @property
    def is_idle(self) -> bool:
        """Whether there is no effect, callback, subscription or reaper: nothing to drain or `fire`. Fast to check."""
        return not (self._effects or self.callbacks.deliveries or self.subscriptions.by_id or self.reaper)

    def next_due(self) -> int | None:
        """The next instant (ns) at which `fire` has something to do, or None."""
        dues = [self.callbacks.next_due(), self._next_sweep()]
        if self.reaper is not None:
            dues.append(self.reaper.next_due())
        if self.entry_index is not None:
            dues.append(self.entry_index.next_due())
        return min((due for due in dues if due is not None), default=None)

    def fire(self, *, now: int, most: int | None = None) -> None:
        """Do what is due by `now`: at most `most` tries of callbacks (W3), and one sweep of each kind (U9, P1, P8).

        More may be due afterwards: `next_due` says so.
        """
        self._effects.extend(self.callbacks.pop_due(now=now, most=most))
        sweep = self._next_sweep()
        if sweep is not None and sweep <= now:
            self.subscriptions.sweep(now=sweep)
        if self.reaper is not None and (tick := self.reaper.next_due()) is not None and tick <= now:
            for task in self.reaper.sweep(now=tick):
                self._call_back_for_dead_letter(task, now=tick)  # P5
        if self.entry_index is not None and (tick := self.entry_index.next_due()) is not None and tick <= now:
            self.entry_index.sweep(now=tick)

    def _next_sweep(self) -> int | None:
        return self.subscriptions.next_sweep(interval=self.settings.subscription_cleanup_interval_seconds)

    def drain_effects(self) -> Iterable[Effect]:
        """Return the effects of the operations since the last call, in order, and forget them."""
        if not self._effects:
            return ()
        effects, self._effects = self._effects, []
        return effects

    def callback_answered(self, delivery_id: int, *, delivered: bool, final: bool = False, now: int) -> bool:
        """Note the outcome of a callback's try (W3). Returns whether the callback is over.

        `delivered` means a 2xx. After a failure there is another try, unless `final`.
        """
        over = self.callbacks.end_try(delivery_id, delivered=delivered, final=final, now=now)
        if over is not None:
            self.counters.count_delivery("task_result", over.command, success=delivered)
        return over is not None

    def notice_answered(self, command: str, *, delivered: bool) -> None:
        """Note the outcome of a queue-ready notice, which has one try (U4)."""
        self.counters.count_delivery("queue_ready", command, success=delivered)


def _or_refusal(operation: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | errors.Refused:
    try:
        return operation(*arguments, **named)
    except errors.Refused as refusal:
        return refusal
