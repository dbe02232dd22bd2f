"""Work on many tasks is done in short slices."""

from __future__ import annotations

import time  # noqa: TID251 - measures how long something takes
from typing import TYPE_CHECKING

import pytest

from codeq_fake.core import saved_state
from codeq_fake.core.times import SECOND
from tests.core.support import Server
from tests.holds import LIMIT, longest_slice, measured

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codeq_fake.core import Task
    from codeq_fake.core.queue import Queue
    from codeq_fake.core.slices import Slices

pytestmark = pytest.mark.slow

TASKS = 100_000
COMMANDS = 50_000


def removals(queue: Queue, tasks: Iterable[Task]) -> Slices[None]:
    for task in tasks:
        queue.remove(task)
        yield


@measured
def test_a_queue_drops_outdated_leases_bit_by_bit() -> None:
    server = Server()
    tasks = [server.create() for _ in range(TASKS)]
    queue = server.broker.store.queue_for(tasks[0])
    for n, task in enumerate(tasks):
        task.lease_expiry = n
        queue.put_leased(task)
    assert longest_slice(removals(queue, tasks)) < LIMIT / 20
    assert next(queue.leases.in_order(), None) is None


@measured
def test_the_state_of_many_queues_is_begun_quickly() -> None:
    server = Server()
    for n in range(TASKS // 5):
        server.create(f"C{n:05}")
    began = time.thread_time()
    state = saved_state.begin_dump(server.broker)
    begun = time.thread_time()
    ids = [task["id"] for task in state["tasks"]]
    ready = [*filter(None, state["ready"])]
    read = time.thread_time()
    assert ready == ids
    assert (begun - began) * 20 < read - begun


def test_the_latencies_in_a_state_are_those_of_one_instant() -> None:
    """To copy those of many commands at once would take as long as to copy their tasks."""
    server = Server()
    counters = server.broker.counters
    for n in range(COMMANDS):
        counters.count_end(f"C{n}", "COMPLETED", latency=SECOND)
    began = time.thread_time()
    latencies = saved_state.begin_dump(server.broker)["tally"]["latency"]
    assert time.thread_time() - began < LIMIT / 10
    for n in range(COMMANDS):
        counters.count_end(f"C{n}", "COMPLETED", latency=2 * SECOND)
    assert [(row[0], sum(row[2]), row[3]) for row in latencies] == [(f"C{n}", 1, 1.0) for n in range(COMMANDS)]
    assert [row[3] for row in saved_state.dump(server.broker)["tally"]["latency"]] == [3.0] * COMMANDS
