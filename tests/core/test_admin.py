"""Administration (M1 to M3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codeq_fake.core import QueueStats, Submission, errors
from codeq_fake.core.slices import at_once
from codeq_fake.core.times import DAY_SECONDS, SECOND
from tests.core.support import START, Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_fake.core import Task

DAY = DAY_SECONDS * SECOND


def in_all_places(server: Server, command: str, tenant: str) -> None:
    """One task in progress, one dead, two delayed and three ready ones."""
    for _ in range(2):
        server.create(command, tenant=tenant, max_attempts=1)
    server.leased(command, tenant=tenant)
    dead = server.leased(command, tenant=tenant)
    server.broker.nack(dead.id, worker="w-1", now=server.now)
    for _ in range(2):
        server.create(command, tenant=tenant, delay_seconds=5)
    for priority in (0, 7, 7):
        server.create(command, tenant=tenant, priority=priority)


def test_m1_sizes_are_those_of_the_built_in_commands_without_a_tenant() -> None:
    server = Server()
    for command, tenant in (("generate_master", ""), ("GENERATE_CREATIVE", "acme"), ("PACK", "")):
        in_all_places(server, command, tenant)
    sizes = server.broker.queue_sizes()
    places = [*(f"pending:{priority}" for priority in range(10)), "inprog", "delayed", "dlq"]
    assert set(sizes) == {
        f"codeq:q:{command}:{place}" for command in ("generate_master", "generate_creative") for place in places
    }
    assert {key: size for key, size in sizes.items() if size} == {
        "codeq:q:generate_master:pending:0": 1,
        "codeq:q:generate_master:pending:7": 2,
        "codeq:q:generate_master:inprog": 1,
        "codeq:q:generate_master:delayed": 2,
        "codeq:q:generate_master:dlq": 1,
    }


def test_m1_sizes_come_in_alphabetical_order() -> None:
    keys = list(Server().broker.queue_sizes())
    assert keys == sorted(keys)


def test_the_totals_are_those_of_all_queues() -> None:
    server = Server()
    assert at_once(server.broker.store.totals()) == QueueStats()
    server.create("A")
    server.create("B", tenant="")
    server.create("A", delay_seconds=60)
    assert at_once(server.broker.store.totals()) == QueueStats(ready=2, delayed=1)


def test_m2_stats_are_those_of_one_command_and_tenant() -> None:
    server = Server()
    in_all_places(server, "PACK", "acme")
    assert server.broker.queue_stats("pack", tenant="acme") == QueueStats(3, 2, 1, 1)
    assert server.broker.queue_stats("PACK", tenant="") == QueueStats(0, 0, 0, 0)
    assert server.broker.queue_stats("SHIP", tenant="acme") == QueueStats(0, 0, 0, 0)


def nothing(_server: Server, _task: Task) -> None:
    pass


def claim(server: Server, _task: Task) -> None:
    server.leased()


def heartbeat(server: Server, task: Task) -> None:
    server.broker.heartbeat(task.id, worker="w-1", now=server.now)


def abandon(server: Server, task: Task) -> None:
    server.broker.abandon(task.id, worker="w-1", now=server.now)


def nack(server: Server, task: Task) -> None:
    server.broker.nack(task.id, worker="w-1", now=server.now)


def complete(server: Server, task: Task) -> None:
    server.submit(task)


def complete_in_a_batch(server: Server, task: Task) -> None:
    server.broker.submit_batch([(task.id, Submission("COMPLETED", "{}"))], worker="w-1", now=server.now)


def read(server: Server, task: Task) -> None:
    server.broker.get(task.id)


@pytest.mark.parametrize(
    ("event", "restarts"),
    [
        (heartbeat, True),
        (abandon, True),
        (nack, True),
        (complete, True),
        (complete_in_a_batch, True),
        (read, False),
        (nothing, False),
    ],
)
def test_m3_these_restart_the_retention_clock(event: Callable[[Server, Task], None], *, restarts: bool) -> None:
    server = Server()
    task = server.create()
    server.wait(3600)
    server.leased(lease_seconds=DAY_SECONDS * 2)  # a claim restarts it too
    server.wait(3600)
    event(server, task)
    last_touch = START + (7200 if restarts else 3600) * SECOND
    assert at_once(server.broker.cleanup(before=last_touch + DAY - 1, limit=0)) == 0
    assert at_once(server.broker.cleanup(before=last_touch + DAY, limit=0)) == 1
    with pytest.raises(errors.TaskNotFound):
        server.broker.get(task.id)


@pytest.mark.parametrize(("limit", "deleted"), [(-1, 1000), (0, 1000), (1, 1), (1002, 1002), (5000, 1003)])
def test_m3_at_most_so_many_are_deleted(limit: int, deleted: int) -> None:
    server = Server()
    for _ in range(1003):
        server.create()
    assert at_once(server.broker.cleanup(before=START + DAY, limit=limit)) == deleted
    assert len(server.broker.store.tasks) == 1003 - deleted


def test_m3_the_longest_untouched_go_first() -> None:
    server = Server()
    tasks = []
    for _ in range(3):
        tasks.append(server.create())
        server.wait(10)
    server.leased()
    server.broker.abandon(tasks[0].id, worker="w-1", now=server.now)
    assert at_once(server.broker.cleanup(before=server.now + DAY, limit=2)) == 2
    assert list(server.broker.store.tasks) == [tasks[0].id]


def test_m3_within_a_second_the_lowest_id_goes_first() -> None:
    server = Server()
    first, second = server.create(), server.create()
    server.leased()
    server.wait(ms=900)
    server.broker.abandon(first.id, worker="w-1", now=server.now)
    assert at_once(server.broker.cleanup(before=START + DAY, limit=1)) == 1
    assert list(server.broker.store.tasks) == [second.id]


@pytest.mark.parametrize("place", ["ready", "delayed", "in progress", "dead", "completed"])
def test_m3_a_deleted_task_is_gone_from_wherever_it_was(place: str) -> None:
    server = Server()
    task = server.create(delay_seconds=5 if place == "delayed" else 0, max_attempts=1)
    if place in ("in progress", "dead", "completed"):
        server.leased()
    if place == "dead":
        nack(server, task)
    if place == "completed":
        server.submit(task)
    assert at_once(server.broker.cleanup(before=server.now + DAY, limit=0)) == 1
    assert server.broker.queue_stats("A", tenant="acme") == QueueStats(0, 0, 0, 0)
    server.wait(60)
    assert server.claim() is None


def test_m3_the_result_of_a_deleted_task_is_out_of_reach() -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.submit(task)
    at_once(server.broker.cleanup(before=server.now + DAY, limit=0))
    with pytest.raises(errors.TaskNotFound):
        server.broker.result(task.id)


def test_m3_a_queue_goes_on_in_order_around_a_gap() -> None:
    server = Server()
    first = server.create()
    server.wait(1)
    second, third = server.create(), server.create()
    assert at_once(server.broker.cleanup(before=START + DAY, limit=0)) == 1
    assert first.id not in server.broker.store.tasks
    assert [server.leased(), server.leased(), server.claim()] == [second, third, None]


def test_m3_a_delayed_task_that_is_gone_does_not_come_due() -> None:
    server = Server()
    server.create(delay_seconds=1)
    at_once(server.broker.cleanup(before=START + DAY, limit=0))
    kept = server.create(delay_seconds=1)
    server.wait(1)
    assert [server.claim(), server.claim()] == [kept, None]
