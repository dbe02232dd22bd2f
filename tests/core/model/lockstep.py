"""The broker and the naive model side by side: the same operations at the same instants, and all results compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial, singledispatch
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from codeq_fake import core
from codeq_fake.core import manual_operations, saved_state
from codeq_fake.core.slices import at_once
from tests.core.model import values as model_values
from tests.core.model.broker import Model
from tests.core.model.store import BUILT_IN, MILLISECOND, SECOND
from tests.core.model.subscriptions import Subscription
from tests.core.support import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Operation = Callable[..., Any]

#: 2026-11-24T06:14:51.860Z: neither on a second nor on a minute.
START = 1_795_500_891_860_000_000

#: What a task shows, on both sides.
TASK_FIELDS = (
    *("id", "command", "payload", "priority", "webhook", "status", "location", "worker", "attempts", "max_attempts"),
    *("error", "tenant", "created_at", "updated_at", "lease_until", "visible_at"),
)
_fields = attrgetter(*TASK_FIELDS)


class Fate:
    """The ids and the jitter of both sides, set for each operation, so that neither uses up those of the other."""

    def __init__(self) -> None:
        self.operation = 0
        self.luck = 0  # percent of a jittered delay's range

    def task_id(self) -> str:
        """A different one for each operation, and in no order: ties among delayed tasks sort by id."""
        return f"{self.operation * 61_803 % 99_991:05}"

    subscription_id = task_id

    def trace_id(self) -> str:
        return "a" * 32

    def span_id(self) -> str:
        return "b" * 16

    def between(self, low: int, high: int) -> int:
        return low + (high - low) * self.luck // 100


def read(part: Any) -> Any:
    """A JSON value without iterators."""
    if isinstance(part, dict):
        return {name: read(value) for name, value in part.items()}
    return [item for item in part if item is not None] if isinstance(part, Iterator) else part


class Lockstep:
    """Runs operations on a broker and on a model, and asserts that they answer the same and then are the same."""

    def __init__(
        self, profile: str = "redis", *, rate_limit: Mapping[str, tuple[int, int]] | None = None, **settings: Any
    ) -> None:
        self.now = START
        self.fate = Fate()
        rate_limit = rate_limit or {}
        limits = {scope: core.RateLimit(*limit) for scope, limit in rate_limit.items()}
        self.settings = core.CoreSettings(**settings, rate_limit=limits)
        self.profile = core.PROFILES[profile]
        self.broker = self.new_broker()
        model_settings = model_values.Settings(**settings, rate_limit=rate_limit)
        self.model = Model(profile, model_settings, ids=self.fate, jitter=self.fate, now=self.now)
        self.ids: list[str] = []  # of every task ever made
        self.queues: set[tuple[str, str]] = set()  # command and tenant of every task ever made
        self.under_way: list[tuple[core.effects.CallbackDue, model_values.Callback]] = []

    def new_broker(self) -> core.Broker:
        return core.Broker(settings=self.settings, profile=self.profile, ids=self.fate, jitter=self.fate, now=START)

    def do(self, operation: str, *arguments: Any, **named: Any) -> Any:
        """Do it on both sides now; returns what it came to, in plain values, a refusal being its name."""
        ours, models = (partial(getattr(side, operation), now=self.now) for side in (self.broker, self.model))
        return self._both(ours, models, arguments, named)

    def expire_lease(self, task: str) -> None:
        """End a task's lease by hand."""
        ours = partial(manual_operations.expire_lease, self.broker, now=self.now)
        self._both(ours, partial(self.model.expire_lease, now=self.now), (task,), {})

    def requeue(self, task: str) -> None:
        """Requeue a task by hand."""
        ours = partial(manual_operations.requeue, self.broker, now=self.now)
        self._both(ours, partial(self.model.requeue, now=self.now), (task,), {})

    def delete(self, task: str) -> None:
        """Delete a task by hand."""
        self._both(partial(manual_operations.delete, self.broker), self.model.delete, (task,), {})

    def _both(self, ours: Operation, models: Operation, arguments: Iterable[Any], named: Mapping[str, Any]) -> Any:
        self.fate.operation += 1
        before, frozen = saved_state.dump(self.broker), saved_state.begin_dump(self.broker)
        first = list(itertools.islice(frozen["tasks"], self.fate.operation % 3))
        answer = outcome(ours, *arguments, **named)
        assert read({**frozen, "tasks": itertools.chain(first, frozen["tasks"])}) == before, "it is of one instant"
        if isinstance(answer, str):
            assert saved_state.dump(self.broker) == before, "a refused operation changes nothing"
        assert answer == outcome(models, *arguments, **named), ours
        self.compare()
        return answer

    def create(self, command: str, *, tenant: str = "acme", **request: Any) -> str:
        """The id of the task that this good request makes, or that its idempotency key has made before."""
        task = self.do("create", command, "{}", tenant=tenant, **request)
        if task["id"] not in self.ids:
            self.ids.append(task["id"])
            self.queues.add((command, tenant))
            self.compare()
        return str(task["id"])

    def claim(self, *commands: str, worker: str = "w-1", tenant: str = "acme", lease_seconds: int = 0) -> Any:
        return self.do("claim", commands, worker=worker, event_types=("*",), tenant=tenant, lease_seconds=lease_seconds)

    def claim_batch(self, *commands: str, count: int, tenant: str = "acme", lease_seconds: int = 0) -> Any:
        return self.do(
            "claim_batch",
            commands,
            count,
            worker="w-1",
            event_types=("*",),
            tenant=tenant,
            lease_seconds=lease_seconds,
        )

    def clean_up(self, *, before: int, limit: int = 0) -> int:
        ours = at_once(self.broker.cleanup(before=before, limit=limit))
        assert ours == self.model.cleanup(before=before, limit=limit)
        self.compare()
        return ours

    def admit(self, scope: str, key: str) -> int:
        ours = self.broker.admit(scope, key, "operation", now=self.now)
        assert ours == self.model.admit(scope, key, now=self.now)
        return ours

    def answer_callback(self, position: int, *, delivered: bool) -> None:
        """One of the callbacks being tried is answered."""
        due, callback = self.under_way.pop(position % len(self.under_way))
        self.broker.callback_answered(due.delivery_id, delivered=delivered, now=self.now)
        self.model.callback_answered(callback, delivered=delivered, now=self.now)
        self.compare()

    def restore(self) -> None:
        """Go on with another broker, to which the state of this one was handed as JSON."""
        state = saved_state.dump(self.broker)
        self.broker = self.new_broker()
        load(self.broker, state)
        assert saved_state.dump(self.broker) == state
        self.compare()

    def advance(self, nanoseconds: int) -> None:
        """Let time pass; what falls due on the way happens when it is due."""
        then = self.now + nanoseconds
        while (due := self.broker.next_due()) is not None and due <= then:
            assert due > self.now or self.model.next_due() == due, "what is due has been done"
            self.now = due
            self.fire()
        self.now = then
        self.fire()

    def advance_to_one_of(self, instants: Iterable[int], position: int = 0) -> None:
        """The first of them, or a later one, that is not over; if there is any."""
        ahead = sorted(instant for instant in instants if instant > self.now)
        if ahead:
            self.advance(ahead[position % len(ahead)] - self.now)

    def fire(self) -> None:
        self.broker.fire(now=self.now)
        self.model.subscriptions.sweep(self.now)
        self.compare()

    def compare(self) -> None:
        """Every task, record, queue, subscription and effect, and what is due next."""
        self.compare_effects()
        for task_id in self.ids:
            assert outcome(self.broker.get, task_id) == outcome(self.model.get, task_id)
            assert outcome(self.broker.result, task_id) == outcome(self.model.result, task_id)
        for command, tenant in self.queues:
            stats = self.broker.queue_stats(command, tenant=tenant)
            ours = [stats.ready, stats.delayed, stats.in_progress, stats.dead]
            assert ours == self.model.stats(command, tenant=tenant)
            queue = self.broker.store.queues.get((tenant, command.lower()))
            lists = queue.pending.values() if queue is not None else ()
            waiting = [task.id for ready in lists for _, task in ready.items() if task is not None]
            expected = sorted(self.model.queue(command, tenant, "PENDING_LIST"), key=lambda t: -t.priority)
            assert waiting == [task.id for task in expected]
        sizes = self.broker.queue_sizes()
        for command in BUILT_IN:
            assert sum(size for key, size in sizes.items() if key.startswith(f"codeq:q:{command.lower()}:")) == sum(
                self.model.stats(command, tenant="")
            )
        assert {s.id: s.expires_at for s in self.broker.subscriptions.by_id.values()} == {
            s.id: s.expires_at for s in self.model.subscriptions.all
        }
        assert self.broker.next_due() == self.model.next_due()

    def compare_effects(self) -> None:
        effects = list(self.broker.drain_effects())
        notices = [(e.subscription_id, e.command) for e in effects if isinstance(e, core.effects.NoticeDue)]
        assert notices == self.model.notices
        files = [tuple(e.path.split("/")[-2:]) for e in effects if isinstance(e, core.effects.ArtifactStored)]
        assert files == self.model.files
        tries = [e for e in effects if isinstance(e, core.effects.CallbackDue)]
        expected = self.model.start_callbacks(self.now)
        assert [plain(e) for e in tries] == [plain(callback) for callback in expected]
        self.under_way += zip(tries, expected, strict=True)
        self.model.notices, self.model.files = [], []


def outcome(operation: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What the operation returns, in plain values, or the name of its refusal."""
    try:
        return plain(operation(*arguments, **named))
    except (core.errors.Refused, model_values.Refusal) as refusal:
        return plain(refusal)


@singledispatch
def plain(value: Any) -> Any:
    """What a value of the broker or of the model says, so that the two can be compared."""
    return value


@plain.register
def _(task: core.Task) -> dict[str, Any]:
    has_result, lease_gone_at = task.record is not None, task.lease_expiry // MILLISECOND
    return shown(task) | {"touched_at": task.touched_at, "lease_gone_at": lease_gone_at, "has_result": has_result}


@plain.register
def _(task: model_values.Task) -> dict[str, Any]:
    lease_gone_at = task.lease_gone_at if task.worker else 0
    moved = {"touched_at": task.updated_at, "lease_gone_at": lease_gone_at}  # M3: an update is a touch
    return shown(task) | moved | {"has_result": task.has_result}


def shown(task: core.Task | model_values.Task) -> dict[str, Any]:
    return dict(zip(TASK_FIELDS, _fields(task), strict=True)) | {"lease_until": task.lease_until // SECOND}


@plain.register
def _(record: core.Record) -> list[Any]:
    artifacts = [(a.name, "" if a.url.startswith("file://") else a.url) for a in record.artifacts]
    return [record.task_id, record.status, record.result, record.error, artifacts, record.completed_at]


@plain.register
def _(record: model_values.Record) -> list[Any]:
    return [record.task_id, record.status, record.result, record.error, record.artifacts, record.completed_at]


@plain.register
def _(due: core.effects.CallbackDue) -> list[Any]:
    record = core.Record(due.task_id, due.status, due.result, due.error, due.artifacts or (), due.completed_at)
    return [due.attempt, due.url, due.command, plain(record)]


@plain.register
def _(callback: model_values.Callback) -> list[Any]:
    return [callback.tries, callback.url, callback.command, plain(callback.record)]


@plain.register(core.Subscription)
@plain.register(Subscription)
def _(subscription: core.Subscription | Subscription) -> list[Any]:
    return [subscription.id, subscription.expires_at]


@plain.register
def _(nacked: core.NackOutcome) -> list[Any]:
    return [nacked.dead, nacked.delay_seconds]


@plain.register
def _(refusal: core.errors.Refused) -> str:
    return type(refusal).__name__


@plain.register
def _(refusal: model_values.Refusal) -> str:
    return refusal.kind


@plain.register(list)
@plain.register(tuple)
def _(values: Sequence[Any]) -> list[Any]:
    return [plain(value) for value in values]
