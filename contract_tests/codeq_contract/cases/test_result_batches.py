"""Several results in one request (R9, S6)."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_contract.suite.caller import exact
from codeq_contract.suite.case import checks, core, needs, unless
from codeq_contract.suite.case_context import CaseContext

pytestmark = [core, needs("batch")]


@checks("S6.1", "S6.2", "S6.3", "S6.7", "S6.13", "S6.14", "S6.15", "R9.1")
def test_a_batch_of_results_answers_each_item(contract: CaseContext) -> None:
    done, failed, refused, ended = (contract.leased() for _ in range(4))
    contract.worker.submit(ended)
    reply = contract.worker.submit_batch(
        [
            item(refused, status="COMPLETED"),
            item(done, status="COMPLETED", result={"i": 1}, artifacts=[{"name": "n", "url": "u"}]),
            item(refused, status="FAILED", error=" "),
            item(ended, status="COMPLETED", result={}),
            item(failed, status="FAILED", error="e"),
            item(refused, status="X"),
        ]
    )
    records = [contract.worker.result(task).json["result"] for task in (done, failed)]
    assert (reply.status, list(reply.json)) == (200, ["results"])
    assert exact(reply.json["results"]) == exact(
        [
            {"taskId": refused["id"], "error": "result required when status=COMPLETED"},
            {"taskId": done["id"], "result": records[0]},
            {"taskId": refused["id"], "error": "error required when status=FAILED"},
            {"taskId": ended["id"], "error": "not-in-progress"},
            {"taskId": failed["id"], "result": records[1]},
            {"taskId": refused["id"], "error": "invalid status"},
        ]
    )
    assert [list(record) for record in records] == [
        ["taskId", "status", "result", "completedAt"],
        ["taskId", "status", "error", "completedAt"],
    ]
    assert contract.worker.seen(refused) == refused


@checks("S6.13")
def test_the_tasks_of_a_batch_read_as_after_single_results(contract: CaseContext) -> None:
    fields: tuple[dict[str, Any], ...] = (
        {"status": "COMPLETED", "result": {"b": 1, "a": "<"}},
        {"status": "COMPLETED", "result": {}, "error": "e"},
        {"status": "FAILED", "error": "e"},
    )
    single, batch = ([contract.leased(priority=3) for _ in fields] for _ in range(2))
    for task, result in zip(single, fields, strict=True):
        contract.worker.submit(task, **result)
    contract.worker.submit_batch([item(task, **result) for task, result in zip(batch, fields, strict=True)])
    for left, right in zip(single, batch, strict=True):
        assert exact(without_names(contract.worker.result(left).json)) == exact(
            without_names(contract.worker.result(right).json)
        )


@checks("S6.9", "S6.11", "S6.14", "S6.15")
@needs("artifacts")
@unless("pebble")
def test_an_unknown_id_makes_a_batch_go_one_by_one(contract: CaseContext) -> None:
    task, ended = contract.leased(), contract.leased()
    contract.worker.submit(ended)
    artifacts = [{"name": "n", "url": "u"}]
    reply = contract.worker.submit_batch(
        [
            {"taskId": "none", "status": "COMPLETED", "result": {}},
            {"status": "COMPLETED", "result": {}},
            item(ended, status="FAILED", error="e"),
            item(task, status="COMPLETED", result={"i": 1}, artifacts=artifacts),
        ]
    )
    record = contract.worker.result(task).json["result"]
    assert exact(reply.json["results"]) == exact(
        [
            {"taskId": "none", "error": "task not found"},
            {"taskId": "", "error": "task not found"},
            {"taskId": ended["id"], "error": "not-in-progress"},
            {"taskId": task["id"], "result": record},
        ]
    )
    assert record["artifacts"] == artifacts


@checks("S6.12")
@pytest.mark.parametrize("more", [[], ["none"]])
def test_a_batch_ends_no_task_of_another_worker(contract: CaseContext, more: list[str]) -> None:
    command = contract.command()
    contract.producer.created(command)
    theirs, ours = contract.worker2.claimed(command, leaseSeconds=600), contract.leased()
    reply = contract.worker.submit_batch(
        [
            item(theirs, status="COMPLETED", result={}),
            item(ours, status="COMPLETED", result={}),
            *({"taskId": task, "status": "COMPLETED", "result": {}} for task in more),
        ]
    )
    assert reply.json["results"][0] == {"taskId": theirs["id"], "error": "not-owner"}
    assert contract.worker.seen(theirs) == theirs
    assert contract.worker.seen(ours)["status"] == "COMPLETED"


@checks("S6.16")
def test_of_two_results_for_a_task_in_a_batch_the_last_stays(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.submit_batch(
        [item(task, status="COMPLETED", result={"i": 1}), item(task, status="FAILED", error="twice")]
    )
    first, second = (each["result"] for each in reply.json["results"])
    assert (first["status"], second["status"]) == ("COMPLETED", "FAILED")
    assert contract.worker.result(task).json["result"] == second
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["error"]) == ("FAILED", "twice")


@checks("S6.4", "S6.6", "B2.2")
def test_a_batch_of_results_has_1_to_100_items(contract: CaseContext) -> None:
    task = contract.leased()
    bad: tuple[object, ...] = ([], None, {}, [1])
    for results in bad:
        assert contract.worker.submit_batch(results).refusal == (400, "invalid body")
    assert contract.worker.post("/v1/codeq/tasks/batch/results", {}).refusal == (400, "invalid body")
    too_many = contract.worker.submit_batch([item(task, status="COMPLETED", result={})] * 101)
    assert too_many.refusal == (400, "batch size exceeds maximum of 100")
    assert contract.worker.seen(task) == task


@checks("S6.5")
def test_a_batch_of_100_results_is_accepted(contract: CaseContext) -> None:
    task = contract.leased()
    items = [{"taskId": "none"}] * 99 + [item(task, status="COMPLETED", result={})]
    reply = contract.worker.submit_batch(items)
    assert reply.status == 200
    assert reply.json["results"][:99] == [{"taskId": "none", "error": "task not found"}] * 99
    assert reply.json["results"][99]["result"]["status"] == "COMPLETED"


def item(task: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An item of a batch."""
    return {"taskId": task["id"], **fields}


def without_names(shown: dict[str, Any]) -> dict[str, Any]:
    """A result with its task, without ids and times."""
    own = {"id", "taskId", "command", "createdAt", "updatedAt", "completedAt"}
    return {
        part: {name: value for name, value in entries.items() if name not in own} for part, entries in shown.items()
    }
