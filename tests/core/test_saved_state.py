"""The whole state as plain JSON, and its restoration. `test_laws.py` checks that a restored broker goes on the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from codeq_fake.core import ArtifactUpload, RateLimit, Submission, manual_operations
from codeq_fake.core.effects import CallbackDue
from codeq_fake.core.saved_state import InvalidState, begin_dump, dump
from codeq_fake.core.times import SECOND
from tests.core.support import HOOK, START, Server, load


def busy() -> Server:
    """A server with a bit of everything."""
    server = Server(rate_limit={"producer": RateLimit(60, 10)}, tracing_enabled=True)
    server.broker.admit("producer", "t", "create_task", now=server.now)
    server.subscribe(min_interval_seconds=60)
    server.subscribe(delivery_mode="group", group_id="g")
    for command in ("A", "A", "B", "Ä"):
        server.create(command, webhook=HOOK, idempotency_key=f"k-{command}", priority=3)
    server.create(delay_seconds=7)
    server.create("D", max_attempts=1)
    dead = server.leased("D")
    server.broker.nack(dead.id, worker="w-1", now=server.now)
    artifacts = (ArtifactUpload("a", url="u"), ArtifactUpload("b", content_base64="aGk="))
    server.submit(server.leased(), Submission("COMPLETED", '{"n":1}', artifacts=artifacts))
    server.leased("B", lease_seconds=30)
    for due in server.tries():
        server.broker.callback_answered(due.delivery_id, delivered=False, now=server.now)
    server.broker.notice_answered("A", delivered=True)
    return server


def restored(state: dict[str, Any]) -> Server:
    server = Server(rate_limit={"producer": RateLimit(60, 10)}, tracing_enabled=True)
    load(server.broker, state)
    return server


def test_a_state_round_trips_exactly() -> None:
    state = dump(busy().broker)
    assert dump(restored(state).broker) == state
    of_main = {"topics", "repaired", "heard", "unseenDelays", "leftovers", "staleEntries"}  # tests/versions
    assert all(state[name] for name in state.keys() - of_main), "a bit of everything"


def test_a_restored_queue_keeps_its_order() -> None:
    server = Server()
    made = [server.create(priority=priority).id for priority in (1, 5, 5, 1)]
    again = restored(dump(server.broker))
    assert [again.leased().id for _ in made] == [made[1], made[2], made[0], made[3]]


def test_a_state_that_is_read_while_its_queues_change_is_that_of_one_instant() -> None:
    server = busy()
    deleted = [server.create(command).id for command in ("E", "F", "F")][-1]
    before = dump(server.broker)
    state = begin_dump(server.broker)
    tasks = list(state["tasks"])
    server.leased("Ä")
    server.create("E")
    server.create("NEW")
    manual_operations.delete(server.broker, deleted)
    assert tasks == before["tasks"]
    assert [task_id for task_id in state["ready"] if task_id is not None] == before["ready"]


def test_a_state_that_is_read_after_the_reader_before_has_given_up_is_whole() -> None:
    """The reader of a request that was cancelled may end late: the traceback keeps it for a while."""
    server = busy()
    before = dump(server.broker)["tasks"]
    given_up, tasks = (begin_dump(server.broker)["tasks"] for _ in range(2))
    read = [next(given_up), next(tasks)][1:]
    given_up.close()
    server.leased("Ä")
    assert [*read, *tasks] == before


def test_a_restored_callback_goes_on_where_it_was() -> None:
    again = restored(dump(busy().broker))
    again.wait(1.999)
    assert again.effects() == []
    again.wait(ms=1)
    (due,) = again.effects()
    assert isinstance(due, CallbackDue)
    assert (due.attempt, due.task_id, [artifact.name for artifact in due.artifacts or ()]) == (
        2,
        "task-003",
        ["a", "b"],
    )
    assert due.completed_at == START


def test_a_restored_server_sweeps_when_the_first_one_would_have() -> None:
    server = Server()
    server.subscribe(event_types=(), ttl_seconds=60)
    younger = Server(now=START + 7 * SECOND)
    load(younger.broker, dump(server.broker))
    assert younger.broker.next_due() == server.broker.next_due() == START + 60 * SECOND


def test_a_callback_that_was_being_tried_is_tried_again_at_once() -> None:
    server = busy()
    server.wait(2)
    server.effects()
    again = restored(dump(server.broker))  # where it is 2 s earlier
    again.wait(0)
    assert [due.attempt for due in again.tries()] == [2]


@pytest.mark.parametrize(
    ("part", "broken", "text"),
    [
        ("version", 0, "no state that this release reads: found version 0, 1 is known"),
        ("tasks", [{"id": "task-001"}], "broker.tasks[0]: found {'id': 'task-001'}, an object of id, command"),
        ("tasks", 7, "broker.tasks: found 7, a list belongs here"),
        ("ready", ["missing"], "ready lists a task twice, or one that cannot wait"),
        ("keys", [["k"]], "broker.keys[0]: found ['k'], a list of 3 belongs here"),
        ("subscriptions", [{"colour": "red"}], "broker.subscriptions[0]: found {'colour': 'red'}, an object of id"),
        ("tally", {}, "broker.tally: found {}, an object of created, claimed"),
        ("tally", [], "broker.tally: found [], an object of created, claimed"),
    ],
)
def test_a_value_that_is_not_a_state_is_refused_with_its_place(part: str, broken: object, text: str) -> None:
    with pytest.raises(InvalidState, match=re.escape(text)):
        restored({**dump(busy().broker), part: broken})


def test_a_task_in_an_unknown_state_is_refused() -> None:
    state = dump(busy().broker)
    state["tasks"][0]["state"] = "ASTRAY"
    with pytest.raises(InvalidState, match=re.escape("broker.tasks[0].state: found 'ASTRAY', one of READY, DELAYED")):
        restored(state)


def test_a_result_that_is_not_a_json_object_is_refused() -> None:
    state = dump(busy().broker)
    task = next(task for task in state["tasks"] if task["record"] is not None)
    task["record"]["result"] = "[1]"
    text = f"the result of task {task['id']} is not the text of a JSON object"
    with pytest.raises(InvalidState, match=re.escape(text)):
        restored(state)


@pytest.mark.parametrize("field", ["payload", "record"])
def test_text_that_nests_deeper_than_python_reads_is_restored(field: str) -> None:  # B1
    state = dump(busy().broker)
    deep = "[" * 9_000 + "]" * 9_000  # the contract allows 10,000 levels
    task = next(task for task in state["tasks"] if task["record"] is not None)
    if field == "payload":
        task["payload"] = deep
    else:
        task["record"] = {**task["record"], "result": f'{{"a":{deep}}}'}
    assert dump(restored(state).broker) == state
