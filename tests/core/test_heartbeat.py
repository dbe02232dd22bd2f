"""Heartbeat and abandon (H1 to H4, D1, D2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.core import Location, QueueStats, Status, errors
from codeq_fake.core.times import SECOND
from tests.core.support import DONE, FAILED, START, Server

if TYPE_CHECKING:
    from codeq_fake.core import Submission


def test_h1_a_heartbeat_moves_the_lease_to_now_plus_the_extension() -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=10)
    server.wait(5)
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=60, now=server.now)
    assert (task.lease_until, task.updated_at, task.attempts) == (START + 65 * SECOND, START + 5 * SECOND, 1)
    server.wait(59)
    assert server.claim() is None
    assert task.status is Status.IN_PROGRESS
    server.wait(1)
    server.claim()
    assert task.location is Location.DELAYED_ZSET


@pytest.mark.parametrize(("asked", "given"), [(None, 7), (0, 7), (-1, 7), (1, 1)])
def test_h1_an_extension_that_is_not_positive_is_the_servers_default(asked: int | None, given: int) -> None:
    server = Server(default_lease_seconds=7)
    task = server.create()
    server.leased(lease_seconds=100)
    extension = {} if asked is None else {"extend_seconds": asked}
    server.broker.heartbeat(task.id, worker="w-1", **extension, now=server.now)
    assert task.lease_until == START + given * SECOND


def test_h1_a_heartbeat_can_shorten_a_lease() -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=120)
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=60, now=server.now)
    assert task.lease_until == START + 60 * SECOND
    server.wait(60)
    server.claim()
    assert task.status is Status.PENDING


@pytest.mark.parametrize("operation", ["heartbeat", "abandon"])
def test_h2_d2_an_unknown_task_and_anothers_are_refused(operation: str) -> None:
    server = Server()
    task = server.create()
    server.leased(worker="w-1")
    with pytest.raises(errors.TaskNotFound):
        getattr(server.broker, operation)("missing", worker="w-1", now=server.now)
    with pytest.raises(errors.NotOwner):
        getattr(server.broker, operation)(task.id, worker="w-2", now=server.now)


@pytest.mark.parametrize("operation", ["heartbeat", "abandon"])
@pytest.mark.parametrize("end", [DONE, FAILED])
def test_h2_d2_a_task_that_has_ended_has_no_owner(operation: str, end: Submission) -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.submit(task, end)
    with pytest.raises(errors.NotOwner):
        getattr(server.broker, operation)(task.id, worker="w-1", now=server.now)


@pytest.mark.parametrize("operation", ["heartbeat", "abandon"])
def test_h2_d2_a_task_that_waits_again_has_no_owner(operation: str) -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=10)
    server.wait(10)
    server.claim()
    with pytest.raises(errors.NotOwner):
        getattr(server.broker, operation)(task.id, worker="w-1", now=server.now)


def test_h3_a_lease_that_ran_out_is_not_revived() -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=10)
    server.wait(10)
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=3600, now=server.now)
    assert (task.status, task.lease_until) == (Status.IN_PROGRESS, START + 3610 * SECOND)
    server.claim()
    assert (task.status, task.location) == (Status.PENDING, Location.DELAYED_ZSET)


def test_h3_a_lease_that_counts_as_expired_but_is_still_there_is_revived() -> None:
    server = Server("kvrocks-2.9")
    task = server.create()
    server.leased(lease_seconds=10)
    server.wait(ms=9999)  # K8: its key is gone from 10 s on, and counts as expired from 9.001 s on
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=10, now=server.now)
    server.claim()
    assert task.status is Status.IN_PROGRESS


def test_d1_an_abandoned_task_is_at_the_tail_of_its_queue_at_once() -> None:
    server = Server()
    task, higher, same = server.create(priority=3), server.create(priority=4), server.create(priority=3)
    server.broker.abandon(server.leased().id, worker="w-1", now=server.now)  # the higher one
    assert server.leased() is higher
    assert server.leased() is task
    server.wait(2)
    server.broker.abandon(task.id, worker="w-1", now=server.now)
    assert (task.status, task.location, task.attempts) == (Status.PENDING, Location.PENDING_LIST, 1)
    assert (task.worker, task.lease_until, task.updated_at) == ("", 0, START + 2 * SECOND)
    assert [server.leased(), server.leased(), server.claim()] == [same, task, None]


def test_d1_the_lease_of_an_abandoned_task_is_over_for_good() -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=10)
    server.broker.abandon(task.id, worker="w-1", now=server.now)
    assert server.broker.queue_stats("A", tenant="acme") == QueueStats(ready=1)
    server.wait(60)
    assert server.leased().attempts == 2


def test_d1_an_abandoned_task_can_be_completed_by_its_next_worker() -> None:
    server = Server()
    task = server.create()
    server.broker.abandon(server.leased().id, worker="w-1", now=server.now)
    assert server.leased(worker="w-2").attempts == 2
    server.submit(task, DONE, worker="w-2")
    assert task.status is Status.COMPLETED


def test_d1_a_task_whose_lease_ran_out_can_be_abandoned_until_a_claim_has_seen_it() -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=1)
    server.wait(60)
    server.broker.abandon(task.id, worker="w-1", now=server.now)
    assert server.leased().attempts == 2
