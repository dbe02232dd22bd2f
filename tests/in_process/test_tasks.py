"""The handle FakeCodeQ and tasks: enqueued, looked at, their leases ended."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.control import ConflictError, UnknownTaskError
from codeq_fake.core import errors
from tests.in_process.support import CLAIM, TASKS

if TYPE_CHECKING:
    from codeq_fake.testing import FakeCodeQ


def test_enqueue_creates_a_task_as_a_producer_would(fake: FakeCodeQ) -> None:
    task = fake.enqueue(
        "A", {"ä": [1, 2.5, None]}, priority=12, webhook="http://app.test/", max_attempts=2, delay=60, tenant="acme"
    )
    assert (task.command, task.payload, task.status, task.location) == (
        "A",
        {"ä": [1, 2.5, None]},
        "PENDING",
        "DELAYED_ZSET",
    )
    assert (task.priority, task.attempts, task.max_attempts, task.tenant) == (9, 0, 2, "acme")
    assert (task.worker, task.lease_until, task.error, task.result) == (None, None, None, None)
    assert task.claimable == {"now": False, "reason": "it is delayed (C7)", "since": "2026-01-31T12:01:00Z"}
    assert [line["what"] for line in task.history] == ["created"]
    assert fake.task(task.id) == task


def test_a_task_is_enqueued_once_for_a_key_and_for_a_later_time(fake: FakeCodeQ) -> None:
    first = fake.enqueue("A", 1, idempotency_key="order-1", run_at="2026-01-31T13:00:00+01:00")
    assert fake.enqueue("A", 2, idempotency_key="order-1").id == first.id
    for run_at in ("2026-01-31T12:30:00Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)):
        later = fake.enqueue("A", run_at=run_at)
        assert later.claimable["since"] == "2026-01-31T12:30:00Z"
    assert fake.enqueue("A", delay=timedelta(hours=1)).claimable["since"] == "2026-01-31T13:00:00Z"
    assert fake.enqueue("A", delay="1h").claimable["since"] == "2026-01-31T13:00:00Z"


@pytest.mark.parametrize("payload", [None, False, 0, "", [], {}, "text", [1, {"a": "\u2028<"}]])
def test_a_payload_is_what_was_given(fake: FakeCodeQ, payload: Any) -> None:
    assert fake.enqueue("A", payload).payload == payload


@pytest.mark.parametrize(
    ("command", "payload", "fields", "why"),
    [
        (" ", None, {}, errors.InvalidCommand),
        ("A", None, {"webhook": "nowhere"}, errors.InvalidWebhook),
        ("A", None, {"delay": -1}, errors.InvalidDelay),
        ("A", None, {"delay": 0.5}, ValueError),
        ("A", None, {"delay": "soon"}, ValueError),
        ("A", None, {"run_at": "tomorrow"}, errors.InvalidRunAt),
        ("A", None, {"run_at": datetime(2026, 1, 31)}, ValueError),  # noqa: DTZ001 - on purpose
        ("A", None, {"run_at": "2026-01-31T12:30:00Z", "delay": 1}, TypeError),
        ("A", None, {"after": 1}, TypeError),
        ("A", float("nan"), {}, ValueError),
        ("A", object(), {}, TypeError),
    ],
)
def test_what_cannot_be_enqueued_changes_nothing(
    fake: FakeCodeQ, command: str, payload: object, fields: dict[str, Any], why: type[Exception]
) -> None:
    with pytest.raises(why):
        fake.enqueue(command, payload, **fields)
    assert fake.tasks() == []


def test_a_result_is_shown(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with fake.client() as http:
        claimed = http.post(CLAIM, json={"commands": ["A"], "leaseSeconds": 60}).json()
        held = fake.task(task.id)
        http.post(f"{TASKS}/{claimed['id']}/result", json={"status": "COMPLETED", "result": {"pages": 3}})
    assert (held.status, held.worker, held.lease_until) == ("IN_PROGRESS", "worker-dev", "2026-01-31T12:01:00Z")
    done = fake.task(task.id)
    assert (done.status, done.result, done.attempts) == ("COMPLETED", {"pages": 3}, 1)


def test_tasks_are_filtered_and_never_cut(fake: FakeCodeQ) -> None:
    for number in range(1002):
        fake.enqueue("A" if number else "B", tenant="acme" if number == 1 else "dev")
    assert len(fake.tasks()) == 1002
    assert [task.command for task in fake.tasks(command="b")] == ["B"]
    assert len(fake.tasks(tenant="acme")) == 1
    assert fake.tasks(status="COMPLETED") == []


def test_an_unknown_task_is_named(fake: FakeCodeQ) -> None:
    for look in (fake.task, fake.expire, fake.take):
        with pytest.raises(UnknownTaskError, match="no task unknown"):
            look("unknown")


def test_a_lease_can_be_ended(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with pytest.raises(ConflictError, match="not in progress"):
        fake.expire(task.id)
    with fake.client() as http:
        http.post(CLAIM, json={"commands": ["A"]})
        fake.next(delays=[0])
        fake.expire(task.id)
        http.post(CLAIM, json={"commands": ["A"]})
        assert http.post(CLAIM, json={"commands": ["A"]}).json()["attempts"] == 3


def test_a_task_can_be_taken_from_its_worker(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with pytest.raises(ConflictError, match="no lease to take away"):
        fake.take(task.id)
    with fake.client() as http:
        http.post(CLAIM, json={"commands": ["A"]})
        fake.take(task.id)
        assert http.post(f"/v1/codeq/tasks/{task.id}/heartbeat", json={}).status_code == 403


def test_enqueue_sends_notices_before_it_returns(fake: FakeCodeQ) -> None:  # U4
    with fake.client() as http:
        http.post(
            "/v1/codeq/workers/subscriptions", json={"callbackUrl": "http://203.0.113.1/", "eventTypes": ["A"]}
        ).raise_for_status()
    fake.enqueue("A")
    assert [(notice["kind"], notice["state"]) for notice in fake.callbacks] == [("queue_ready", "blocked")]

    async def in_a_coroutine() -> None:
        with pytest.raises(RuntimeError, match=r"would stop it: use .*aenqueue\(\)"):
            fake.enqueue("A", priority=1)

    asyncio.run(in_a_coroutine())
    assert len(fake.tasks()) == 1


def test_next_refuses_what_is_taken(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with pytest.raises(ConflictError, match="is taken"):
        fake.next(ids=[task.id])
    fake.next(ids=["a"])
    assert fake.enqueue("A").id == "a"


@pytest.mark.parametrize("option", ["webhook", "idempotency_key", "command", "tenant", "run_at"])
def test_an_option_that_is_no_text_is_refused_by_its_name(option: str, fake: FakeCodeQ) -> None:
    options: dict[str, Any] = {"command": "A", option: 5}
    with pytest.raises(TypeError, match=f"{option}: found 5, a text"):
        fake.enqueue(**options)
    assert fake.tasks() == []


@pytest.mark.parametrize("option", ["command", "tenant"])
def test_tasks_are_chosen_by_texts_only(option: str, fake: FakeCodeQ) -> None:
    chosen: dict[str, Any] = {option: 5}
    with pytest.raises(TypeError, match=f"{option}: found 5, a text belongs here"):
        fake.tasks(**chosen)
