"""Mutants that take more than a row of the table: functions that patch the fake's insides.

Undoing the patch removes the defect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.auth import Authenticator
from codeq_fake.core import Broker, Record, Store, backoff, errors, races, results
from codeq_fake.core.leases import Leases
from codeq_fake.core.queue import Queue
from codeq_fake.core.rate_limits import RateLimiter
from codeq_fake.core.requeueing import REASON_LEASE_EXPIRED, Requeueing
from codeq_fake.core.subscriptions import Subscriptions
from codeq_fake.core.task import Event
from codeq_fake.core.task_store import TaskStore
from codeq_fake.core.times import SECOND
from codeq_fake.http import rendering
from codeq_fake.webhooks import Composer, Sender

if TYPE_CHECKING:
    from codeq_fake.core import Task
    from codeq_fake.core.slices import Slices

Apply = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect, and the fact that it makes wrong: a case of that fact must fail."""

    name: str
    fact: str
    apply: Apply


DEFECTS: list[Defect] = []


def defect(fact: str) -> Callable[[Apply], Apply]:
    """Register a function as a defect of the same name."""

    def register(apply: Apply) -> Apply:
        DEFECTS.append(Defect(apply.__name__, fact, apply))
        return apply

    return register


def _instead(patch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Callable[..., Any]) -> None:
    """Replace a method. `wrong` gets the right one as its first argument."""
    right = getattr(owner, name)

    def patched(*arguments: Any, **named: Any) -> Any:
        return wrong(right, *arguments, **named)

    patch.setattr(owner, name, patched)


# Claims.


@defect("K3.4")
def double_lease(patch: pytest.MonkeyPatch) -> None:
    def take(right: Callable[..., Task | None], self: Queue) -> Task | None:
        task = right(self)
        if task is not None and not task.attempts:
            twin = replace(task, _history=list(task.history))
            self.put(twin)
        return task

    _instead(patch, Queue, "take", take)


@defect("K4.3")
def last_in_first_out(patch: pytest.MonkeyPatch) -> None:
    def take(self: Queue) -> Task | None:
        for ready in self.pending.values():
            if ready:
                *_, task = (task for _, task in ready.items() if task is not None)
                ready.remove(task)
                return task
        return None

    patch.setattr(Queue, "take", take)


@defect("K4.2")
def lowest_priority_first(patch: pytest.MonkeyPatch) -> None:
    def take(self: Queue) -> Task | None:
        for ready in reversed(self.pending.values()):
            if ready:
                return ready.pop()
        return None

    patch.setattr(Queue, "take", take)


@defect("K3.1")
def false_204(patch: pytest.MonkeyPatch) -> None:
    def claim(right: Callable[..., Task | None], self: Broker, commands: Any, *, tenant: str, **named: Any) -> Any:
        ready = any(self.store.stats(command, tenant=tenant).ready for command in commands)
        missed: set[Any] = self.__dict__.setdefault("missed", set())
        if ready and (tenant, *commands) not in missed:
            missed.add((tenant, *commands))
            return None
        return right(self, commands, tenant=tenant, **named)

    _instead(patch, Broker, "claim", claim)


@defect("K5.5")
def claims_not_counted(patch: pytest.MonkeyPatch) -> None:
    def start(right: Callable[..., None], self: Leases, task: Task, *arguments: Any, **named: Any) -> None:
        right(self, task, *arguments, **named)
        task.attempts -= 1

    _instead(patch, Leases, "start", start)


@defect("K6.1")
def tenant_leak(patch: pytest.MonkeyPatch) -> None:
    def create(right: Callable[..., Task], self: Broker, *arguments: Any, tenant: str, **named: Any) -> Task:
        return right(self, *arguments, tenant=tenant and "everybody", **named)

    def claim(right: Callable[..., Task | None], self: Broker, *arguments: Any, tenant: str, **named: Any) -> Any:
        return right(self, *arguments, tenant=tenant and "everybody", **named)

    _instead(patch, Broker, "create", create)
    _instead(patch, Broker, "claim", claim)


@defect("K7.15")
def batch_claims_without_repair(patch: pytest.MonkeyPatch) -> None:
    def claim_batch(right: Callable[..., list[Task]], self: Broker, *arguments: Any, **named: Any) -> list[Task]:
        with pytest.MonkeyPatch.context() as meanwhile:
            meanwhile.setattr(self.requeueing, "repair", lambda *_arguments, **_named: None)
            return right(self, *arguments, **named)

    _instead(patch, Broker, "claim_batch", claim_batch)


# Leases.


@defect("K8.1")
def lease_expires_early(patch: pytest.MonkeyPatch) -> None:
    _instead(patch, Store, "lease_expired_from", lambda right, self, gone: right(self, gone) - 2 * SECOND)


@defect("K7.10")
def lease_expires_late(patch: pytest.MonkeyPatch) -> None:
    _instead(patch, Store, "lease_expired_from", lambda right, self, gone: right(self, gone) + 3 * SECOND)


@defect("H3.2")
def heartbeat_revives(patch: pytest.MonkeyPatch) -> None:
    def heartbeat(right: Callable[..., None], self: Broker, task_id: str, *, now: int, **named: Any) -> None:
        task = self.store.tasks.get(task_id)
        if task is not None and task.lease_expiry:
            task.lease_expiry = max(task.lease_expiry, now + 1)
        right(self, task_id, now=now, **named)

    _instead(patch, Broker, "heartbeat", heartbeat)


@defect("H1.5")
def heartbeat_never_shortens(patch: pytest.MonkeyPatch) -> None:
    def heartbeat(right: Callable[..., None], self: Broker, task_id: str, **named: Any) -> None:
        before = self.store.tasks[task_id].lease_until if task_id in self.store.tasks else 0
        right(self, task_id, **named)
        task = self.store.tasks[task_id]
        task.lease_until = max(task.lease_until, before)

    _instead(patch, Broker, "heartbeat", heartbeat)


@defect("N5.1")
def expired_at_the_head_of_its_queue(patch: pytest.MonkeyPatch) -> None:
    def give_back(
        right: Callable[..., Any], self: Requeueing, task: Task, queue: Queue, *rest: Any, **named: Any
    ) -> Any:
        answer = right(self, task, queue, *rest, **named)
        if named["reason"] == REASON_LEASE_EXPIRED and not answer.dead:
            del queue.delayed[task.id]
            task.apply(Event.COME_DUE, by="", now=named["now"])
            queue.put(task)
        return answer

    _instead(patch, Requeueing, "give_back", give_back)


@defect("S3.1")
def late_result_refused(patch: pytest.MonkeyPatch) -> None:
    def submit(right: Callable[..., Record], self: Broker, task_id: str, *rest: Any, now: int, **named: Any) -> Any:
        task = self.store.tasks.get(task_id)
        if task is not None and task.worker and self.profile.store.lease_expired_from(task.lease_expiry) <= now:
            raise errors.NotInProgress
        return right(self, task_id, *rest, now=now, **named)

    _instead(patch, Broker, "submit", submit)


# Giving back.


@defect("D1.6")
def abandoned_task_lost(patch: pytest.MonkeyPatch) -> None:
    def abandon(right: Callable[..., None], self: Broker, task_id: str, **named: Any) -> None:
        right(self, task_id, **named)
        task = self.store.tasks[task_id]
        self.store.queue_for(task).remove(task)

    _instead(patch, Broker, "abandon", abandon)


@defect("D1.4")
def abandon_counts_an_attempt(patch: pytest.MonkeyPatch) -> None:
    def abandon(right: Callable[..., None], self: Broker, task_id: str, **named: Any) -> None:
        right(self, task_id, **named)
        self.store.tasks[task_id].attempts += 1

    _instead(patch, Broker, "abandon", abandon)


@defect("N3.2")
def nack_delay_ignored(patch: pytest.MonkeyPatch) -> None:
    def nack(right: Callable[..., Any], self: Broker, task_id: str, **named: Any) -> Any:
        return right(self, task_id, **{**named, "delay_seconds": 0})

    _instead(patch, Broker, "nack", nack)


@defect("N2.1")
def nack_counts_no_attempt(patch: pytest.MonkeyPatch) -> None:
    def give_back(right: Callable[..., Any], self: Requeueing, task: Task, *arguments: Any, **named: Any) -> Any:
        task.attempts -= 1
        return right(self, task, *arguments, **named)

    _instead(patch, Requeueing, "give_back", give_back)


@defect("N3.4")
def backoff_one_attempt_ahead(patch: pytest.MonkeyPatch) -> None:
    _instead(patch, backoff, "delay", lambda right, rules, attempts, jitter: right(rules, attempts + 1, jitter))


@defect("N2.2")
def dead_letter_one_too_late(patch: pytest.MonkeyPatch) -> None:
    def give_back(right: Callable[..., Any], self: Requeueing, task: Task, *arguments: Any, **named: Any) -> Any:
        task.max_attempts += 1
        try:
            return right(self, task, *arguments, **named)
        finally:
            task.max_attempts -= 1

    _instead(patch, Requeueing, "give_back", give_back)


# Creating.


@defect("C8.11")
def idempotency_per_tenant(patch: pytest.MonkeyPatch) -> None:
    def create(right: Callable[..., Task], self: Broker, *arguments: Any, tenant: str, **named: Any) -> Task:
        if named.get("idempotency_key"):
            named["idempotency_key"] += tenant
        return right(self, *arguments, tenant=tenant, **named)

    _instead(patch, Broker, "create", create)


@defect("C6.17")
def delay_ignored(patch: pytest.MonkeyPatch) -> None:
    def create(right: Callable[..., Task], self: Broker, *arguments: Any, **named: Any) -> Task:
        if named.get("delay_seconds", 0) > 0:
            named["delay_seconds"] = 0
        return right(self, *arguments, **named)

    _instead(patch, Broker, "create", create)


@defect("T1.3")
def payload_as_sent(patch: pytest.MonkeyPatch) -> None:
    _instead(patch, rendering, "escaped", lambda right, text: right(text).replace("\\u003c", "<"))


# Results and callbacks.


@defect("S1.2")
def anybody_may_submit(patch: pytest.MonkeyPatch) -> None:
    _instead(patch, results, "check_holder", lambda right, task, _worker: right(task, task.worker if task else ""))


@defect("S7.1")
def result_forgotten(patch: pytest.MonkeyPatch) -> None:
    def store_result(right: Callable[..., Record], self: Broker, checked: Any, worker: str, *, now: int) -> Record:
        record = right(self, checked, worker, now=now)
        checked.task.record = None
        return record

    _instead(patch, Broker, "_store_result", store_result)


@defect("S6.8")
def batch_results_call_back(patch: pytest.MonkeyPatch) -> None:
    def submit_known(right: Callable[..., Any], self: Broker, items: Any, worker: str, *, now: int) -> Any:
        answers = right(self, items, worker, now=now)
        for task in {self.store.tasks[task_id].id: self.store.tasks[task_id] for task_id, _ in items}.values():
            if task.webhook and task.record is not None:
                self.start_callback(task, task.record, now=now)
        return answers

    _instead(patch, Broker, "_submit_known", submit_known)


@defect("W1.10")
def callback_before_the_end(patch: pytest.MonkeyPatch) -> None:
    def claim(right: Callable[..., Task | None], self: Broker, *arguments: Any, now: int, **named: Any) -> Task | None:
        task = right(self, *arguments, now=now, **named)
        if task is not None and task.webhook:
            record = Record(task.id, "COMPLETED", '{"ok":true}', "", (), now)
            self.start_callback(task, record, now=now)
        return task

    _instead(patch, Broker, "claim", claim)


@defect("N4.7")
def callback_for_a_dead_letter(patch: pytest.MonkeyPatch) -> None:
    def nack(right: Callable[..., Any], self: Broker, task_id: str, *, now: int, **named: Any) -> Any:
        outcome = right(self, task_id, now=now, **named)
        task = self.store.tasks[task_id]
        if outcome.dead and task.webhook:
            self.start_callback(task, Record(task.id, "FAILED", None, task.error, (), now), now=now)
        return outcome

    _instead(patch, Broker, "nack", nack)


@defect("W2.3")
def callback_unsigned(patch: pytest.MonkeyPatch) -> None:
    _instead(
        patch, Composer, "_signed", lambda right, self, *rest, **named: right(replace(self, secret=""), *rest, **named)
    )


@defect("W3.2")
def callback_tried_once(patch: pytest.MonkeyPatch) -> None:
    def answered(right: Callable[..., bool], self: Broker, *arguments: Any, **named: Any) -> bool:
        return right(self, *arguments, **{**named, "final": True})

    _instead(patch, Broker, "callback_answered", answered)


@defect("U3.2")
def notice_for_every_create(patch: pytest.MonkeyPatch) -> None:
    def add(right: Callable[..., bool], self: TaskStore, task: Task) -> bool:
        right(self, task)
        return True

    _instead(patch, TaskStore, "add", add)


@defect("U5.1")
def notices_not_throttled(patch: pytest.MonkeyPatch) -> None:
    def start_throttle(right: Callable[..., bool], self: Subscriptions, *arguments: Any, **named: Any) -> bool:
        right(self, *arguments, **named)
        return True

    _instead(patch, Subscriptions, "_start_throttle", start_throttle)


@defect("U2.5")
def only_its_worker_renews_a_subscription(patch: pytest.MonkeyPatch) -> None:
    _with_the_last_worker(patch)

    def subscribe(right: Callable[..., Any], self: Broker, *arguments: Any, **named: Any) -> Any:
        made = right(self, *arguments, **named)
        self.__dict__[made.id] = Authenticator.last.subject  # type: ignore[attr-defined]
        return made

    def renew(right: Callable[..., Any], self: Broker, subscription: str, **named: Any) -> Any:
        if self.__dict__.get(subscription) != Authenticator.last.subject:  # type: ignore[attr-defined]
            raise errors.SubscriptionNotFound
        return right(self, subscription, **named)

    _instead(patch, Broker, "subscribe", subscribe)
    _instead(patch, Broker, "renew_subscription", renew)


@defect("U3.4")
def notice_for_a_due_task(patch: pytest.MonkeyPatch) -> None:
    _after_claims(patch, lambda task: task.history[-2].what == Event.COME_DUE and task.attempts == 1)


@defect("U3.5")
def notice_for_a_task_that_comes_back(patch: pytest.MonkeyPatch) -> None:
    _after_claims(patch, lambda task: task.history[-2].what == Event.COME_DUE and task.attempts > 1)


@defect("U3.5")
def notice_for_a_nack(patch: pytest.MonkeyPatch) -> None:
    _with_a_notice(patch, "nack")


@defect("U3.6")
def notice_for_an_abandon(patch: pytest.MonkeyPatch) -> None:
    _with_a_notice(patch, "abandon")


@defect("U3.7")
def notice_for_the_first_task_ever(patch: pytest.MonkeyPatch) -> None:
    def add(right: Callable[..., bool], self: TaskStore, task: Task) -> bool:
        known = {(each.command, each.priority) for each in self.tasks.values()}
        return right(self, task) and (task.command, task.priority) not in known

    _instead(patch, TaskStore, "add", add)


@defect("U4.13")
def notice_not_redirected(patch: pytest.MonkeyPatch) -> None:
    def redirected(right: Callable[..., Any], self: Sender, request: Any, answer: Any) -> Any:
        return None if b"notificationId" in request.body else right(self, request, answer)

    _instead(patch, Sender, "_redirected", redirected)


@defect("U8.1")
def notices_within_the_tenant(patch: pytest.MonkeyPatch) -> None:
    _with_the_last_worker(patch)

    def subscribe(right: Callable[..., Any], self: Broker, *arguments: Any, **named: Any) -> Any:
        made = right(self, *arguments, **named)
        self.__dict__[made.id] = Authenticator.last.tenant  # type: ignore[attr-defined]
        return made

    def notify(_: Callable[..., Any], self: Broker, command: str, *, now: int) -> None:
        tenant = [*self.store.tasks.values()][-1].tenant
        all_notices = self.subscriptions.take_notices(command, now=now)
        self._effects.extend(each for each in all_notices if self.__dict__[each.subscription_id] == tenant)

    _instead(patch, Broker, "subscribe", subscribe)
    _instead(patch, Broker, "_notify", notify)


def _with_the_last_worker(patch: pytest.MonkeyPatch) -> None:
    """`Authenticator.last` is the worker who called last."""

    def worker(right: Callable[..., Any], self: Authenticator, *arguments: Any, **named: Any) -> Any:
        caller = right(self, *arguments, **named)
        patch.setattr(Authenticator, "last", caller, raising=False)
        return caller

    _instead(patch, Authenticator, "worker", worker)


def _after_claims(patch: pytest.MonkeyPatch, causes_notice: Callable[[Task], bool]) -> None:
    """A claim of such a task causes a notice."""

    def claim(right: Callable[..., Task | None], self: Broker, *arguments: Any, now: int, **named: Any) -> Task | None:
        task = right(self, *arguments, now=now, **named)
        if task is not None and causes_notice(task):
            self._notify(task.command, now=now)
        return task

    _instead(patch, Broker, "claim", claim)


def _with_a_notice(patch: pytest.MonkeyPatch, name: str) -> None:
    """The operation of that name causes a notice."""

    def operation(right: Callable[..., Any], self: Broker, task_id: str, *, now: int, **named: Any) -> Any:
        answer = right(self, task_id, now=now, **named)
        self._notify(self.store.tasks[task_id].command, now=now)
        return answer

    _instead(patch, Broker, name, operation)


# Races.


@defect("Z1.1")
def finished_task_comes_back(patch: pytest.MonkeyPatch) -> None:
    def submit(right: Callable[..., Record], self: Broker, task_id: str, *rest: Any, now: int, **named: Any) -> Any:
        record = right(self, task_id, *rest, now=now, **named)
        if any(entry.what == Event.COME_DUE for entry in self.store.tasks[task_id].history):
            races.redeliver_finished(self, task_id, now=now)
        return record

    _instead(patch, Broker, "submit", submit)


@defect("Z1.2")
def due_task_ends_twice(patch: pytest.MonkeyPatch) -> None:
    def submit(right: Callable[..., Record], self: Broker, task_id: str, *rest: Any, now: int, **named: Any) -> Any:
        history = self.store.tasks[task_id].history if task_id in self.store.tasks else []
        if any(entry.what == Event.COME_DUE for entry in history):
            with races.overlooking(self, end=task_id):
                return right(self, task_id, *rest, now=now, **named)
        return right(self, task_id, *rest, now=now, **named)

    _instead(patch, Broker, "submit", submit)


@defect("Z2.1")
def task_lost_between_claims(patch: pytest.MonkeyPatch) -> None:
    def pop_due(right: Callable[..., Iterator[Task]], self: Queue, **named: Any) -> Iterator[Task]:
        moved = [*right(self, **named)]
        return iter(moved[1:] if len(moved) > 1 else moved)

    _instead(patch, Queue, "pop_due", pop_due)


@defect("Z3.1")
def fresh_lease_revoked(patch: pytest.MonkeyPatch) -> None:
    def revoke(broker: Broker, task: Task, now: int) -> None:
        races.revoke_lease(broker, task.id, now=now)

    _beside_claims(patch, revoke)


@defect("Z3.2")
def attempt_of_another_claim(patch: pytest.MonkeyPatch) -> None:
    def count(_: Broker, task: Task, __: int) -> None:
        task.attempts += 1

    _beside_claims(patch, count)


@defect("Z4.1")
def empty_beside_another_claim(patch: pytest.MonkeyPatch) -> None:
    def claim(right: Callable[..., Task | None], self: Broker, commands: Any, *, now: int, **named: Any) -> Task | None:
        claims = self.__dict__.setdefault("claims", Counter())
        claims[now, *commands] += 1
        return None if claims[now, *commands] == 2 else right(self, commands, now=now, **named)

    _instead(patch, Broker, "claim", claim)


@defect("Z5.1")
def results_at_once_accepted(patch: pytest.MonkeyPatch) -> None:
    def submit(right: Callable[..., Record], self: Broker, task_id: str, *rest: Any, now: int, **named: Any) -> Any:
        with races.overlooking(self, end=task_id if races.can_end_twice(self, task_id, now=now) else ""):
            return right(self, task_id, *rest, now=now, **named)

    _instead(patch, Broker, "submit", submit)


@defect("Z5.2")
def last_result_at_once_stays(patch: pytest.MonkeyPatch) -> None:
    def submit(right: Callable[..., Record], self: Broker, task_id: str, sent: Any, *, now: int, **named: Any) -> Any:
        try:
            return right(self, task_id, sent, now=now, **named)
        except errors.NotInProgress:
            task = self.store.tasks[task_id]
            task.error = sent.error
            raise

    _instead(patch, Broker, "submit", submit)


@defect("Z5.3")
def refused_result_at_once_calls_back(patch: pytest.MonkeyPatch) -> None:
    def submit(right: Callable[..., Record], self: Broker, task_id: str, *rest: Any, now: int, **named: Any) -> Any:
        try:
            return right(self, task_id, *rest, now=now, **named)
        except errors.NotInProgress:
            task = self.store.tasks[task_id]
            if task.webhook and task.record:
                self.start_callback(task, task.record, now=now)
            raise

    _instead(patch, Broker, "submit", submit)


@defect("Z6.1")
def key_at_once_makes_two_tasks(patch: pytest.MonkeyPatch) -> None:
    def create(right: Callable[..., Task], self: Broker, *arguments: Any, now: int, **named: Any) -> Task:
        key = named.get("idempotency_key", "")
        used_now = key if races.can_make_twice(self, key, now=now) else ""
        with races.overlooking(self, key=used_now):
            return right(self, *arguments, now=now, **named)

    _instead(patch, Broker, "create", create)


def _beside_claims(patch: pytest.MonkeyPatch, harm: Callable[[Broker, Task, int], None]) -> None:
    """A claim harms one task of its command that is claimed at the same moment."""

    def claim(right: Callable[..., Task | None], self: Broker, commands: Any, *, now: int, **named: Any) -> Task | None:
        task = right(self, commands, now=now, **named)
        if task is not None:
            held = self.store.queue_for(task).in_progress.values()
            others = [other for other in held if other is not task and other.updated_at == now]
            for other in others[-1:]:
                harm(self, other, now)
        return task

    _instead(patch, Broker, "claim", claim)


# Access and administration.


@defect("A5.4")
def scope_not_checked(patch: pytest.MonkeyPatch) -> None:
    def worker(right: Callable[..., Any], self: Authenticator, authorization: Any, _scope: str, *, now: int) -> Any:
        caller = self._workers.caller(authorization, now)
        return right(self, authorization, next(iter(caller.scopes)), now=now)

    _instead(patch, Authenticator, "worker", worker)


@defect("M3.2")
def cleanup_of_live_tasks(patch: pytest.MonkeyPatch) -> None:
    def cleanup(right: Callable[..., Slices[int]], self: Broker, *, before: int, limit: int) -> Slices[int]:
        return right(self, before=before + 24 * 3600 * SECOND, limit=limit)

    _instead(patch, Broker, "cleanup", cleanup)


@defect("L1.2")
def rate_limit_one_too_many(patch: pytest.MonkeyPatch) -> None:
    def admit(right: Callable[..., int], self: RateLimiter, scope: str, key: str, *, now: int) -> int:
        if (scope, key) not in self.buckets and scope in self._limits:
            right(self, scope, key, now=now)
            tokens, at = self.buckets[scope, key]
            self.buckets[scope, key] = (tokens + 1, at)
            return 0
        return right(self, scope, key, now=now)

    _instead(patch, RateLimiter, "admit", admit)


def named(name: str) -> Defect:
    """The defect of that name."""
    return next(each for each in DEFECTS if each.name == name)
