"""A test that plays a worker: it claims and settles tasks in one line each, in blocking code and in coroutines."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.faults import FaultNotMetWarning, refuse
from codeq_fake.testing import FakeCodeQ, Refused, TaskView
from tests.in_process.support import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx


def claimed(fake: FakeCodeQ, **options: Any) -> TaskView:
    task = fake.claim(**options)
    assert task is not None
    return task


def test_a_task_is_claimed_and_completed(fake: FakeCodeQ) -> None:
    fake.enqueue("RENDER", {"job": 1}, webhook="http://203.0.113.1/done")
    task = claimed(fake, lease="2m")
    assert (task.status, task.payload, task.worker) == ("IN_PROGRESS", {"job": 1}, "worker-dev")
    assert task.lease_until == "2026-01-31T12:02:00Z"
    done = fake.complete(task, {"pages": 3})
    assert (done.status, done.result) == ("COMPLETED", {"pages": 3})
    fake.advance(0)
    assert [callback["taskId"] for callback in fake.callbacks] == [task.id]


SETTLEMENTS: dict[str, tuple[Callable[[FakeCodeQ, TaskView], TaskView], tuple[Any, ...]]] = {
    "complete": (lambda fake, task: fake.complete(task), ("COMPLETED", "NONE", 1, None, None)),
    "fail": (lambda fake, task: fake.fail(task, "no ink"), ("FAILED", "NONE", 1, None, "no ink")),
    "nack": (lambda fake, task: fake.nack(task, delay="1m", reason="?"), ("PENDING", "DELAYED_ZSET", 2, None, None)),
    "abandon": (lambda fake, task: fake.abandon(task), ("PENDING", "PENDING_LIST", 1, None, None)),
    "heartbeat": (
        lambda fake, task: fake.heartbeat(task, extend=timedelta(minutes=10)),
        ("IN_PROGRESS", "INPROG_SET", 1, "2026-01-31T12:10:00Z", None),
    ),
}


@pytest.mark.parametrize("name", SETTLEMENTS)
def test_each_way_to_settle_a_task_does_the_same_in_blocking_code_and_in_a_coroutine(
    fake: FakeCodeQ, name: str
) -> None:
    settle, after = SETTLEMENTS[name]

    async def in_a_coroutine(fake: FakeCodeQ) -> TaskView:
        return settle(fake, claimed(fake))

    other = FakeCodeQ(now=NOW, profile="redis")
    other.enqueue("A")
    fake.enqueue("A")
    for task in (settle(fake, claimed(fake)), asyncio.run(in_a_coroutine(other))):
        assert (task.status, task.location, task.attempts, task.lease_until, task.error) == after


def test_commands_are_those_given_or_all_of_the_tenant(fake: FakeCodeQ) -> None:
    assert fake.claim() is None
    for command in ("A", "B", "C"):
        fake.enqueue(command)
    fake.enqueue("D", tenant="acme")
    assert fake.claim("none") is None
    assert [task.command if (task := fake.claim(*names)) else None for names in (("C", "B"), (), (), ())] == [
        "C",
        "A",
        "B",
        None,
    ]
    assert claimed(fake, tenant="acme").command == "D"


def test_two_workers_are_told_apart(fake: FakeCodeQ) -> None:
    fake.enqueue("A")
    lost = claimed(fake, worker="w-1", lease=60)
    fake.next(delays=[0])
    fake.advance("1m")
    assert fake.claim() is None  # it finds the lease over
    kept = claimed(fake, worker="w-2")
    assert kept.id == lost.id
    with pytest.raises(Refused, match=r"Another worker holds the task, or none does \(H2, N1, S1\)"):
        fake.complete(lost)
    assert fake.complete(kept.id).status == "COMPLETED"


def test_a_worker_is_one_of_the_identities() -> None:
    claims = {"eventTypes": ["*"], "scope": "codeq:claim", "tenantId": "acme"}
    identities = {name: {"kind": "worker", "claims": {"sub": f"{name}@acme", **claims}} for name in ("w1", "w2")}
    with FakeCodeQ(identities=identities) as fake:
        fake.enqueue("A", tenant="acme")
        task = claimed(fake)
        assert task.worker == "w1@acme"
        fake.abandon(task)
        assert claimed(fake, worker="w2").worker == "w2@acme"


def test_what_a_test_does_is_no_request_and_no_fault_comes_on_it(fake: FakeCodeQ) -> None:
    fake.enqueue("A")
    with pytest.warns(FaultNotMetWarning), fake.faults(refuse()):
        fake.complete(claimed(fake))
    assert fake.requests == []


def test_artifacts_are_kept(fake: FakeCodeQ) -> None:
    fake.enqueue("A")
    done = fake.complete(claimed(fake), artifacts=[{"name": "a.txt", "url": "http://files.test/a.txt"}])
    assert fake.state()["broker"]["tasks"][0]["id"] == done.id
    with fake.client() as http:
        (artifact,) = http.get(f"/v1/codeq/tasks/{done.id}/result").json()["result"]["artifacts"]
    assert artifact == {"name": "a.txt", "url": "http://files.test/a.txt"}


def test_what_is_no_task_is_named(fake: FakeCodeQ) -> None:
    task: Any = fake.claim()
    with pytest.raises(TypeError, match=r"claim\(\) returns None if no task is ready"):
        fake.complete(task)
    with pytest.raises(Refused, match="No task has this id"):
        fake.complete("none")
    with pytest.raises(Refused, match="The task is not in progress"):
        fake.complete(fake.enqueue("A"))
    with pytest.raises(ValueError, match="whole number of seconds"):
        fake.claim(lease=1.5)


def test_an_argument_of_the_wrong_type_is_refused_and_changes_nothing(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    wrong: Any = 5
    for name in ("worker", "tenant"):
        with pytest.raises(TypeError, match=f"{name}: found 5, a text belongs here"):
            fake.claim("A", **{name: wrong})
        with pytest.raises(TypeError, match=f"{name}: found 5, a text belongs here"):
            asyncio.run(fake.aclaim("A", **{name: wrong}))
    with pytest.raises(TypeError, match="found True where a duration belongs"):
        fake.claim("A", lease=True)
    assert fake.task(task.id).status == "PENDING"
    held = claimed(fake)
    for settle in (fake.complete, fake.nack, fake.abandon, fake.heartbeat, partial(fake.fail, error="no ink")):
        with pytest.raises(TypeError, match="worker: found 5, a text belongs here"):
            settle(held, worker=wrong)
    assert fake.task(task.id).status == "IN_PROGRESS"


@pytest.mark.asyncio
@pytest.mark.codeq(clock="auto", now=NOW)
async def test_a_coroutine_waits_for_a_task(codeq: FakeCodeQ) -> None:
    codeq.enqueue("A", delay=20)
    assert await codeq.aclaim("A", wait=10) is None
    task = await codeq.aclaim("A", wait="30s")
    assert task is not None
    assert codeq.now == "2026-01-31T12:00:20Z"
    codeq.complete(task)


@pytest.mark.asyncio
async def test_a_coroutine_enqueues_while_there_are_subscriptions() -> None:
    fake = FakeCodeQ(now=NOW)
    async with fake.async_client() as http:
        await subscribe(http)
        task = await fake.aenqueue("A", delay=0, idempotency_key="k")
    assert [(notice["kind"], notice["state"]) for notice in fake.callbacks] == [("queue_ready", "blocked")]
    assert fake.task(task.id).status == "PENDING"


async def subscribe(http: httpx.AsyncClient) -> None:
    wanted = {"callbackUrl": "http://203.0.113.1/", "eventTypes": ["A"]}
    (await http.post("/v1/codeq/workers/subscriptions", json=wanted)).raise_for_status()
