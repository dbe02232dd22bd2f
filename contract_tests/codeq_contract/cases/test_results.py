"""Section 10: how a task ends, and how that is read."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.recordings.times import SECOND, parse_moment
from codeq_contract.suite.caller import exact
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core


@checks("S2.1", "S2.3", "S2.4", "S2.9", "S4.1", "S4.2", "S4.3", "T2.1", "R8.1", "R23.2", "R23.14")
def test_a_completed_task_has_a_record_and_no_worker(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.submit(task, status="COMPLETED", result={"a": 1}, workerId="another")
    assert reply.status == 200
    assert exact({**reply.json, "completedAt": 0}) == exact(
        {"taskId": task["id"], "status": "COMPLETED", "result": {"a": 1}, "completedAt": 0}
    )
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["resultKey"]) == ("COMPLETED", "NONE", "codeq:results")
    assert not seen.keys() & {"workerId", "leaseUntil", "error"}


@checks("S2.7")
def test_a_result_is_encoded_as_a_payload(contract: CaseContext) -> None:
    result = b'{"b":1.0,"a":{"z":"<&>\\u00e9","\\u0041":1e21},"B":[12345678901234567890,-0.0,true,null]}'
    reply = contract.worker.post(
        f"{TASKS}/{contract.leased()['id']}/result", b'{"status":"COMPLETED","result":%b}' % result
    )
    encoded = '{"B":[12345678901234567000,-0,true,null],"a":{"A":1e+21,"z":"\\u003c\\u0026\\u003eé"},"b":1}'
    assert f',"result":{encoded},' in reply.text


@checks("S2.5", "S2.8", "S2.11")
@needs("known_settings")
def test_a_record_has_the_time_of_the_result_in_the_servers_zone(contract: CaseContext) -> None:
    task = contract.leased()
    contract.clock.sleep(0.01)
    reply = contract.worker.submit(task)
    completed, updated = reply.json["completedAt"], contract.worker.seen(task)["updatedAt"]
    late = SECOND if contract.time_bounds.exact else 15 * SECOND
    assert contract.lies_after(reply, 0, completed)
    assert parse_moment(completed) <= parse_moment(updated) <= parse_moment(completed) + late
    assert zone_of(completed) == zone_of(task["createdAt"])


@checks("S2.3", "S4.1", "S4.2", "S4.3", "S4.4", "S4.5")
def test_a_failed_task_keeps_its_error(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.submit(task, status="FAILED", error=" it broke")
    assert reply.status == 200
    assert exact({**reply.json, "completedAt": 0}) == exact(
        {"taskId": task["id"], "status": "FAILED", "error": " it broke", "completedAt": 0}
    )
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["error"]) == ("FAILED", "NONE", " it broke")
    assert (seen["attempts"], seen["resultKey"]) == (1, "codeq:results")
    assert not seen.keys() & {"workerId", "leaseUntil"}


@checks("S4.6")
def test_an_ended_task_is_never_handed_out_again(contract: CaseContext) -> None:
    for fields in ({"status": "FAILED", "error": "x"}, {"status": "COMPLETED", "result": {}}):
        task = contract.leased()
        contract.worker.submit(task, **fields)
        ended = contract.worker.seen(task)
        assert [contract.worker.claim(task["command"]).status for _ in range(2)] == [204, 204]
        assert contract.worker.seen(task) == ended


@checks("S2.10")
def test_a_completed_task_may_have_an_error(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.submit(task, status="COMPLETED", result={"a": 1}, error="but slowly")
    assert (reply.status, reply.json["result"], reply.json["error"]) == (200, {"a": 1}, "but slowly")
    assert contract.worker.seen(task)["error"] == "but slowly"


@checks("S2.2")
def test_an_empty_result_is_left_out(contract: CaseContext) -> None:
    task = contract.leased()
    reply = contract.worker.submit(task, status="COMPLETED", result={})
    assert list(reply.json) == ["taskId", "status", "completedAt"]
    assert list(contract.worker.result(task).json["result"]) == ["taskId", "status", "completedAt"]


@checks("S2.6")
@pytest.mark.parametrize("result", [[1], "x", 1, 0.5, True, False])
def test_a_result_that_is_no_object_is_a_bad_body(contract: CaseContext, result: object) -> None:
    task = contract.leased()
    reply = contract.worker.submit(task, status="COMPLETED", result=result)
    assert reply.refusal == (400, "invalid request body")
    assert contract.worker.seen(task) == task


@checks("S1.1", "S1.3", "S1.4", "S1.9")
def test_a_result_needs_a_task_in_progress(contract: CaseContext) -> None:
    assert contract.worker.submit("none").refusal == (404, "task not found")
    waiting = contract.producer.created(contract.command())
    delayed = contract.producer.created(contract.command(), delaySeconds=3600)
    ended = contract.leased()
    contract.worker.submit(ended)
    record = contract.worker.result(ended)
    for task in (waiting, delayed, ended):
        before = contract.worker.seen(task)
        assert contract.worker.submit(task, status="FAILED", error="x").refusal == (409, "not-in-progress")
        assert contract.worker.seen(task) == before
    assert contract.worker.result(ended).body == record.body


@checks("S1.10", "S1.12")
def test_a_task_that_is_not_in_progress_is_reported_before_a_wrong_status(contract: CaseContext) -> None:
    waiting = contract.producer.created(contract.command())
    for wrong in ({"status": "X"}, {"status": "COMPLETED"}, {"status": "FAILED"}):
        assert contract.worker.submit("none", **wrong).refusal == (404, "task not found")
        assert contract.worker.submit(waiting, **wrong).refusal == (409, "not-in-progress")


@checks("S1.11")
@needs("many_workers")
def test_another_worker_is_reported_before_a_wrong_status(contract: CaseContext) -> None:
    task = contract.leased()
    for wrong in ({"status": "X"}, {"status": "COMPLETED"}, {"status": "FAILED"}):
        assert contract.worker2.submit(task, **wrong).refusal == (403, "not-owner")


@checks("S1.5", "S1.6", "S1.7", "S1.8", "S1.9", "S1.15")
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"status": "COMPLETED"}, "result required when status=COMPLETED"),
        ({"status": "COMPLETED", "result": None, "error": "x"}, "result required when status=COMPLETED"),
        ({"status": "FAILED"}, "error required when status=FAILED"),
        ({"status": "FAILED", "error": " \t\n"}, "error required when status=FAILED"),
        ({"status": "completed", "result": {}}, "invalid status"),
        ({"status": "Failed", "error": "x"}, "invalid status"),
        ({"status": "IN_PROGRESS", "result": {}, "error": "x"}, "invalid status"),
        ({"result": {}}, "invalid request body"),
        ({"status": "", "result": {}}, "invalid request body"),
    ],
)
def test_a_result_says_how_it_ended(contract: CaseContext, fields: dict[str, Any], error: str) -> None:
    task = contract.leased()
    assert contract.worker.submit(task, **fields).refusal == (400, error)
    assert contract.worker.seen(task) == task
    assert contract.worker.result(task).refusal == (404, "result not found")


@checks("S7.1", "S7.2", "S7.3", "S7.4", "S7.5", "R13.1", "R23.8")
def test_a_result_is_read_with_its_task(contract: CaseContext) -> None:
    task = contract.leased()
    assert contract.producer.result(task).refusal == (404, "result not found")
    record = contract.worker.submit(task, status="COMPLETED", result={"b": [1.5, "<"], "a": None}, error="e")
    reply = contract.producer.result(task)
    seen = contract.producer.task(task)
    assert (reply.status, reply.text) == (200, f'{{"result":{record.text},"task":{seen.text}}}')
    assert contract.producer.result("none").refusal == (404, "task not found")


@checks("S7.7")
@pytest.mark.parametrize(
    ("result", "read"),
    [
        (b'{"a":[-0]}', b'{"a":[0]}'),
        (b'{"a":-0}', b'{"a":0}'),
        (b'{"a":[1,-0,-0.5,2]}', b'{"a":[1,0,-0.5,2]}'),
        (rb'{"-0":"[-0]\",-0,","b":{"c":-0}}', rb'{"-0":"[-0]\",-0,","b":{"c":0}}'),
    ],
)
def test_a_minus_zero_is_read_as_zero(contract: CaseContext, result: bytes, read: bytes) -> None:
    task = contract.leased()
    submitted = contract.worker.post(f"{TASKS}/{task['id']}/result", b'{"status":"COMPLETED","result":%s}' % result)
    assert b'"result":' + result in submitted.body
    assert b'"result":' + read in contract.producer.result(task).body


@checks("S8.1")
def test_an_unknown_task_is_not_found(contract: CaseContext) -> None:
    assert contract.producer.task("none").refusal == (404, "not found")
    assert contract.producer.get(f"{TASKS}/none?a=b").status == 404


@checks("S8.2", "S7.6")
@needs("tenants")
def test_anyone_reads_any_task(contract: CaseContext) -> None:
    task = contract.leased()
    contract.worker.submit(task)
    shown, result = contract.worker.task(task), contract.worker.result(task)
    for stranger in (contract.caller("other_producer"), contract.caller("other_worker")):
        assert (stranger.task(task).status, stranger.task(task).body) == (200, shown.body)
        assert (stranger.result(task).status, stranger.result(task).body) == (200, result.body)


def zone_of(moment: str) -> str:
    """The zone of a time: what follows its seconds."""
    return moment[19:].lstrip(".0123456789")
