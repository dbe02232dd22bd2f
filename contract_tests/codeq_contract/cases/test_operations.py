"""Sections 13 to 15: admins, rate limits, metrics and traces."""

from __future__ import annotations

import re
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from codeq_contract.driver import TRACING
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

LIMITS = """
rateLimit:
  producer: {requestsPerMinute: 1, burstSize: 2}
  worker: {requestsPerMinute: 2, burstSize: 1}
  admin: {requestsPerMinute: 1, burstSize: 1}
"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, float("inf")]
GAUGES = {"codeq_queue_depth", "codeq_dlq_depth", "codeq_subscriptions_active"}


@checks("L1.2", "L1.4", "L1.5", "L1.6", "L1.7", "L1.9", "L1.10", "L1.13", "B3.3", "R23.11")
@needs("rate_limit", "variants", "admin")
def test_a_token_has_a_rate_for_each_scope(contract: CaseContext) -> None:
    with contract.server({}, yaml=LIMITS) as server:
        command = server.command()
        taken = [server.producer.create(command) for _ in range(2)]
        refused = server.producer.create_batch("not looked at")
        contract.surely_before(refused, taken[0].called + 9 * SECOND)
        assert [reply.status for reply in taken] == [202, 202]
        assert (refused.status, refused.headers["retry-after"]) == (429, str(refused.json["retryAfterSeconds"]))
        assert list(refused.json) == ["error", "operation", "retryAfterSeconds", "scope"]
        body = {name: value for name, value in refused.json.items() if name != "retryAfterSeconds"}
        assert body == {"error": "rate limit exceeded", "operation": "create_task", "scope": "producer"}
        assert 50 <= refused.json["retryAfterSeconds"] <= 60
        assert server.caller("producer2").create(command).status == 202
        assert [server.worker.claim(command).status, server.worker.claim_batch(command, count=1).status] == [200, 429]
        assert [server.admin.clean_up().status, server.admin.clean_up().status] == [200, 429]
        assert server.admin.queue(command).status == 200


@checks("L2.1", "L2.2", "L2.3", "L2.4", "L2.6", "L2.7", "L2.18", "R17.1")
@needs("metrics")
def test_metrics_count_what_becomes_of_a_command(contract: CaseContext) -> None:
    command = contract.command()
    for fields in ({}, {"maxAttempts": 1}, {}):
        contract.producer.created(command, **fields)
    contract.worker.submit(contract.worker.claimed(command))
    contract.worker.nack(contract.worker.claimed(command))
    found = samples(contract, command)
    assert found["codeq_task_created_total", ()] == 3
    assert found["codeq_task_claimed_total", ()] == 2
    assert found["codeq_task_completed_total", (("status", "COMPLETED"),)] == 1
    assert found["codeq_task_completed_total", (("status", "FAILED"),)] == 1
    bounds = [
        float(dict(labels)["le"])
        for name, labels in found
        if name.endswith("_bucket") and ("status", "FAILED") in labels
    ]
    assert bounds == BUCKETS
    assert found["codeq_task_processing_latency_seconds_count", (("status", "COMPLETED"),)] == 1


@checks("L2.5")
@needs("metrics", "batch")
def test_results_in_a_batch_are_not_counted(contract: CaseContext) -> None:
    task = contract.leased()
    contract.worker.submit_batch([{"taskId": task["id"], "status": "COMPLETED", "result": {}}])
    assert not [name for name, _ in samples(contract, task["command"]) if name == "codeq_task_completed_total"]


@checks("L2.19")
@needs("metrics")
def test_gauges_are_those_of_the_built_in_commands(contract: CaseContext) -> None:
    families = text_string_to_metric_families(contract.anonymous.get("/metrics").text)
    commands = {
        family.name: {sample.labels["command"] for sample in family.samples}
        for family in families
        if family.name in GAUGES
    }
    assert commands == {name: {"GENERATE_MASTER", "GENERATE_CREATIVE"} for name in GAUGES}


@checks("X1.2", "X1.3", "X1.4", "X1.5", "X1.6")
@needs("tracing", "variants")
def test_a_task_keeps_its_trace_and_each_claim_has_a_span(contract: CaseContext) -> None:
    with contract.server(TRACING) as server:
        command = server.command()
        caller = server.producer
        body = {"command": command, "payload": 1}
        given = caller.post(
            "/v1/codeq/tasks", body, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01", tracestate="a=b"
        ).json
        claimed = server.worker.claimed(command)
        spans = [re.fullmatch(f"00-{TRACE}-([0-9a-f]{{16}})-01", task["traceParent"]) for task in (given, claimed)]
        assert spans[0] is not None
        assert spans[1] is not None
        assert len({"00f067aa0ba902b7", spans[0][1], spans[1][1]}) == 3
        assert claimed["traceState"] == "a=b"
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", caller.created(command)["traceParent"])


@checks("X1.1")
@needs("known_settings")
def test_without_tracing_a_task_has_no_trace(contract: CaseContext) -> None:
    body = {"command": contract.command(), "payload": 1}
    task = contract.producer.post("/v1/codeq/tasks", body, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01").json
    assert not task.keys() & {"traceParent", "traceState"}


def samples(contract: CaseContext, command: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], Any]:
    """The metrics of a command, by name and the other labels."""
    page = contract.anonymous.get("/metrics")
    assert page.status == 200
    return {
        (
            sample.name,
            tuple((name, value) for name, value in sorted(sample.labels.items()) if name != "command"),
        ): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
        if sample.labels.get("command") == command
    }
