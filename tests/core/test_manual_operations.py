"""Manual operations: a task in any state is requeued or deleted, or its callback is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.core import Location, QueueStats, State, errors, manual_operations, races
from tests.core.support import DONE, FAILED, HOOK, START, Server

if TYPE_CHECKING:
    from collections.abc import Callable

STATES = [state.name for state in State]


def server_with(state: str) -> Server:
    """A server whose one task, `task-001`, is in this state, as a worker brought it there."""
    server = Server(backoff_policy="fixed")
    server.create(webhook=HOOK, max_attempts=1 if state == "DEAD" else 5, delay_seconds=60 if state == "DELAYED" else 0)
    if state == "UNLEASED":
        with pytest.raises(errors.LeaseRefused):
            server.claim(lease_seconds=9_223_372_037)
    elif state not in ("READY", "DELAYED"):
        held = server.leased()
        if state == "DEAD":
            server.broker.nack(held.id, worker="w-1", reason="torn", now=server.now)
        elif state == "LOST":
            races.lose_task(server.broker, held.id, now=server.now)
        elif state != "LEASED":
            server.submit(held, DONE if state == "COMPLETED" else FAILED)
    server.effects()
    server.wait(1)
    return server


@pytest.mark.parametrize("state", STATES)
def test_a_requeued_task_is_ready_at_once_wherever_it_was(state: str) -> None:
    server = server_with(state)
    task = manual_operations.requeue(server.broker, "task-001", now=server.now)
    assert (task.state, task.worker, task.lease_until, task.visible_at) == (State.READY, "", 0, 0)
    assert (task.updated_at, task.touched_at) == (server.now, server.now)
    assert task.history[-1] == (server.now, "requeued by hand", "", State[state], State.READY)
    assert server.broker.queue_stats("A", tenant="acme") == QueueStats(ready=1)
    assert server.leased() is task
    assert server.claim() is None


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "DEAD"])
def test_a_task_that_has_ended_starts_again(state: str) -> None:
    server = server_with(state)
    task = manual_operations.requeue(server.broker, "task-001", now=server.now)
    assert (task.attempts, task.error, task.record) == (0, "", None)
    server.submit(server.leased(), DONE)
    assert task.state is State.COMPLETED


@pytest.mark.parametrize(("state", "attempts"), [("READY", 0), ("DELAYED", 0), ("LEASED", 1), ("LOST", 1)])
def test_a_task_that_lives_keeps_its_attempts(state: str, attempts: int) -> None:
    server = server_with(state)
    assert manual_operations.requeue(server.broker, "task-001", now=server.now).attempts == attempts


def test_a_requeued_task_goes_to_the_tail_of_its_priority() -> None:
    server = Server()
    for priority in (3, 3, 0):
        server.create(priority=priority)
    manual_operations.requeue(server.broker, "task-001", now=server.now)
    assert [server.leased().id for _ in range(3)] == ["task-002", "task-001", "task-003"]


def test_the_worker_of_a_requeued_task_loses_it() -> None:
    server = server_with("LEASED")
    task = manual_operations.requeue(server.broker, "task-001", now=server.now)
    with pytest.raises(errors.NotInProgress):
        server.submit(task)
    server.wait(3600)
    assert server.leased().attempts == 2  # not repaired: the lease is gone


def test_a_requeue_sends_no_notice() -> None:
    server = server_with("COMPLETED")
    server.subscribe()
    manual_operations.requeue(server.broker, "task-001", now=server.now)
    assert server.effects() == []


@pytest.mark.parametrize("state", STATES)
def test_a_deleted_task_is_gone_wherever_it_was(state: str) -> None:
    server = server_with(state)
    manual_operations.delete(server.broker, "task-001")
    with pytest.raises(errors.TaskNotFound):
        server.broker.get("task-001")
    assert server.broker.queue_stats("A", tenant="acme") == QueueStats()
    server.wait(3600)
    assert server.claim() is None


def test_a_key_of_a_deleted_task_is_void() -> None:  # C8
    server = Server()
    task = server.create(idempotency_key="k")
    manual_operations.delete(server.broker, task.id)
    assert server.create(idempotency_key="k").id != task.id


def test_a_callback_is_sent_again_with_all_its_tries() -> None:
    server = server_with("COMPLETED")
    [first] = server.broker.callbacks.deliveries.values()
    server.broker.callback_answered(first.callback.delivery_id, delivered=True, now=server.now)
    manual_operations.resend_callback(server.broker, "task-001", now=server.now)
    [again] = server.tries()
    assert (again.delivery_id, again.attempt, again.url) == (first.callback.delivery_id + 1, 1, HOOK)
    assert again.completed_at == START
    for _ in range(4):
        assert not server.broker.callback_answered(again.delivery_id, delivered=False, now=server.now)
        server.wait(60)
    assert server.broker.callback_answered(again.delivery_id, delivered=False, now=server.now)


@pytest.mark.parametrize("state", ["READY", "LEASED", "DEAD"])
def test_without_a_result_there_is_no_callback_to_send(state: str) -> None:
    server = server_with(state)
    with pytest.raises(errors.ResultNotFound):
        manual_operations.resend_callback(server.broker, "task-001", now=server.now)
    assert server.effects() == []


@pytest.mark.parametrize("operation", [manual_operations.requeue, manual_operations.resend_callback])
def test_a_task_must_be_there_to_be_acted_on(operation: Callable[..., object]) -> None:
    with pytest.raises(errors.TaskNotFound):
        operation(Server().broker, "missing", now=START)


def test_a_task_must_be_there_to_be_deleted() -> None:
    with pytest.raises(errors.TaskNotFound):
        manual_operations.delete(Server().broker, "missing")


def test_leases_and_delays_are_looked_at_in_the_order_of_their_ends() -> None:
    server = Server()
    for number in range(20):
        server.create(delay_seconds=(number * 7) % 20 + 1 if number % 2 else 0)
    for number in range(10):
        server.leased(lease_seconds=(number * 3) % 10 + 10)
    queue = server.broker.store.queues["acme", "a"]
    leases, delays = list(queue.leases.in_order()), list(queue.delays.in_order())
    assert leases == sorted(queue.in_progress.values(), key=lambda task: (task.lease_expiry, task.id))
    assert delays == sorted(queue.delayed.values(), key=lambda task: (task.visible_at, task.id))
    moved, delivered = leases[0], leases[1]
    server.broker.heartbeat(moved.id, worker="w-1", extend_seconds=600, now=server.now)
    server.broker.heartbeat(moved.id, worker="w-1", extend_seconds=600, now=server.now)
    server.submit(delivered)
    assert list(queue.leases.in_order()) == [*leases[2:], moved]
    manual_operations.delete(server.broker, delays[0].id)
    assert list(queue.delays.in_order()) == delays[1:]
    assert delays[1].location is Location.DELAYED_ZSET
