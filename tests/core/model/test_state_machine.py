"""The broker does the same as the naive model, for any operations at any times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.core import ArtifactUpload, Submission
from tests.core.model.lockstep import Lockstep
from tests.core.model.store import DAY_SECONDS, MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hypothesis.strategies import SearchStrategy

    from tests.core.model.values import Task

T = TypeVar("T")

#: The steps of an example. Where one fails, those before it become as few as show that: the others are short waits.
STEPS = 40

WORKERS = {"w-1": ("*",), "w-2": ("A", "GENERATE_MASTER"), "": ("*",)}
DONE = Submission("COMPLETED", "{}")

#: How long before it is gone from the store a lease begins to count as run out, in milliseconds (K8).
EARLY = {"redis": 499, "kvrocks-2.8": 999, "kvrocks-2.9": 999}

commands = st.sampled_from([*["A"] * 5, "a", *["B"] * 3, "GENERATE_MASTER"])
tenants = st.sampled_from([*["acme"] * 8, "beta", ""])
workers = st.sampled_from([*["its own"] * 9, *WORKERS])
lease_seconds = st.sampled_from([1, 1, 2, 2, 30, 0, -1])
delay_seconds = st.sampled_from([1, 2, 7, 7, 0, -1])
luck = st.sampled_from([0, 0, 30, 100])
positions = st.integers(0, 9)

submissions = st.builds(
    Submission,
    status=st.sampled_from(["COMPLETED", "COMPLETED", "FAILED", "FAILED", "completed", ""]),
    result=st.sampled_from([None, "{}", '{"n":1}']),
    error=st.sampled_from(["", " ", "it broke"]),
    artifacts=st.lists(
        st.builds(
            ArtifactUpload,
            name=st.sampled_from(["a", "b"]),
            url=st.sampled_from(["", "", "http://files.test/a"]),
            content_base64=st.sampled_from(["", "aGk=", "aGk=", "!"]),
        ),
        max_size=2,
    ).map(tuple),
) | st.sampled_from([DONE, Submission("FAILED", error="it broke")])

#: Around an instant: just before, at, just after; a millisecond is what a store's time to live is counted in.
around = st.sampled_from([-MILLISECOND, -1, -1, 0, 0, 1, MILLISECOND])

#: Long and short, and to the places within a second where rounding turns.
waits = st.integers(0, 2500) | st.sampled_from([1, 40, 140, 360, 499, 500, 501, 639, 640, 641, 1000])


def step(steps: list[SearchStrategy[Any]], **arguments: SearchStrategy[Any]) -> Callable[[T], T]:
    """A decorator that adds a method, with arguments that are drawn, to the steps that an example may have."""

    def add(method: T) -> T:
        steps.append(st.builds(partial, st.just(method), **arguments))
        return method

    return add


def lists_of(steps: list[SearchStrategy[Any]]) -> SearchStrategy[list[Any]]:
    """Each step has the same chance. Hypothesis' own state machines switch most off in an example, and few succeed."""
    return st.lists(st.one_of(steps), min_size=STEPS, max_size=STEPS)


class Tasks:
    """Producers of several tenants, and workers that claim and settle."""

    steps: ClassVar[list[SearchStrategy[Any]]] = []

    def __init__(self, profile: str, policy: str, requeue_inspect_limit: int) -> None:
        self.pair = Lockstep(
            profile,
            backoff_policy=policy,
            backoff_base_seconds=1,
            backoff_max_seconds=5,
            requeue_inspect_limit=requeue_inspect_limit,
        )

    @step(steps, milliseconds=waits, nanoseconds=st.integers(0, MILLISECOND - 1))
    def wait(self, milliseconds: int, nanoseconds: int) -> None:
        self.pair.advance(milliseconds * MILLISECOND + nanoseconds)

    def held(self, position: int) -> str:
        """A task in progress. When there is none, mostly a new one, or else any task or one that does not exist."""
        if position > 2 and not self.in_progress():
            self.create_and_hold(count=1, tenant="acme", lease_seconds=2, max_attempts=0)
        return one_of(self.in_progress() or ["none", *self.pair.ids], position)

    def in_progress(self) -> list[str]:
        return [task.id for task in self.pair.model.tasks if task.worker]

    def worker_of(self, task: str, worker: str) -> str:
        found = self.pair.model.find(task)
        return worker if worker != "its own" else found.worker if found is not None and found.worker else "w-1"

    @step(
        steps,
        command=commands,
        tenant=tenants,
        priority=st.sampled_from([0, 0, 5, 9, 10, -1]),
        max_attempts=st.sampled_from([0, 1, 3, 9]),
        delay_seconds=st.sampled_from([0, 1, 1, 2]),
        idempotency_key=st.sampled_from(["", "", "", " ", "k"]),
    )
    def create(self, command: str, **request: Any) -> None:
        self.pair.create(command, **request)

    @step(steps, command=commands, milliseconds=st.integers(-1500, 2500))
    def create_for_a_time(self, command: str, milliseconds: int) -> None:
        self.pair.create(command, run_at=rfc3339(self.pair.now + milliseconds * MILLISECOND))

    @step(steps, nanoseconds=around)
    def create_again_when_the_key_ends(self, nanoseconds: int) -> None:
        ends = [gone * MILLISECOND + nanoseconds for key, _, gone in self.pair.model.keys if key == "k"]
        self.pair.advance_to_one_of(ends)
        self.pair.create("A", idempotency_key="k")

    @step(
        steps,
        count=st.integers(1, 3),
        tenant=tenants,
        lease_seconds=lease_seconds,
        max_attempts=st.sampled_from([0, 3, 9]),
    )
    def create_and_hold(self, count: int, tenant: str, lease_seconds: int, max_attempts: int) -> None:
        for _ in range(count):
            self.pair.create("A", tenant=tenant, priority=9, max_attempts=max_attempts)
        self.pair.claim_batch("A", count=count, tenant=tenant, lease_seconds=lease_seconds)

    @step(
        steps,
        wanted=st.lists(commands, max_size=3),
        worker=st.sampled_from([*WORKERS]),
        tenant=tenants,
        lease_seconds=lease_seconds,
        luck=luck,
    )
    def claim(self, wanted: Sequence[str], worker: str, luck: int, **request: Any) -> None:
        self.pair.fate.luck = luck
        self.pair.do("claim", wanted, worker=worker, event_types=WORKERS[worker], **request)

    @step(
        steps,
        wanted=st.lists(commands, min_size=1, max_size=2),
        count=st.integers(1, 4),
        tenant=tenants,
        lease_seconds=lease_seconds,
        luck=luck,
    )
    def claim_batch(self, wanted: Sequence[str], luck: int, **request: Any) -> None:
        self.pair.fate.luck = luck
        self.pair.claim_batch(*wanted, **request)

    @step(steps, position=positions, gone=st.booleans(), nanoseconds=around, luck=luck)
    def claim_when_a_lease_ends(self, position: int, *, gone: bool, nanoseconds: int, luck: int) -> None:
        found = self.pair.model.find(self.held(position))
        if found is not None:
            self.pair.advance_to_one_of([self.end_of_lease(found, gone=gone) + nanoseconds])
            self.pair.fate.luck = luck
            self.pair.claim(found.command, tenant=found.tenant, lease_seconds=2)

    @step(steps, position=positions, gone=st.booleans(), nanoseconds=around, extend_seconds=lease_seconds)
    def heartbeat_when_a_lease_ends(self, position: int, *, gone: bool, nanoseconds: int, extend_seconds: int) -> None:
        found = self.pair.model.find(self.held(position))
        if found is not None:
            self.pair.advance_to_one_of([self.end_of_lease(found, gone=gone) + nanoseconds])
            self.pair.do("heartbeat", found.id, worker=found.worker, extend_seconds=extend_seconds)

    def end_of_lease(self, task: Task, *, gone: bool) -> int:
        return (task.lease_gone_at - (0 if gone else EARLY[self.pair.profile.name])) * MILLISECOND

    @step(steps, position=positions, nanoseconds=around)
    def claim_when_a_delay_ends(self, position: int, nanoseconds: int) -> None:
        delayed = [task for task in self.pair.model.tasks if task.visible_at]
        if delayed:
            task = one_of(delayed, position)
            self.pair.advance_to_one_of([task.visible_at + nanoseconds])
            self.pair.claim(task.command, tenant=task.tenant)

    @step(steps, position=positions, worker=workers, extend_seconds=lease_seconds)
    def heartbeat(self, position: int, worker: str, extend_seconds: int) -> None:
        task = self.held(position)
        self.pair.do("heartbeat", task, worker=self.worker_of(task, worker), extend_seconds=extend_seconds)

    @step(steps, position=positions, worker=workers)
    def abandon(self, position: int, worker: str) -> None:
        task = self.held(position)
        self.pair.do("abandon", task, worker=self.worker_of(task, worker))

    @step(
        steps,
        position=positions,
        worker=workers,
        delay_seconds=delay_seconds,
        reason=st.sampled_from(["", " ", "boom"]),
        luck=luck,
    )
    def nack(self, position: int, worker: str, luck: int, **request: Any) -> None:
        task = self.held(position)
        self.pair.fate.luck = luck
        self.pair.do("nack", task, worker=self.worker_of(task, worker), **request)

    @step(steps, position=positions, worker=workers, submission=submissions)
    def submit(self, position: int, worker: str, submission: Submission) -> None:
        task = self.held(position)
        self.pair.do("submit", task, submission, worker=self.worker_of(task, worker))

    @step(steps, items=st.lists(st.tuples(positions, submissions), min_size=1, max_size=4), unknown=st.booleans())
    def submit_batch(self, items: Sequence[tuple[int, Submission]], *, unknown: bool) -> None:
        results = [(self.held(position), submission) for position, submission in items]
        self.pair.do("submit_batch", [*results, ("none", DONE)] if unknown else results, worker="w-1")

    @step(steps, position=positions)
    def handle_one_that_nobody_holds(self, position: int) -> None:
        task = one_of(["none", *self.pair.ids], position)
        self.pair.do("nack", task, worker="w-1")
        self.pair.do("submit", task, DONE, worker="w-2")
        self.pair.expire_lease(task)

    @step(steps, position=positions, nanoseconds=around, limit=st.sampled_from([0, 1, 2]))
    def clean_up_when_a_retention_ends(self, position: int, nanoseconds: int, limit: int) -> None:
        if self.pair.model.tasks:
            touched = one_of(self.pair.model.tasks, position).updated_at // SECOND * SECOND
            self.pair.clean_up(before=touched + DAY_SECONDS * SECOND + nanoseconds, limit=limit)

    @step(steps, position=positions)
    def requeue_by_hand(self, position: int) -> None:
        self.pair.requeue(one_of(["none", *self.pair.ids], position))

    @step(steps, position=positions)
    def delete_by_hand(self, position: int) -> None:
        self.pair.delete(one_of(["none", *self.pair.ids], position))

    @step(steps)
    def restore(self) -> None:
        self.pair.restore()


class Deliveries:
    """Subscribers, and producers that want to be called back."""

    steps: ClassVar[list[SearchStrategy[Any]]] = []
    urls = st.sampled_from(["http://hooks.test/a", "https://hooks.test/b"])
    watched = st.sampled_from([*["A"] * 4, "a", "B", "GENERATE_MASTER"])

    def __init__(self, profile: str, result_webhook_max_attempts: int, rate_limit: dict[str, tuple[int, int]]) -> None:
        self.subscriptions = ["none"]
        self.pair = Lockstep(
            profile,
            rate_limit=rate_limit,
            result_webhook_max_attempts=result_webhook_max_attempts,
            result_webhook_max_backoff_seconds=5,
        )

    @step(steps, milliseconds=waits)
    def wait(self, milliseconds: int) -> None:
        self.pair.advance(milliseconds * MILLISECOND)

    @step(
        steps,
        count=st.integers(1, 3),
        url=urls,
        event_types=st.lists(watched, max_size=2),
        ttl_seconds=st.sampled_from([0, 1, 2, 60, 60]),
        delivery_mode=st.sampled_from(["", "fanout", *["group"] * 3, *["hash"] * 3]),
        group_id=st.sampled_from(["g", "g", "h"]),
        min_interval_seconds=st.sampled_from([1, 2, 0, -1]),
    )
    def subscribe(self, count: int, url: str, **request: Any) -> None:
        """Several alike, a little apart: those that expire within a second of each other are ordered by id (U6)."""
        for _ in range(count):
            self.subscriptions.append(self.pair.do("subscribe", url, **request)[0])
            self.pair.advance(30 * MILLISECOND)

    @step(
        steps,
        url=st.sampled_from(["http://hooks.test/", "hooks.test", "ftp://hooks.test/"]),
        delivery_mode=st.sampled_from(["group", "Group"]),
    )
    def subscribe_wrongly(self, url: str, delivery_mode: str) -> None:
        self.pair.do("subscribe", url, delivery_mode=delivery_mode)

    @step(steps, position=positions, ttl_seconds=st.sampled_from([0, 1, 60]))
    def renew(self, position: int, ttl_seconds: int) -> None:
        self.pair.do("renew_subscription", one_of(self.subscriptions, position), ttl_seconds=ttl_seconds)

    @step(steps, command=watched, priority=st.sampled_from([0, 0, 1]), delay_seconds=st.sampled_from([0, 0, 0, 1]))
    def create(self, command: str, **request: Any) -> None:
        self.pair.create(command, **request)

    @step(steps, command=watched, position=positions, nanoseconds=around)
    def create_at_an_edge(self, command: str, position: int, nanoseconds: int) -> None:
        """Into an empty queue, when a subscription or its throttle ends (U5, U9)."""
        self.pair.advance_to_one_of([edge + nanoseconds for edge in self.edges()], position)
        self.pair.create(command, tenant=f"t-{position}-{self.pair.now}")

    @step(steps, command=watched)
    def claim(self, command: str) -> None:
        self.pair.claim(command)

    @step(steps, url=urls, submission=submissions)
    def finish_a_task(self, url: str, submission: Submission) -> None:
        task = self.pair.create("B", priority=9, webhook=url)
        self.pair.claim("B")
        self.pair.do("submit", task, submission, worker="w-1")

    @step(steps, url=urls)
    def finish_a_task_in_a_batch(self, url: str) -> None:
        task = self.pair.create("B", priority=9, webhook=url)
        self.pair.claim("B")
        self.pair.do("submit_batch", [(task, DONE)], worker="w-1")

    @step(steps, position=positions, delivered=st.booleans())
    def answer_a_callback(self, position: int, *, delivered: bool) -> None:
        if self.pair.under_way:
            self.pair.answer_callback(position, delivered=delivered)

    @step(steps, scope=st.sampled_from(["worker", "worker", "admin"]), token=st.sampled_from(["t", "u"]))
    def pass_the_rate_limit(self, scope: str, token: str) -> None:
        self.pair.admit(scope, token)

    @step(steps)
    def restore(self) -> None:
        if not self.pair.under_way:
            self.pair.restore()

    @step(steps, seconds=st.sampled_from([7, 60, 300]))
    def wait_long(self, seconds: int) -> None:
        self.pair.advance(seconds * SECOND)

    def edges(self) -> Iterable[int]:
        for subscription in self.pair.model.subscriptions.all:
            yield subscription.expires_at
            yield subscription.throttle_gone_at * MILLISECOND


def one_of(candidates: Sequence[T], position: int) -> T:
    return candidates[position % len(candidates)]


def rfc3339(instant: int) -> str:
    """To the microsecond, rounded down."""
    moment = datetime.fromtimestamp(instant // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{instant % SECOND // 1000:06}Z"


@pytest.mark.slow(seconds=5)
@settings(max_examples=60)
@given(
    tasks=st.builds(
        Tasks,
        profile=st.sampled_from([*EARLY]),
        policy=st.sampled_from(["fixed", "linear", "exponential", "exp_equal_jitter", "exp_full_jitter", "bogus"]),
        requeue_inspect_limit=st.sampled_from([1, 200]),
    ),
    steps=lists_of(Tasks.steps),
)
def test_tasks_live_as_in_the_model(tasks: Tasks, steps: list[Callable[[Tasks], None]]) -> None:
    for take in steps:
        take(tasks)


@pytest.mark.slow(seconds=5)
@settings(max_examples=40)
@given(
    deliveries=st.builds(
        Deliveries,
        profile=st.sampled_from([*EARLY]),
        result_webhook_max_attempts=st.sampled_from([2, 5]),
        rate_limit=st.sampled_from([{}, {}, {"worker": (30, 3), "webhook": (60, 1)}]),
    ),
    steps=lists_of(Deliveries.steps),
)
def test_notices_and_callbacks_go_out_as_in_the_model(
    deliveries: Deliveries, steps: list[Callable[[Deliveries], None]]
) -> None:
    for take in steps:
        take(deliveries)
