"""Why a task can or cannot be claimed, and the history of a task."""

from __future__ import annotations

import pytest

from codeq_fake.core import Claimable, Submission, errors, explain
from codeq_fake.core.task import HISTORY_LIMIT
from codeq_fake.core.times import MILLISECOND, SECOND
from tests.core.support import DONE, FAILED, START, Server


def told(server: Server) -> Claimable:
    return explain(server.broker, "task-001", now=server.now)


def test_a_ready_task_is_claimable() -> None:
    server = Server()
    server.create()
    assert told(server) == Claimable(is_now=True)


def test_a_delayed_task_is_claimable_from_its_second_on() -> None:
    server = Server()
    server.create(delay_seconds=2)
    assert told(server) == Claimable(is_now=False, why="it is delayed (C7)", not_before=START + 2 * SECOND)
    server.wait(2)
    assert told(server) == Claimable(is_now=True)
    assert server.claim() is not None


@pytest.mark.parametrize(("profile", "spent_ms"), [("redis", 9501), ("kvrocks-2.8", 9001)])
def test_a_held_task_is_sent_back_by_the_claim_after_its_leases_end(profile: str, spent_ms: int) -> None:
    server = Server(profile)
    server.create()
    server.leased(lease_seconds=10)
    since = START + spent_ms * MILLISECOND
    assert told(server) == Claimable(is_now=False, why="w-1 holds its lease (K5)", not_before=since)
    server.wait(ms=spent_ms)
    assert told(server) == Claimable(
        is_now=False,
        why="its lease has run out: the next claim requeues it with a delay, a later one gets it (K7, N5)",
        not_before=since,
    )
    assert server.claim() is None


@pytest.mark.parametrize(("end", "why"), [(DONE, "it is completed"), (FAILED, "it failed, and FAILED is final (S4)")])
def test_a_task_that_has_ended_is_never_claimable(end: Submission, why: str) -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.submit(task, end)
    assert told(server) == Claimable(is_now=False, why=why)


def test_a_dead_letter_is_never_claimable() -> None:
    server = Server()
    task = server.create(max_attempts=1)
    server.leased()
    server.broker.nack(task.id, worker="w-1", now=server.now)
    assert told(server) == Claimable(is_now=False, why="it is in the dead letter queue (N4)")


def test_an_unknown_task_is_not_found() -> None:
    with pytest.raises(errors.TaskNotFound):
        told(Server())


def test_a_history_tells_what_happened_when_and_by_whom() -> None:
    server = Server()
    task = server.create(delay_seconds=1)
    server.wait(1)
    server.leased(worker="w-7")
    server.wait(1)
    server.broker.nack(task.id, worker="w-7", delay_seconds=5, now=server.now)
    lines = [(h.at - START, h.what, h.by, h.before.name if h.before else None, h.after.name) for h in task.history]
    assert lines == [
        (0, "created", "acme", None, "DELAYED"),
        (SECOND, "came due", "", "DELAYED", "READY"),
        (SECOND, "claimed", "w-7", "READY", "LEASED"),
        (2 * SECOND, "nacked", "w-7", "LEASED", "DELAYED"),
    ]


def test_a_history_is_bounded_and_keeps_its_beginning_and_its_end() -> None:
    server = Server()
    task = server.create()
    server.leased()
    for _ in range(3 * HISTORY_LIMIT):
        server.wait(1)
        server.broker.heartbeat(task.id, worker="w-1", now=server.now)
    assert len(task.history) <= HISTORY_LIMIT
    assert (task.history[0].what, task.history[-1].at) == ("created", server.now)
    times = [line.at for line in task.history]
    assert times == sorted(times)
