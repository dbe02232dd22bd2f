"""Section 1: the order of keys in replies, and what is escaped in their strings (R23)."""

from __future__ import annotations

from codeq_contract.driver import SUBSCRIPTIONS, TASKS, TRACING
from codeq_contract.suite.case import checks, core, needs, unless
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
URL = "http://127.0.0.1:9/x"


@checks("R23.1", "R23.6", "R23.8")
def test_the_keys_of_a_task_have_their_order(contract: CaseContext) -> None:
    task = contract.leased(priority=3, webhook=URL, maxAttempts=9)
    assert " ".join(task) == (
        "id command payload priority webhook status lastKnownLocation workerId leaseUntil attempts maxAttempts "
        "tenantId createdAt updatedAt"
    )
    other = contract.leased(maxAttempts=9)
    contract.worker.submit(other, status="FAILED", error="x")
    reply = contract.worker.result(other)
    assert list(reply.json) == ["result", "task"]
    assert " ".join(reply.json["task"]) == (
        "id command payload status lastKnownLocation attempts maxAttempts error resultKey tenantId createdAt updatedAt"
    )
    assert list(contract.worker.nack(task).json) == ["delaySeconds", "status"]


@checks("R23.1")
@needs("tracing", "variants")
@unless("pebble")
def test_the_keys_of_a_trace_come_after_the_webhook(contract: CaseContext) -> None:
    with contract.server(TRACING) as server:
        body = {"command": server.command(), "payload": 1, "webhook": URL}
        task = server.producer.post(TASKS, body, traceparent=TRACE, tracestate="a=b").json
        assert " ".join(task) == (
            "id command payload webhook traceParent traceState status lastKnownLocation maxAttempts tenantId createdAt "
            "updatedAt"
        )


@checks("R23.2", "R23.3")
@needs("artifacts")
def test_the_keys_of_a_record_and_of_an_artifact_have_their_order(contract: CaseContext) -> None:
    fields = {"error": "e", "result": {"a": 1}, "artifacts": [{"url": "https://x.test/a", "name": "n"}]}
    record = contract.worker.submit(contract.leased(), status="FAILED", **fields).json
    assert list(record) == ["taskId", "status", "result", "error", "artifacts", "completedAt"]
    assert list(record["artifacts"][0]) == ["name", "url"]


@checks("R23.5")
@needs("batch")
def test_the_keys_of_an_item_of_results_have_their_order(contract: CaseContext) -> None:
    done = {"taskId": contract.leased()["id"], "status": "COMPLETED", "result": {}}
    items = contract.worker.submit_batch([done, {"taskId": contract.leased()["id"], "status": "COMPLETED"}])
    assert [list(item) for item in items.json["results"]] == [["taskId", "result"], ["taskId", "error"]]


@checks("R23.7")
@needs("subscriptions")
def test_the_keys_of_a_subscription_have_their_order(contract: CaseContext) -> None:
    made = contract.worker.subscribe(callbackUrl=URL, eventTypes=[contract.command()])
    assert list(made.json) == ["expiresAt", "subscriptionId"]
    renewed = contract.worker.post(f"{SUBSCRIPTIONS}/{made.json['subscriptionId']}/heartbeat", {})
    assert list(renewed.json) == ["expiresAt", "subscriptionId"]


@checks("R23.12", "R23.13")
def test_the_strings_of_a_task_are_escaped(contract: CaseContext) -> None:
    odd, escaped = "<>&\u2028\u2029é", rb"\u003c\u003e\u0026\u2028\u2029" + "é".encode()
    command = contract.command() + odd
    created = contract.producer.create(command, odd, webhook=f"{URL}?a=<b>&c")
    for reply in (created, contract.worker.claim(command), contract.producer.task(created.json)):
        assert b'"command":"' + command.removesuffix(odd).encode() + escaped + b'"' in reply.body
        assert rb'"payload":"\"' + escaped.replace(rb"\u", rb"\\u") + rb'\""' in reply.body
        assert URL.encode() + rb'?a=\u003cb\u003e\u0026c"' in reply.body
        assert reply.json["command"] == command


@checks("R23.14")
@needs("artifacts")
def test_the_strings_of_a_record_are_escaped(contract: CaseContext) -> None:
    odd, escaped = "<>&\u2028\u2029é", rb"\u003c\u003e\u0026\u2028\u2029" + "é".encode()
    artifacts = [{"name": odd, "url": f"https://x.test/{odd}"}]
    task = contract.leased()
    fields = {"status": "FAILED", "error": odd, "result": {odd: [odd]}, "artifacts": artifacts}
    record = contract.worker.submit(task, **fields)
    for reply in (record, contract.worker.result(task)):
        assert b'"error":"' + escaped + b'"' in reply.body
        assert b'"result":{"' + escaped + b'":["' + escaped + b'"]}' in reply.body
        assert b'{"name":"' + escaped + b'","url":"https://x.test/' + escaped + b'"}' in reply.body


@checks("R23.14")
@needs("artifacts")
def test_an_error_text_is_escaped(contract: CaseContext) -> None:
    odd, escaped = "<>&\u2028\u2029é", rb"\u003c\u003e\u0026\u2028\u2029" + "é".encode()
    fields = {"status": "FAILED", "error": "x", "artifacts": [{"name": odd, "contentBase64": "!"}]}
    reply = contract.worker.submit(contract.leased(), **fields)
    assert reply.status == 400
    assert reply.body.startswith(b'{"error":"artifact ' + escaped + b" base64 decode: ")
