"""A pending list keeps the order of claims, whatever leaves its midst, and shows it as it was at one instant."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from codeq_fake.core.pending_list import PendingList
from codeq_fake.core.slices import at_once
from codeq_fake.core.task import State, Task
from tests.core.support import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 6000


def numbered(n: int) -> Task:
    return Task(str(n), "A", "null", "t", 0, 5, 0, 0, 0, state=State.READY)


def ids(pending: PendingList) -> list[str]:
    return [task_id for task_id, _ in pending.items()]


def test_whatever_happens_the_order_is_that_of_a_plain_list() -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    tasks = [numbered(n) for n in range(3000)]
    pending, expected = PendingList(), list[str]()
    readers: list[tuple[Iterator[tuple[str, Task | None]], list[str]]] = []
    for _ in range(STEPS):
        task = chance.choice(tasks)
        match chance.choices(("append", "pop", "remove", "read"), (60, 20, 15, 1))[0]:
            case "append":
                pending.append(task)
                if task.id not in expected:
                    expected.append(task.id)
            case "pop" if expected:
                first = pending.pop()
                assert first is not None
                assert first.id == expected.pop(0)
                assert first.place is None
            case "remove":
                pending.remove(task)
                if task.id in expected:
                    expected.remove(task.id)
            case "read":
                readers.append((pending.items(), expected.copy()))
            case _:
                pass  # there is none to take
        assert len(pending) == len(expected)
    assert len(expected) > 1000, "several parts"
    assert ids(pending) == expected == [task.id for _, task in pending.items() if task is not None]
    assert all([task_id for task_id, _ in reader] == then for reader, then in readers)
    assert {task.id for task in tasks if task.place is not None} == set(expected)


def test_all_tasks_are_read_as_they_are_at_one_instant_in_both_directions() -> None:
    server = Server()
    tasks = [server.create() for _ in range(1000)]
    store = server.broker.store
    oldest_first, newest_first = store.all(), store.all(newest_first=True)
    assert next(oldest_first) is tasks[0]
    for task in (*tasks[::2], server.create()):
        store.remove(task)
    server.create()
    assert [*oldest_first] == tasks[1:]
    assert [*newest_first] == tasks[::-1]
    assert [*store.all()] == [*store.tasks.values()]


def test_an_id_that_is_left_and_a_duplicate_have_their_places_but_no_task() -> None:
    pending = PendingList()
    tasks = [numbered(n) for n in range(1000)]
    for task in tasks:
        pending.append(task)
    pending.leave_id(tasks[500])
    pending.insert_duplicate()
    pending.insert_duplicate()
    assert (len(pending), list(pending.left_ids())) == (1001, ["500"])
    assert pending.pop() is None
    assert [pending.pop() for _ in range(501)] == [*tasks[:500], None]
    assert (len(pending), ids(pending)[0], list(pending.left_ids())) == (499, "501", [])


def test_a_duplicate_can_be_taken_away() -> None:
    pending = PendingList()
    assert not pending.remove_duplicate()
    pending.append(numbered(1))
    pending.insert_duplicate()
    assert pending.remove_duplicate()
    assert not pending.remove_duplicate()
    assert ids(pending) == ["1"]


def test_a_list_that_was_cleared_is_empty() -> None:
    pending = PendingList()
    tasks = [numbered(n) for n in range(3000)]
    for task in tasks:
        pending.append(task)
    at_once(pending.clear())
    assert (len(pending), ids(pending)) == (0, [])
    pending.append(tasks[7])
    assert pending.pop() is tasks[7]
