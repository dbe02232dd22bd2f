"""Section 14: metrics."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace

from codeq_contract.driver import Answer, Reply
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case import InconclusiveError, checks, core, needs, timed, unless, webhooks
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.metrics import metric, names_of_metrics

pytestmark = needs("metrics")

BUCKETS = ["0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "120", "300", "600", "1800", "3600"]
LATENCY = "codeq_task_processing_latency_seconds"
URL = "http://127.0.0.1:9/x"
GZIP = b"\x1f\x8b"
#: How a server writes its metrics, for some tasks of the command NAME. A value that depends on the time is N.
TEXT = """\
# HELP codeq_dlq_depth Current DLQ depth by command.
# TYPE codeq_dlq_depth gauge
codeq_dlq_depth{command="GENERATE_CREATIVE"} 0
codeq_dlq_depth{command="GENERATE_MASTER"} 0
# HELP codeq_lease_expired_total Total number of lease expirations detected during claim-time repair.
# TYPE codeq_lease_expired_total counter
codeq_lease_expired_total{command="NAME"} 1
# HELP codeq_queue_depth Current queue depth by command and queue state.
# TYPE codeq_queue_depth gauge
codeq_queue_depth{command="GENERATE_CREATIVE",queue="delayed"} 0
codeq_queue_depth{command="GENERATE_CREATIVE",queue="dlq"} 0
codeq_queue_depth{command="GENERATE_CREATIVE",queue="in_progress"} 0
codeq_queue_depth{command="GENERATE_CREATIVE",queue="ready"} 0
codeq_queue_depth{command="GENERATE_MASTER",queue="delayed"} 0
codeq_queue_depth{command="GENERATE_MASTER",queue="dlq"} 0
codeq_queue_depth{command="GENERATE_MASTER",queue="in_progress"} 0
codeq_queue_depth{command="GENERATE_MASTER",queue="ready"} 0
# HELP codeq_rate_limit_hits_total Total number of rate limit rejections, labeled by scope and operation.
# TYPE codeq_rate_limit_hits_total counter
codeq_rate_limit_hits_total{operation="cleanup",scope="admin"} 1
# HELP codeq_subscriptions_active Current active subscriptions by command (eventType).
# TYPE codeq_subscriptions_active gauge
codeq_subscriptions_active{command="GENERATE_CREATIVE"} 0
codeq_subscriptions_active{command="GENERATE_MASTER"} 1
# HELP codeq_task_claimed_total Total number of tasks claimed by workers.
# TYPE codeq_task_claimed_total counter
codeq_task_claimed_total{command="NAME"} 3
# HELP codeq_task_completed_total Total number of tasks completed, labeled by final status.
# TYPE codeq_task_completed_total counter
codeq_task_completed_total{command="NAME",status="COMPLETED"} 1
codeq_task_completed_total{command="NAME",status="FAILED"} 1
# HELP codeq_task_created_total Total number of tasks created (enqueued).
# TYPE codeq_task_created_total counter
codeq_task_created_total{command="NAME"} 3
codeq_task_created_total{command="GENERATE_MASTER"} 1
codeq_task_created_total{command="a\\"b\\\\c\\n"} 1
# HELP codeq_task_processing_latency_seconds End-to-end latency from task creation to completion (seconds).
# TYPE codeq_task_processing_latency_seconds histogram
LATENCIES
# HELP codeq_webhook_deliveries_total Total number of webhook deliveries, labeled by kind and outcome.
# TYPE codeq_webhook_deliveries_total counter
codeq_webhook_deliveries_total{command="NAME",kind="task_result",outcome="success"} 1
codeq_webhook_deliveries_total{command="GENERATE_MASTER",kind="queue_ready",outcome="success"} 1
"""


@core
@checks("L2.1", "L2.2", "L2.3", "L2.4", "L2.6")
def test_metrics_count_what_becomes_of_the_tasks_of_a_command(contract: CaseContext) -> None:
    command, other = contract.command(), contract.command()
    contract.producer.created(other)
    for fields in ({}, {}, {}, {"maxAttempts": 1}, {"delaySeconds": 3600}):
        contract.producer.created(command, **fields)
    contract.worker.submit(contract.worker.claimed(command))
    contract.worker.submit(contract.worker.claimed(command))
    contract.worker.submit(contract.worker.claimed(command), status="FAILED", error="x")
    contract.worker.nack(contract.worker.claimed(command))
    assert metric(contract, "codeq_task_created_total", command=command) == {(): 5}
    assert metric(contract, "codeq_task_claimed_total", command=command) == {(): 4}
    ends = {("COMPLETED",): 2, ("FAILED",): 2}
    assert metric(contract, "codeq_task_completed_total", command=command) == ends
    assert metric(contract, f"{LATENCY}_count", command=command) == ends
    sums = metric(contract, f"{LATENCY}_sum", command=command)
    assert (sums.keys(), all(0 <= seconds < 3600 for seconds in sums.values())) == (ends.keys(), True)
    assert metric(contract, "codeq_lease_expired_total", command=command) == {}
    assert metric(contract, "codeq_task_created_total", command=other) == {(): 1}
    assert metric(contract, "codeq_task_claimed_total", command=other) == {}
    # A collector refuses them all if one line is wrong.
    assert names_of_metrics(contract) >= {"codeq_task_completed_total", f"{LATENCY}_sum"}


@core
@checks("L2.1", "L2.2")
@needs("batch")
def test_metrics_count_each_task_of_a_batch(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.create_batch([{"command": command, "payload": 1}, {"command": command, "payload": 2}])
    contract.worker.claim_batch(command, count=3)
    assert metric(contract, "codeq_task_created_total", command=command) == {(): 2}
    assert metric(contract, "codeq_task_claimed_total", command=command) == {(): 2}


@core
@checks("L2.5")
@needs("batch")
def test_results_in_a_batch_are_not_counted(contract: CaseContext) -> None:
    task = contract.leased()
    contract.worker.submit_batch([{"taskId": task["id"], "status": "COMPLETED", "result": {}}])
    assert contract.worker.seen(task)["status"] == "COMPLETED"
    for name in ("codeq_task_completed_total", f"{LATENCY}_count"):
        assert metric(contract, name, command=task["command"]) == {}


@core
@checks("L2.18")
def test_a_command_is_counted_as_it_was_created(contract: CaseContext) -> None:
    command = contract.command()
    for spelling in (command, command.lower(), command.lower()):
        contract.producer.created(spelling)
    for _ in range(3):
        contract.worker.submit(contract.worker.claimed(command.title()))
    for name in ("codeq_task_created_total", "codeq_task_claimed_total"):
        counts = [metric(contract, name, command=each) for each in (command, command.lower(), command.title())]
        assert counts == [{(): 1}, {(): 2}, {}]
    assert metric(contract, "codeq_task_completed_total", command=command.lower()) == {("COMPLETED",): 2}


@core
@checks("L2.14", "L2.19")
def test_gauges_are_those_of_the_built_in_commands(contract: CaseContext) -> None:
    contract.producer.created(contract.command())
    commands = ["GENERATE_CREATIVE", "GENERATE_MASTER"]
    places = ["delayed", "dlq", "in_progress", "ready"]
    assert sorted(metric(contract, "codeq_queue_depth")) == [(name, place) for name in commands for place in places]
    assert sorted(metric(contract, "codeq_dlq_depth")) == [(name,) for name in commands]
    assert sorted(metric(contract, "codeq_subscriptions_active")) == [(name,) for name in commands]


@timed
@checks("L2.7", "L2.8", "L2.9")
@needs("known_settings")
def test_metrics_have_expired_leases_and_the_time_from_create_to_end(contract: CaseContext) -> None:
    command = contract.command()
    created = contract.producer.create(command)
    claimed = contract.worker.claim(command, leaseSeconds=2)
    contract.wait_out(contract.lease_end(claimed, 2))
    wait_for_reaper(contract, claimed)
    task = contract.eventually_claimed(contract.worker, command)
    ended = contract.worker.submit(task)
    assert metric(contract, "codeq_lease_expired_total", command=command) == {(): 1}
    least, most = (ended.called - created.returned) / SECOND, (ended.returned - created.called) / SECOND
    margin = 0 if contract.time_bounds.exact else 0.1
    [total] = metric(contract, f"{LATENCY}_sum", command=command).values()
    assert least - margin <= total <= most + margin
    buckets = metric(contract, f"{LATENCY}_bucket", command=command, status="COMPLETED")
    assert [float(bound) for (bound,) in buckets] == [*map(float, BUCKETS), float("inf")]
    for (bound,), count in buckets.items():
        if not least - margin <= float(bound) <= most + margin:
            assert count == (float(bound) > most), bound


@timed
@checks("L2.21", "L2.22", "L2.23")
@needs("variants", "own_store", "rate_limit", "admin", "subscriptions", "webhooks")
@unless("pebble")
def test_metrics_are_written_as_prometheus_writes_them(contract: CaseContext) -> None:
    with contract.server({}, yaml="rateLimit: {admin: {requestsPerMinute: 1, burstSize: 1}}\n") as server:
        command, hook = server.command(), server.hook()
        server.worker.subscribe(callbackUrl=hook.url, eventTypes=["GENERATE_MASTER"], ttlSeconds=3600)
        for other in ("GENERATE_MASTER", 'a"b\\c\n'):
            server.producer.created(other)
        server.producer.created(command, webhook=hook.url)
        server.worker.submit(server.worker.claimed(command))
        server.producer.created(command)
        server.worker.submit(server.worker.claimed(command), status="FAILED", error="x")
        server.producer.created(command)
        claimed = server.worker.claim(command, leaseSeconds=2)
        assert [server.admin.clean_up(before="2000-01-01T00:00:00Z").status for _ in range(2)] == [200, 429]
        server.clock.eventually(lambda: deliveries(server, command), within=contract.patience)
        server.wait_out(server.lease_end(claimed, 2))
        server.worker.claim(command)
        assert shown(server.anonymous.get("/metrics")) == expected(command)


@core
@checks("L2.24")
def test_a_client_that_accepts_gzip_gets_metrics_compressed(contract: CaseContext) -> None:
    contract.producer.created(contract.command())
    plain = contract.anonymous.get("/metrics", Accept_Encoding="identity")
    packed = contract.anonymous.get("/metrics", Accept_Encoding="gzip")
    assert (plain.status, packed.status) == (200, 200)
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=values"
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-type"] == plain.headers["content-type"]
    # Some clients have unpacked it already.
    text = gzip.decompress(packed.body) if packed.body.startswith(GZIP) else packed.body
    assert shown(replace(packed, body=text)) == shown(plain) != ""


@timed
@checks("L2.20")
@needs("known_settings")
def test_an_expired_lease_is_counted_for_the_command_of_the_claim_that_found_it(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    claimed = contract.worker.claim(command, leaseSeconds=2)
    contract.wait_out(contract.lease_end(claimed, 2))
    contract.worker.claim(command.lower())
    by_command, by_lower_case = (
        metric(contract, "codeq_lease_expired_total", command=name) for name in (command, command.lower())
    )
    if contract.time_bounds.has_unforeseen_reaper and by_command:
        raise InconclusiveError("the reaper has looked before the claim")
    assert (by_command, by_lower_case) == ({}, {(): 1})


@timed
@checks("L2.17")
@needs("variants", "own_store", "subscriptions")
def test_a_gauge_has_the_active_subscriptions(contract: CaseContext) -> None:
    with contract.server({}) as server:
        for commands, seconds in ((["GENERATE_MASTER"], 300), (["generate_master"], 3), ([], 300), (["X"], 300)):
            assert server.worker.subscribe(callbackUrl=URL, eventTypes=commands, ttlSeconds=seconds).status == 200
        active = metric(server, "codeq_subscriptions_active")
        assert active == {("GENERATE_MASTER",): 3, ("GENERATE_CREATIVE",): 1}
        server.clock.sleep(5)
        active = metric(server, "codeq_subscriptions_active")
        assert active == {("GENERATE_MASTER",): 2, ("GENERATE_CREATIVE",): 1}


@webhooks
@checks("L2.10")
@needs("webhooks")
def test_a_callback_that_is_answered_at_last_is_one_success(contract: CaseContext) -> None:
    hook = contract.hook(500)
    task = contract.leased(webhook=hook.url)
    contract.worker.submit(task)
    contract.clock.eventually(lambda: deliveries(contract, task["command"]), within=contract.patience)
    assert len(hook.received) == 2
    assert deliveries(contract, task["command"]) == {("task_result", "success"): 1}


@webhooks
@checks("L2.11", "L2.25")
@needs("webhooks", "variants")
def test_a_callback_that_is_given_up_is_one_failure(contract: CaseContext) -> None:
    with contract.server({"RESULT_WEBHOOK_MAX_ATTEMPTS": "2"}) as server:
        silent = [server.leased(maxAttempts=1) for _ in range(3)]  # they have no webhook
        server.worker.submit(silent[0])
        server.worker.submit_batch([{"taskId": silent[1]["id"], "status": "COMPLETED", "result": {}}])
        server.worker.nack(silent[2])
        hook = server.hook(500, 500)
        task = server.leased(webhook=hook.url)
        server.worker.submit(task)
        server.clock.eventually(lambda: deliveries(server, task["command"]), within=contract.patience)
        assert len(hook.received) == 2
        assert deliveries(server, task["command"]) == {("task_result", "failure"): 1}
        assert [deliveries(server, each["command"]) for each in silent] == [{}] * 3


@webhooks
@checks("L2.12")
@needs("webhooks", "subscriptions")
def test_notices_are_counted_by_their_outcome(contract: CaseContext) -> None:
    command, hooks = contract.command(), [contract.hook(), contract.hook(500), contract.hook()]
    for hook in hooks:
        contract.worker.subscribe(callbackUrl=hook.url, eventTypes=[command])
    contract.producer.created(command)
    contract.clock.eventually(lambda: sum(deliveries(contract, command).values()) == 3, within=contract.patience)
    assert deliveries(contract, command) == {("queue_ready", "success"): 2, ("queue_ready", "failure"): 1}


def shown(reply: Reply) -> str:
    """The metrics of CodeQ among all of a server, without the values that depend on the time."""
    lines = [line for line in reply.text.split("\n") if "codeq_" in line]
    return "".join(re.sub(r"^(\w+_(?:sum|bucket)\{.*\}) [0-9.e-]+$", r"\1 N", line) + "\n" for line in lines)


def expected(command: str) -> str:
    """The text of the metrics, with this command."""
    latencies = [
        f'{LATENCY}_{part}{{command="NAME",status="{status}"{bound}}} {value}'
        for status in ("COMPLETED", "FAILED")
        for part, bound, value in (
            *(("bucket", f',le="{bound}"', "N") for bound in (*BUCKETS, "+Inf")),
            ("sum", "", "N"),
            ("count", "", "1"),
        )
    ]
    return TEXT.replace("LATENCIES", "\n".join(latencies)).replace("NAME", command)


def wait_for_reaper(contract: CaseContext, claimed: Reply) -> None:
    """Wait until the reaper, if there is one, has taken the lease. A claim at the same moment would count it again."""
    if contract.time_bounds.store.reaper:
        contract.clock.eventually(
            lambda: contract.worker.seen(claimed.json)["lastKnownLocation"] != "INPROG_SET", within=contract.patience
        )


@webhooks
@checks("L2.11")
@needs("webhooks", "variants")
def test_no_answer_and_too_many_redirects_are_failures(contract: CaseContext) -> None:
    with contract.server({"RESULT_WEBHOOK_MAX_ATTEMPTS": "1"}) as server:
        redirects = server.hook()
        for _ in range(10):
            redirects = server.hook(Answer(307, redirects.url))
        tasks = [server.leased(webhook=url) for url in (URL, redirects.url)]
        for task in tasks:
            server.worker.submit(task)
        server.clock.eventually(
            lambda: all(deliveries(server, task["command"]) for task in tasks), within=contract.patience
        )
        for task in tasks:
            assert deliveries(server, task["command"]) == {("task_result", "failure"): 1}


def deliveries(contract: CaseContext, command: str) -> dict[tuple[str, ...], float]:
    """How many callbacks and notices of the command have which outcome."""
    return metric(contract, "codeq_webhook_deliveries_total", command=command)
