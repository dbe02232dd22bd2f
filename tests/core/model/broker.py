"""A naive model of the queue, written only from the contract: plain lists, and a scan for every question.

It knows nothing of the fake and shares no code with it, so that what the two agree on is not one misreading made twice.
Operations have the names, arguments and refusals of the core's; instants are nanoseconds since the epoch.
"""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from tests.core.model.store import BUILT_IN, DAY_SECONDS, MILLISECOND, SECOND, gone_at, is_http, ran_out
from tests.core.model.subscriptions import Subscriptions
from tests.core.model.values import UNDER_WAY, Callback, Record, Refusal, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.core.model.values import HandedIn, Ids, Jitter, Settings, Upload


class Model:
    def __init__(self, profile: str, settings: Settings, *, ids: Ids, jitter: Jitter, now: int) -> None:
        self.profile = profile
        self.settings = settings
        self.ids = ids
        self.jitter = jitter
        self.subscriptions = Subscriptions(
            profile, ids.subscription_id, now, settings.subscription_cleanup_interval_seconds
        )
        self.subscribe = self.subscriptions.subscribe
        self.renew_subscription = self.subscriptions.renew
        self.tasks: list[Task] = []
        self.records: list[Record] = []
        self.keys: list[tuple[str, str, int]] = []  # idempotency key, task, gone at (ms); newest last
        self.callbacks: list[Callback] = []
        self.notices: list[tuple[str, str]] = []  # subscription and command, in order of sending
        self.files: list[tuple[str, str]] = []  # task and name of each artifact stored, in order
        self.buckets: dict[tuple[str, str], tuple[Fraction, int]] = {}
        self.line = 0

    # Places

    def find(self, task_id: str) -> Task | None:
        return next((task for task in self.tasks if task.id == task_id), None)

    def get(self, task_id: str) -> Task:
        task = self.find(task_id)
        if task is None:
            raise Refusal("TaskNotFound")
        return task

    def queue(self, command: str, tenant: str, location: str) -> list[Task]:
        """The tasks in one place of one queue, first in line first; commands meet in lower case (C2)."""
        place = (command.lower(), tenant, location)
        return sorted(
            (t for t in self.tasks if (t.command.lower(), t.tenant, t.location) == place), key=lambda t: t.place
        )

    def enqueue(self, task: Task) -> None:
        self.line += 1
        task.status, task.location, task.place, task.visible_at = "PENDING", "PENDING_LIST", self.line, 0

    def delay(self, task: Task, until: int) -> None:
        task.status, task.location, task.visible_at = "PENDING", "DELAYED_ZSET", until // SECOND * SECOND  # C7

    def let_go(self, task: Task, now: int) -> None:
        task.worker, task.lease_until, task.updated_at = "", 0, now

    # Producers: C1 to C8

    def create(
        self,
        command: str,
        payload: str,
        *,
        tenant: str,
        now: int,
        priority: int = 0,
        webhook: str = "",
        max_attempts: int = 0,
        idempotency_key: str = "",
        run_at: str = "",
        delay_seconds: int = 0,
    ) -> Task:
        run_time = read_time(run_at)  # C6: the checks in this order
        if delay_seconds < 0:
            raise Refusal("InvalidDelay")
        if not command.strip():
            raise Refusal("InvalidCommand")
        if webhook and not is_http(webhook):
            raise Refusal("InvalidWebhook")
        known = self.find_by_key(idempotency_key, now)
        if known is not None:
            return known
        attempts = max_attempts if max_attempts > 0 else self.settings.max_attempts_default  # C4
        clamped = min(max(priority, 0), 9)  # C5
        task = Task(self.ids.task_id(), command, payload, clamped, webhook, attempts, tenant, now, now)
        self.tasks.append(task)
        self.keys.append((idempotency_key, task.id, gone_at(self.profile, now, DAY_SECONDS)))
        visible = run_time if run_time is not None else now + delay_seconds * SECOND
        if visible > now:
            self.delay(task, visible)
            return task
        self.enqueue(task)
        ready = [t for t in self.queue(command, tenant, "PENDING_LIST") if t.priority == task.priority]
        if ready == [task]:  # U3
            for subscription in self.subscriptions.notices(command, now=now):
                if self.admit("webhook", subscription.url, now=now) == 0:  # L1
                    self.notices.append((subscription.id, command))
        return task

    def find_by_key(self, key: str, now: int) -> Task | None:
        """C8: the task that the key made last, if the key and the task are still there."""
        if not key.strip():
            return None
        uses = [(task_id, gone) for used, task_id, gone in self.keys if used == key]
        return self.find(uses[-1][0]) if uses and now // MILLISECOND < uses[-1][1] else None

    # Workers: K1 to K10, H1 to H4, D1, D2, N1 to N6

    def claim(
        self,
        commands: Sequence[str],
        *,
        worker: str,
        event_types: Sequence[str],
        tenant: str,
        now: int,
        lease_seconds: int = 0,
    ) -> Task | None:
        if commands and "*" not in event_types and not set(commands) <= set(event_types):
            raise Refusal("EventTypeNotAllowed")  # K1
        if not worker:
            raise Refusal("WorkerRequired")
        commands = commands or (BUILT_IN if "*" in event_types else event_types)
        for command in commands:  # K7: all repair comes before anything is taken
            for owner in dict.fromkeys(["", tenant]):
                self.move_due(command, owner, now)
            self.requeue_expired(command, tenant, now)
        for command in commands:
            waiting = self.queue(command, tenant, "PENDING_LIST")
            if waiting:
                task = max(waiting, key=lambda t: (t.priority, -t.place))  # K4
                self.lease(task, worker, lease_seconds, now)
                return copy(task)
        return None

    def claim_batch(
        self,
        commands: Sequence[str],
        count: int,
        *,
        worker: str,
        event_types: Sequence[str],
        tenant: str,
        now: int,
        lease_seconds: int = 0,
    ) -> list[Task]:
        claimed: list[Task] = []
        while len(claimed) < count:
            task = self.claim(
                commands, worker=worker, event_types=event_types, tenant=tenant, now=now, lease_seconds=lease_seconds
            )
            if task is None:
                break
            claimed.append(task)
        return claimed

    def lease(self, task: Task, worker: str, seconds: int, now: int) -> None:
        seconds = seconds if seconds > 0 else self.settings.default_lease_seconds  # K2
        task.status, task.location, task.worker = "IN_PROGRESS", "INPROG_SET", worker  # K5
        task.attempts += 1
        task.lease_until, task.updated_at = now + seconds * SECOND, now
        task.lease_gone_at = gone_at(self.profile, now, seconds)

    def move_due(self, command: str, tenant: str, now: int) -> None:
        delayed = self.queue(command, tenant, "DELAYED_ZSET")
        due = sorted((t for t in delayed if t.visible_at <= now), key=lambda t: (t.visible_at, t.id))
        for task in due[: self.settings.requeue_inspect_limit]:
            self.enqueue(task)
            self.let_go(task, now)

    def requeue_expired(self, command: str, tenant: str, now: int) -> None:
        leased = self.queue(command, tenant, "INPROG_SET")
        expired = sorted(
            (t for t in leased if ran_out(self.profile, t.lease_gone_at, now)), key=lambda t: (t.lease_gone_at, t.id)
        )
        for task in expired[: self.settings.requeue_inspect_limit]:
            self.give_up(task, self.backoff(task.attempts), "LEASE_EXPIRED", now)  # N5

    def held(self, task_id: str, worker: str) -> Task:
        task = self.get(task_id)
        if not task.worker or task.worker != worker:
            raise Refusal("NotOwner")  # H2
        return task

    def heartbeat(self, task_id: str, *, worker: str, now: int, extend_seconds: int = 0) -> None:
        task = self.held(task_id, worker)
        seconds = extend_seconds if extend_seconds > 0 else self.settings.default_lease_seconds
        task.lease_until, task.updated_at = now + seconds * SECOND, now  # H1
        if now // MILLISECOND < task.lease_gone_at:  # H3: a key that is gone is not revived
            task.lease_gone_at = gone_at(self.profile, now, seconds)

    def abandon(self, task_id: str, *, worker: str, now: int) -> None:
        task = self.held(task_id, worker)
        self.enqueue(task)  # D1
        self.let_go(task, now)

    def nack(
        self, task_id: str, *, worker: str, now: int, delay_seconds: int = 0, reason: str = ""
    ) -> tuple[bool, int]:
        if not worker:
            raise Refusal("WorkerRequired")  # A9
        task = self.held(task_id, worker)
        delay = delay_seconds if delay_seconds > 0 else self.backoff(task.attempts)  # N3
        return self.give_up(task, min(delay, self.settings.backoff_max_seconds), reason, now)

    def give_up(self, task: Task, delay: int, reason: str, now: int) -> tuple[bool, int]:
        """Dead or alive, and the delay."""
        task.attempts += 1  # N2
        self.let_go(task, now)
        if task.attempts >= task.max_attempts:
            task.status, task.location, task.error = "FAILED", "DLQ_SET", reason or "MAX_ATTEMPTS"  # N4
            return True, 0
        self.delay(task, now + delay * SECOND)
        return False, delay

    def backoff(self, attempts: int) -> int:
        base, most = self.settings.backoff_base_seconds, self.settings.backoff_max_seconds
        doubled = min(base << attempts, most)
        match self.settings.backoff_policy:  # N6
            case "fixed":
                return min(base, most)
            case "linear":
                return min(base * max(1, attempts), most)
            case "exponential":
                return doubled
            case "exp_equal_jitter":
                return doubled // 2 + self.jitter.between(0, doubled // 2)
            case _:
                return self.jitter.between(0, doubled)

    def expire_lease(self, task_id: str, *, now: int) -> Task:
        """Not part of the contract: the fake's control API ends a lease before its time."""
        task = self.get(task_id)
        if task.status != "IN_PROGRESS":
            raise Refusal("NotInProgress")
        task.lease_until, task.lease_gone_at = now, now // MILLISECOND
        return task

    def requeue(self, task_id: str, *, now: int) -> Task:
        """By hand, as is the deletion: to the end of the line, and if it has ended, as if it were new."""
        task = self.get(task_id)
        if task.location in ("NONE", "DLQ_SET"):
            task.attempts, task.error, task.has_result = 0, "", False
            self.records = [record for record in self.records if record.task_id != task_id]
        self.enqueue(task)
        self.let_go(task, now)
        return task

    def delete(self, task_id: str) -> None:
        self.tasks.remove(self.get(task_id))

    # Results: S1 to S8

    def submit(self, task_id: str, handed_in: HandedIn, *, worker: str, now: int) -> Record:
        task = self.get(task_id)
        check(task, handed_in, worker, handed_in.artifacts)
        artifacts = [(a.name, a.url) for a in handed_in.artifacts if a.url]
        artifacts += [(a.name, "") for a in handed_in.artifacts if a.content_base64 and not a.url]  # S5
        self.files += [(task_id, name) for name, url in artifacts if not url]
        record = self.end(task, handed_in, artifacts, now)
        if task.webhook:
            self.callbacks.append(Callback(record, task.webhook, task.command, due=now))  # W1
        return record

    def submit_batch(self, items: Sequence[tuple[str, HandedIn]], *, worker: str, now: int) -> list[Record | Refusal]:
        before = {task.id: copy(task) for task in self.tasks}
        together = all(task_id in before for task_id, _ in items)  # S6
        answers: list[Record | Refusal] = []
        for task_id, handed_in in items:
            try:
                if together:
                    check(before[task_id], handed_in, worker, artifacts=())
                    answers.append(self.end(self.get(task_id), handed_in, [], now))
                else:
                    answers.append(self.submit(task_id, handed_in, worker=worker, now=now))
            except Refusal as refusal:
                answers.append(refusal)
        return answers

    def end(self, task: Task, handed_in: HandedIn, artifacts: list[tuple[str, str]], now: int) -> Record:
        record = Record(task.id, handed_in.status, handed_in.result, handed_in.error, artifacts, now)
        self.records = [r for r in self.records if r.task_id != task.id] + [record]
        task.status, task.location, task.error, task.has_result = record.status, "NONE", record.error, True  # S4
        self.let_go(task, now)
        return record

    def result(self, task_id: str) -> tuple[Task, Record]:
        task = self.get(task_id)
        for record in self.records:
            if record.task_id == task_id:
                return task, record
        raise Refusal("ResultNotFound")

    # Callbacks: W1 to W4

    def start_callbacks(self, now: int) -> list[Callback]:
        """The tries that begin now, the longest due first."""
        started = []
        for callback in sorted((c for c in self.callbacks if c.due <= now), key=lambda c: c.due):
            wait = self.admit("webhook", callback.url, now=now)
            callback.due = now + wait * SECOND if wait else UNDER_WAY  # L1
            if not wait:
                callback.tries += 1
                started.append(callback)
        return started

    def callback_answered(self, callback: Callback, *, delivered: bool, now: int) -> None:
        if delivered or callback.tries == self.settings.result_webhook_max_attempts:
            self.callbacks.remove(callback)
        else:
            pause = min(
                self.settings.result_webhook_base_backoff_seconds << (callback.tries - 1),
                self.settings.result_webhook_max_backoff_seconds,
            )
            callback.due = now + pause * SECOND  # W3

    def next_due(self) -> int | None:
        sweep = self.subscriptions.next_sweep()
        dues = [callback.due for callback in self.callbacks if callback.due != UNDER_WAY]
        return min(dues if sweep is None else [*dues, sweep], default=None)

    # Administration and limits: M1 to M3, L1

    def stats(self, command: str, *, tenant: str) -> list[int]:
        queue = (command.lower(), tenant)
        places = [task.location for task in self.tasks if (task.command.lower(), task.tenant) == queue]
        return [places.count(place) for place in ("PENDING_LIST", "DELAYED_ZSET", "INPROG_SET", "DLQ_SET")]

    def cleanup(self, *, before: int, limit: int) -> int:
        old = [t for t in self.tasks if t.updated_at // SECOND + DAY_SECONDS <= before // SECOND]  # M3
        old = sorted(old, key=lambda t: (t.updated_at // SECOND, t.id))[: limit if limit > 0 else 1000]
        self.tasks = [t for t in self.tasks if t not in old]
        return len(old)

    def admit(self, scope: str, key: str, *, now: int) -> int:
        if scope not in self.settings.rate_limit:
            return 0
        a_minute, burst = self.settings.rate_limit[scope]
        tokens, then = self.buckets.get((scope, key), (Fraction(burst), now))
        tokens = min(Fraction(burst), tokens + Fraction((now - then) * a_minute, 60 * SECOND))  # L1
        self.buckets[scope, key] = (tokens - 1 if tokens >= 1 else tokens, now)
        return 0 if tokens >= 1 else max(1, ceil((1 - tokens) * 60 / a_minute))


def check(task: Task, handed_in: HandedIn, worker: str, artifacts: Sequence[Upload]) -> None:
    """S1: the checks in this order."""
    if task.worker and worker and task.worker != worker:  # A9: a worker without subject may end any task
        raise Refusal("NotOwner")
    if task.status != "IN_PROGRESS":
        raise Refusal("NotInProgress")
    if any("!" in a.content_base64 for a in artifacts if not a.url):
        raise Refusal("ArtifactUndecodable")
    if handed_in.status == "COMPLETED" and handed_in.result is None:
        raise Refusal("ResultRequired")
    if handed_in.status == "FAILED" and not handed_in.error.strip():
        raise Refusal("ErrorRequired")
    if handed_in.status not in ("COMPLETED", "FAILED"):
        raise Refusal("InvalidStatus")


def read_time(text: str) -> int | None:
    """Enough of C6 for the times that the tests draw: UTC with a fraction, or nonsense."""
    if text in ("", "0001-01-01T00:00:00Z"):
        return None
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal("InvalidRunAt") from None
    return int(moment.replace(microsecond=0).timestamp()) * SECOND + moment.microsecond * 1000
