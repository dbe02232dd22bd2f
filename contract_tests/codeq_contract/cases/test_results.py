"""Section 10: how a task ends, and how that is read."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.recordings.times import parse_moment
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core


@checks("S2.1", "S2.4", "S2.7", "S2.8", "S2.9", "S4.1", "S4.2", "S4.3", "T2.1", "R8.1", "R23.2", "R23.14")
def test_a_completed_task_has_a_record_and_no_worker(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.submit(task, status="COMPLETED", result={"b": 1, "a": "<"}, workerId="another")
    assert reply.status == 200
    assert list(reply.json) == ["taskId", "status", "result", "completedAt"]
    assert rb'"result":{"a":"\u003c","b":1}' in reply.body
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["resultKey"]) == ("COMPLETED", "NONE", "codeq:results")
    assert not seen.keys() & {"workerId", "leaseUntil", "error"}
    assert parse_moment(seen["updatedAt"]) >= parse_moment(reply.json["completedAt"])


@checks("S2.3", "S4.1", "S4.4", "S4.5", "S4.6")
def test_a_failed_task_keeps_its_error_and_stays_failed(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.submit(task, status="FAILED", error="it broke")
    assert (reply.status, reply.json["error"]) == (200, "it broke")
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["error"], seen["attempts"]) == ("FAILED", "it broke", 1)
    assert contract.worker.claim(task["command"]).status == 204


@checks("S2.2")
def test_an_empty_result_is_left_out(contract: CaseContext) -> None:
    assert "result" not in contract.worker.submit(contract.leased(), status="COMPLETED", result={}).json


@checks("S1.1", "S1.3", "S1.4")
def test_a_result_needs_a_task_in_progress(contract: CaseContext) -> None:
    assert contract.worker.submit("none").refusal == (404, "task not found")
    assert contract.worker.submit(contract.producer.created(contract.command())).refusal == (409, "not-in-progress")
    task = contract.leased()
    contract.worker.submit(task)
    assert contract.worker.submit(task, status="FAILED", error="x").refusal == (409, "not-in-progress")
    assert contract.worker.seen(task)["status"] == "COMPLETED"


@checks("S1.5", "S1.6", "S1.7", "S1.8", "S1.9")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"status": "COMPLETED"}, "result required when status=COMPLETED"),
        ({"status": "COMPLETED", "result": None}, "result required when status=COMPLETED"),
        ({"status": "FAILED"}, "error required when status=FAILED"),
        ({"status": "FAILED", "error": "  "}, "error required when status=FAILED"),
        ({"status": "completed", "result": {}}, "invalid status"),
        ({"status": "IN_PROGRESS", "result": {}}, "invalid status"),
    ],
)
def test_a_result_says_how_it_ended(contract: CaseContext, fields: dict[str, Any], error: str) -> None:
    task = contract.leased()
    assert contract.worker.submit(task, **fields).refusal == (400, error)
    assert contract.worker.seen(task) == task


@checks("S1.13", "S5.8")
@needs("artifacts")
def test_artifacts_are_checked_before_the_status(contract: CaseContext) -> None:
    reply = contract.worker.submit(contract.leased(), status="X", artifacts=[{"name": "bad", "contentBase64": "!"}])
    assert reply.status == 400
    assert reply.json["error"].startswith("artifact bad base64 decode: ")


@checks("S5.1", "S5.2", "S5.3", "S5.5", "S5.6", "S5.9")
@needs("artifacts")
def test_artifacts_are_kept_by_url_or_content(contract: CaseContext) -> None:
    task = contract.leased()
    artifacts = [
        {"name": "content", "contentBase64": "aGVs\r\n\r\nbG8="},
        {"name": "unpadded", "contentBase64": "aGVsbG8"},
        {"url": "https://x.test/a"},
        {"name": "neither"},
    ]
    reply = contract.worker.submit(task, status="COMPLETED", result={"ok": 1}, artifacts=artifacts)
    by_name = {artifact["name"]: artifact["url"] for artifact in reply.json["artifacts"]}
    assert by_name.keys() == {"content", "unpadded", ""}
    assert by_name[""] == "https://x.test/a"
    assert by_name["content"].startswith("file://")
    assert by_name["content"].endswith(f"/results/{task['id']}/content")


@checks("S6.1", "S6.2", "S6.3", "S6.7", "S6.14", "R9.1")
@needs("batch")
def test_a_batch_of_results_answers_each_item(contract: CaseContext) -> None:
    done, failed, refused = contract.leased(), contract.leased(), contract.leased()
    reply = contract.worker.submit_batch(
        [
            {"taskId": done["id"], "status": "COMPLETED", "result": {"i": 1}, "artifacts": [{"name": "n", "url": "u"}]},
            {"taskId": failed["id"], "status": "FAILED", "error": "e"},
            {"taskId": refused["id"], "status": "COMPLETED"},
        ]
    )
    first, second, third = reply.json["results"]
    assert reply.status == 200
    assert (first["taskId"], first["result"]["result"], "artifacts" in first["result"]) == (done["id"], {"i": 1}, False)
    assert second["result"]["status"] == "FAILED"
    assert third == {"taskId": refused["id"], "error": "result required when status=COMPLETED"}
    assert contract.worker.seen(failed)["status"] == "FAILED"


@checks("S6.9", "S6.11")
@needs("batch")
def test_an_unknown_id_makes_a_batch_go_one_by_one(contract: CaseContext) -> None:
    task = contract.leased()
    item = {"taskId": task["id"], "status": "COMPLETED", "result": {"i": 1}, "artifacts": [{"name": "n", "url": "u"}]}
    unknown, known = contract.worker.submit_batch([{"taskId": "none", "status": "COMPLETED", "result": {}}, item]).json[
        "results"
    ]
    assert unknown == {"taskId": "none", "error": "task not found"}
    assert known["result"]["artifacts"] == [{"name": "n", "url": "u"}]


@checks("S6.4", "S6.6", "B2.2")
@needs("batch")
def test_a_batch_of_results_has_1_to_100_items(contract: CaseContext) -> None:
    bad: tuple[object, ...] = ([], None, {}, [1])
    for results in bad:
        assert contract.worker.submit_batch(results).refusal == (400, "invalid body")
    too_many = contract.worker.submit_batch([{"taskId": "none"}] * 101)
    assert too_many.refusal == (400, "batch size exceeds maximum of 100")


@checks("S7.1", "S7.2", "S7.3", "S7.4", "S7.5", "R13.1", "R23.8")
def test_a_result_is_read_with_its_task(contract: CaseContext) -> None:
    task = contract.leased()
    assert contract.producer.result(task).refusal == (404, "result not found")
    record = contract.worker.submit(task).json
    reply = contract.producer.result(task)
    assert (reply.status, list(reply.json)) == (200, ["result", "task"])
    assert (reply.json["result"], reply.json["task"]) == (record, contract.producer.seen(task))
    assert contract.producer.result("none").json == {"error": "task not found"}


@checks("S8.1")
def test_an_unknown_task_is_not_found(contract: CaseContext) -> None:
    assert contract.producer.task("none").refusal == (404, "not found")
    assert contract.producer.get(f"{TASKS}/none?a=b").status == 404


@checks("S8.2", "S7.6")
@needs("tenants")
def test_anyone_reads_any_task(contract: CaseContext) -> None:
    task = contract.leased()
    contract.worker.submit(task)
    for stranger in (contract.caller("other_producer"), contract.caller("other_worker")):
        assert stranger.task(task).status == stranger.result(task).status == 200
