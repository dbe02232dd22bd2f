"""Batches: how many there may be, and what each item gets (C9, K10, S6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.support import CLAIM, TASKS

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ

GOOD: dict[str, Any] = {"command": "A", "payload": 1}
FAILED = {"status": "FAILED", "error": "torn"}


def refusal(reply: httpx.Response) -> tuple[int, dict[str, Any]]:
    return reply.status_code, reply.json()


@pytest.mark.parametrize("body", [{}, {"tasks": None}, {"tasks": []}, {"task": [GOOD]}])
def test_c9_a_batch_of_no_tasks_is_a_bad_body(producer: httpx.Client, body: dict[str, Any]) -> None:
    assert refusal(producer.post(f"{TASKS}/batch", json=body)) == (400, {"error": "invalid body"})


@pytest.mark.parametrize("count", [1, 100])
def test_c9_up_to_a_hundred_tasks_are_created_in_order(producer: httpx.Client, codeq: FakeCodeQ, count: int) -> None:
    reply = producer.post(f"{TASKS}/batch", json={"tasks": [GOOD | {"payload": number} for number in range(count)]})
    assert reply.status_code == 200
    assert [item["task"]["payload"] for item in reply.json()["results"]] == [str(number) for number in range(count)]
    assert [task.payload for task in codeq.tasks()] == list(range(count))


def test_c9_more_are_refused(producer: httpx.Client, codeq: FakeCodeQ) -> None:
    reply = producer.post(f"{TASKS}/batch", json={"tasks": [GOOD] * 101})
    assert refusal(reply) == (400, {"error": "batch size exceeds maximum of 100"})
    assert codeq.tasks() == []


def test_c9_items_are_not_checked_for_required_fields(producer: httpx.Client) -> None:
    items: list[Any] = [{"payload": 1}, {"command": "A"}, None, GOOD]
    results = producer.post(f"{TASKS}/batch", json={"tasks": items}).json()["results"]
    assert [result.get("error") for result in results] == ["invalid command", None, "invalid command", None]
    assert (results[1]["task"]["payload"], results[3]["task"]["payload"]) == ("null", "1")


def test_c9_an_item_is_shown_as_a_task_is(producer: httpx.Client) -> None:
    (result,) = producer.post(f"{TASKS}/batch", json={"tasks": [GOOD]}).json()["results"]
    assert result["task"] == producer.get(f"{TASKS}/{result['task']['id']}").json()


def test_c9_a_wrong_type_in_any_item_fails_the_whole_batch(producer: httpx.Client, codeq: FakeCodeQ) -> None:
    reply = producer.post(f"{TASKS}/batch", json={"tasks": [GOOD, GOOD | {"priority": "high"}]})
    assert refusal(reply) == (400, {"error": "invalid body"})
    assert codeq.tasks() == []


@pytest.mark.parametrize("count", [None, 0, -1])
def test_k10_a_count_is_required_and_positive(worker: httpx.Client, count: int | None) -> None:
    assert refusal(worker.post(f"{CLAIM}/batch", json={"count": count})) == (400, {"error": "invalid body"})


def test_k10_up_to_ten_are_claimed(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    for number in range(11):
        codeq.enqueue("A", number, tenant="acme")
    reply = worker.post(f"{CLAIM}/batch", json={"commands": ["A"], "count": 11})
    assert refusal(reply) == (400, {"error": "count exceeds maximum of 10"})
    reply = worker.post(f"{CLAIM}/batch", json={"commands": ["A"], "count": 10, "leaseSeconds": 60})
    tasks = reply.json()["tasks"]
    assert [task["payload"] for task in tasks] == [str(number) for number in range(10)]
    assert {(task["workerId"], task["leaseUntil"]) for task in tasks} == {("w-1", "2026-11-24T06:16:00Z")}
    left = worker.post(f"{CLAIM}/batch", json={"commands": ["A"], "count": 10})
    assert [task["payload"] for task in left.json()["tasks"]] == ["10"]


def test_k10_when_there_are_none_there_is_no_content(worker: httpx.Client) -> None:
    reply = worker.post(f"{CLAIM}/batch", json={"commands": ["A"], "count": 1})
    assert (reply.status_code, reply.content) == (204, b"")


def test_k10_a_batch_does_not_wait(worker: httpx.Client) -> None:
    reply = worker.post(f"{CLAIM}/batch", json={"commands": ["A"], "count": 1, "waitSeconds": 30})
    assert reply.status_code == 204  # on a clock that stands still: at once


@pytest.mark.parametrize("body", [{}, {"results": None}, {"results": []}])
def test_s6_a_batch_of_no_results_is_a_bad_body(worker: httpx.Client, body: dict[str, Any]) -> None:
    assert refusal(worker.post(f"{TASKS}/batch/results", json=body)) == (400, {"error": "invalid body"})


def test_s6_up_to_a_hundred_results_are_taken_in_order(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    ids = [codeq.enqueue("A", tenant="acme").id for _ in range(100)]
    for _ in ids:
        worker.post(CLAIM, json={"commands": ["A"]})
    results = [{"taskId": task_id, **FAILED} for task_id in ids]
    refused = worker.post(f"{TASKS}/batch/results", json={"results": [*results, results[0]]})
    assert refusal(refused) == (400, {"error": "batch size exceeds maximum of 100"})
    assert {task.status for task in codeq.tasks()} == {"IN_PROGRESS"}
    answers = worker.post(f"{TASKS}/batch/results", json={"results": results}).json()["results"]
    assert [(answer["taskId"], answer["result"]["error"]) for answer in answers] == [(task, "torn") for task in ids]
    assert {task.status for task in codeq.tasks()} == {"FAILED"}


def test_s6_an_item_may_be_empty(worker: httpx.Client) -> None:
    reply = worker.post(f"{TASKS}/batch/results", json={"results": [None, {"taskId": "x"}]})
    assert reply.text == (
        '{"results":[{"taskId":"","error":"task not found"},{"taskId":"x","error":"task not found"}]}'
    )


def test_s6_a_wrong_type_in_any_item_fails_the_whole_batch(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    task = codeq.enqueue("A", tenant="acme")
    worker.post(CLAIM, json={"commands": ["A"]})
    results = [{"taskId": task.id, **FAILED}, {"taskId": task.id, "result": 7}]
    reply = worker.post(f"{TASKS}/batch/results", json={"results": results})
    assert refusal(reply) == (400, {"error": "invalid body"})
    assert codeq.task(task.id).status == "IN_PROGRESS"
