"""What the main branch does on its embedded store Pebble (P1 to P16)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from codeq_contract.cases.subscriptions import counts, subscribed, two_groups, with_retry
from codeq_contract.driver import TASKS, Span
from codeq_contract.driver.server_settings import TRACING
from codeq_contract.recordings.times import MILLISECOND, SECOND, moment_text, parse_moment
from codeq_contract.suite.case import InconclusiveError, Sighting, checks, core, needs, only, timed, webhooks
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.metrics import metric

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

#: For how long nothing happens between a lease's end and the reaper's next look, at least.
_QUIET = 800 * MILLISECOND


# The reaper (P1).


@timed
@checks("P1.1")
def test_the_reaper_requeues_a_task_though_nobody_claims(contract: CaseContext) -> None:
    task = reaped(contract)
    assert (task["status"], task["attempts"]) == ("PENDING", 2)
    assert not task.keys() & {"workerId", "leaseUntil", "error"}


@timed
@checks("P1.3")
@needs("admin")
def test_a_task_that_the_reaper_requeued_is_counted_as_delayed(contract: CaseContext) -> None:
    assert sizes(contract, reaped(contract)["command"]) == [0, 1, 0, 0]


@timed
@checks("P1.2")
def test_the_reaper_looks_every_2_seconds(contract: CaseContext) -> None:
    tasks = [contract.leased(seconds) for seconds in (1, 2, 3, 4)]
    contract.clock.sleep(6.5)
    first, *others = (parse_moment(contract.worker.seen(task)["updatedAt"]) for task in tasks)
    for other in others:
        after = (other - first + SECOND) % (2 * SECOND) - SECOND
        if abs(after) >= SECOND // 2:
            raise _unlike_reaper(contract, f"looked {after / SECOND} s from a multiple of 2 s")
    assert max(others) - first >= SECOND


@timed
@checks("K7.1", "K7.3", "K7.4", "K7.16")
@needs("tenants")
def test_nothing_but_a_claim_of_its_command_and_tenant_moves_a_due_task(contract: CaseContext) -> None:
    command = contract.command()
    created = contract.producer.create(command, delaySeconds=1)
    contract.wait_out(contract.delay_end(created, 1))
    contract.worker.claim(contract.command())
    contract.caller("other_worker").claim(command)
    contract.worker.submit(contract.leased())
    assert contract.worker.seen(created.json) == created.json
    assert contract.worker.claimed(command)["id"] == created.json["id"]


@webhooks
@checks("P1.2")
def test_the_reaper_looks_no_sooner_because_of_a_callback(contract: CaseContext) -> None:
    task = contract.leased(600)
    with_retry(contract)
    assert contract.worker.seen(task) == task


@timed
@checks("P1.2", "P2.1")
@needs("variants", "long_waits")
def test_the_reaper_looks_first_2_seconds_after_the_start(contract: CaseContext) -> None:
    with contract.server({}) as server:
        ended, kept = server.leased(1), server.leased(2)
        server.worker.heartbeat(kept, extendSeconds=600)
        server.clock.sleep(1.999)
        assert server.worker.seen(ended) == ended
        server.clock.sleep(0.001)
        assert [server.worker.seen(task)["lastKnownLocation"] for task in (ended, kept)] == [
            "DELAYED_ZSET",
            "INPROG_SET",
        ]


# Leases (P2, P3, P4, P16).


@timed
@checks("P2.1", "P2.2")
@pytest.mark.parametrize("fraction", [1, 300, 999])
def test_a_lease_ends_with_the_second_of_its_end(contract: CaseContext, fraction: int) -> None:
    contract.wait_for_fraction(fraction * MILLISECOND)
    held, ended = contract.leased(3), contract.leased(3)
    end = contract.clock.now() // SECOND * SECOND + 3 * SECOND
    contract.clock.until(end - 1)
    contract.worker.claim(held["command"])
    assert contract.worker.seen(held) == held
    contract.clock.until(end)
    contract.worker.claim(ended["command"])
    assert contract.worker.seen(ended)["lastKnownLocation"] == "DELAYED_ZSET"


@timed
@checks("P3.1")
def test_a_late_heartbeat_renews_a_lease(contract: CaseContext) -> None:
    task, reaper_looks_at = expired(contract)
    beat = contract.worker.heartbeat(task, extendSeconds=600)
    contract.surely_before(beat, reaper_looks_at)
    assert beat.status == 200
    contract.worker.claim(task["command"])
    contract.clock.sleep(3)
    assert contract.worker.seen(task)["lastKnownLocation"] == "INPROG_SET"


@timed
@checks("P4.1")
def test_a_late_result_is_accepted_before_the_reaper_looks(contract: CaseContext) -> None:
    task, reaper_looks_at = expired(contract)
    contract.surely_before(contract.worker.submit(task), reaper_looks_at)
    assert contract.worker.seen(task)["status"] == "COMPLETED"
    contract.saw(Sighting.LATE_RESULT)


@timed
@checks("P3.2", "P4.2")
def test_after_the_reaper_a_heartbeat_and_a_result_are_refused(contract: CaseContext) -> None:
    task = reaped(contract)
    assert contract.worker.heartbeat(task).refusal == (403, "not-owner")
    assert contract.worker.submit(task).refusal == (409, "not-in-progress")
    assert contract.worker.seen(task) == task


@core
@checks("P16.1", "P16.2")
@pytest.mark.parametrize("seconds", [9_223_372_037, 2**63 - 1])
def test_a_lease_of_any_length_is_accepted(contract: CaseContext, seconds: int) -> None:
    command = contract.command()
    contract.producer.created(command)
    reply = contract.worker.claim(command, leaseSeconds=seconds)
    assert (reply.status, reply.json["status"], reply.json["attempts"]) == (200, "IN_PROGRESS", 1)
    assert parse_moment(reply.json["leaseUntil"]) < reply.called


@timed
@checks("K7.15")
@only("main")
@needs("store:pebble", "batch", "known_settings")
def test_a_claim_of_a_batch_repairs_before_the_reaper(contract: CaseContext) -> None:
    task, reaper_looks_at = expired(contract)
    contract.surely_before(contract.worker.claim_batch(task["command"], count=1), reaper_looks_at)
    repaired = contract.worker.seen(task)
    assert (repaired["status"], repaired["lastKnownLocation"], repaired["attempts"]) == ("PENDING", "DELAYED_ZSET", 2)


# Callbacks of leases that ran out (P5).


@webhooks
@checks("P5.1")
def test_a_dead_letter_of_the_reaper_calls_the_webhook_of_its_task(contract: CaseContext) -> None:
    hook = contract.hook()
    task = contract.leased(1, webhook=hook.url, maxAttempts=1)
    contract.clock.eventually(lambda: bool(hook.received), within=contract.time_bounds.patience)
    seen, body = contract.worker.seen(task), json.loads(hook.received[0].body)
    assert (seen["status"], seen["error"], seen["lastKnownLocation"]) == ("FAILED", "LEASE_EXPIRED", "DLQ_SET")
    assert parse_moment(body.pop("completedAt")) // SECOND == parse_moment(seen["updatedAt"]) // SECOND
    assert body == {
        "taskId": task["id"],
        "eventType": task["command"],
        "status": "FAILED",
        "result": None,
        "error": "LEASE_EXPIRED",
        "artifacts": None,
    }


@timed
@checks("P5.3")
@needs("metrics")
def test_a_dead_letter_of_the_reaper_is_counted_without_its_latency(contract: CaseContext) -> None:
    task, patience = contract.leased(1, maxAttempts=1), contract.time_bounds.patience
    contract.clock.eventually(lambda: contract.worker.seen(task)["status"] == "FAILED", within=patience)
    command = task["command"]
    assert metric(contract, "codeq_task_completed_total", command=command) == {("FAILED",): 1}
    assert metric(contract, "codeq_task_processing_latency_seconds_count", command=command) == {}


@webhooks
@checks("P5.2")
def test_a_dead_letter_of_a_claims_repair_calls_no_webhook(contract: CaseContext) -> None:
    hook = contract.hook()
    task, reaper_looks_at = expired(contract, webhook=hook.url, maxAttempts=1)
    contract.surely_before(contract.worker.claim(task["command"]), reaper_looks_at)
    assert contract.worker.seen(task)["lastKnownLocation"] == "DLQ_SET"
    contract.clock.sleep(3)
    assert hook.received == []


# What the reaper requeues (P6).


@timed
@pytest.mark.parametrize(
    "wake",
    [
        pytest.param(
            lambda contract, command: contract.producer.created(command, delaySeconds=3600),
            marks=checks("P6.1", "P6.2"),
            id="create with a delay",
        ),
        pytest.param(
            lambda contract, command: contract.worker.nack(a_claimed(contract, command), delaySeconds=60),
            marks=checks("P6.1", "P6.3"),
            id="nack",
        ),
    ],
)
def test_a_task_that_the_reaper_requeued_is_stuck_until_another_is_delayed(
    contract: CaseContext, wake: Callable[[CaseContext, str], object]
) -> None:
    task = stuck(contract)
    wake(contract, task["command"])
    assert contract.worker.claimed(task["command"])["id"] == task["id"]


@timed
@checks("P6.4")
def test_a_delayed_task_of_another_command_wakes_nothing(contract: CaseContext) -> None:
    task = stuck(contract)
    contract.producer.created(contract.command(), delaySeconds=3600)
    assert contract.worker.claim(task["command"]).status == 204
    assert contract.worker.seen(task) == task


# Jitter (P7).


@timed
@checks("P7.1")
def test_the_first_jittered_delay_after_an_expiry_is_1_second(contract: CaseContext) -> None:
    with contract.server({"BACKOFF_POLICY": "exp_full_jitter", "BACKOFF_BASE_SECONDS": "5"}) as server:
        for _ in range(4):
            task, _ = expired(server)
            repair = server.worker.claim(task["command"])
            server.clock.until(repair.called // SECOND * SECOND + SECOND - MILLISECOND)
            early = server.worker.claim(task["command"]).status
            server.clock.sleep(0.001)
            assert (early, server.worker.claim(task["command"]).status) == (204, 200)


@core
@checks("P7.2")
def test_the_jittered_delay_after_a_nack_is_drawn(contract: CaseContext) -> None:
    with contract.server({"BACKOFF_POLICY": "exp_full_jitter", "BACKOFF_BASE_SECONDS": "60"}) as server:
        delays = {server.worker.nack(server.leased()).json["delaySeconds"] for _ in range(8)}
    assert len(delays) > 1  # by chance once in 120 ** 7


# The end of a task (P8).


@timed
@checks("P8.1")
def test_a_task_is_gone_a_day_after_its_creation(contract: CaseContext) -> None:
    command = contract.command()
    task = contract.producer.created(command)
    contract.clock.sleep(23 * 3600)
    contract.worker.submit(contract.worker.claimed(command))
    contract.clock.sleep(3600 - 31)
    assert contract.worker.seen(task)["status"] == "COMPLETED"
    contract.clock.sleep(62)
    assert contract.worker.task(task).refusal == (404, "not found")


@timed
@checks("P8.1")
@needs("variants")
def test_every_30_seconds_tasks_end_that_are_a_day_old(contract: CaseContext) -> None:
    with contract.server({}) as server:
        start = server.clock.now()
        left = server.producer.created(server.command())
        server.clock.sleep(1)
        task = server.producer.created(server.command())
        server.clock.sleep(39)
        server.worker.claimed(left["command"])
        assert server.admin.clean_up(before=long_after(server), limit=1).json["deleted"] == 1
        server.clock.until(start + (86_400 + 30) * SECOND - MILLISECOND)
        assert server.worker.task(task).status == 200
        server.clock.sleep(0.001)
        assert server.worker.task(task).status == 404


@core
@checks("P8.2", "M3.14", "M3.15", "M3.16", "R16.1")
def test_a_clean_up_leaves_the_counts_of_a_queue(contract: CaseContext) -> None:
    with contract.server({}) as server:
        task = server.producer.created(server.command())
        assert server.admin.clean_up(before=long_after(server)).status == 200
        assert server.producer.task(task).refusal == (404, "not found")
        assert server.producer.result(task).refusal == (404, "task not found")
        assert server.admin.queue(task["command"]).json["ready"] == 1
        assert server.worker.claim(task["command"]).status == 204


@timed
@checks("P8.4")
def test_a_claim_finds_what_a_clean_up_left_of_leases_and_of_delays_that_are_over(contract: CaseContext) -> None:
    with contract.server({}) as server:
        held = server.leased(600)
        command = held["command"]
        server.producer.created(command, delaySeconds=3600)
        server.producer.created(command, maxAttempts=1)
        server.worker.nack(server.worker.claimed(command))
        due = server.producer.create(command, delaySeconds=2)
        assert server.admin.clean_up(before=long_after(server)).json["deleted"] >= 4
        assert sizes(server, command) == [0, 2, 1, 1]
        server.wait_out(server.delay_end(due, 2))
        assert sizes(server, command) == [0, 2, 1, 1]
        assert server.worker.claim(command).status == 204
        assert sizes(server, command) == [0, 1, 0, 1]


@timed
@checks("P8.3")
def test_a_clean_up_counts_the_seconds_in_which_a_task_changed(contract: CaseContext) -> None:
    with contract.server({}) as server:
        task = server.producer.created(server.command())
        for _ in range(3):
            server.wait_for_fraction(200 * MILLISECOND)
            server.worker.claim(server.command())  # of another command: it does not change the task
        server.worker.claimed(task["command"], leaseSeconds=600)
        assert server.admin.clean_up(before=long_after(server)).json["deleted"] == 2


@timed
@checks("P8.5")
def test_a_clean_up_counts_what_another_left_of_a_task(contract: CaseContext) -> None:
    with contract.server({}) as server:
        server.wait_for_fraction(200 * MILLISECOND)
        task = server.producer.created(server.command())
        seconds = [parse_moment(task["createdAt"]) // SECOND]
        for _ in range(2):
            server.wait_for_fraction(200 * MILLISECOND)
            claimed = server.worker.claimed(task["command"], leaseSeconds=600)
            seconds.append(parse_moment(claimed["updatedAt"]) // SECOND)
            server.wait_for_fraction(200 * MILLISECOND)
            server.worker.abandon(claimed)  # does not count
        for second in seconds:
            assert server.admin.clean_up(before=moment_text((second + 86_400) * SECOND)).json["deleted"] == 1
            assert server.worker.task(task).status == 404
        assert server.admin.clean_up(before=long_after(server)).json["deleted"] == 0


@timed
@checks("P8.6")
def test_what_a_clean_up_left_of_a_delayed_task_wakes_its_queue_until_it_is_due(contract: CaseContext) -> None:
    with contract.server({}) as server:
        late, soon = (server.producer.create(server.command(), delaySeconds=delay) for delay in (20, 2))
        assert server.admin.clean_up(before=long_after(server)).json["deleted"] == 2
        woken = reaped(server, late.json["command"])
        server.clock.sleep(server.settings.longest_backoff + 1)
        found = server.worker.claim(woken["command"])
        server.surely_before(found, server.delay_end(late, 20).earliest)
        assert found.json["id"] == woken["id"]
        server.wait_out(server.delay_end(soon, 2))
        assert server.worker.claim(soon.json["command"]).status == 204
        stuck(server, soon.json["command"])


# Subscriptions (P9, P10).


@webhooks
@checks("P9.3", "P10.1", "U1.9", "U3.8", "U6.1", "U8.1")
@needs("batch", "tenants")
def test_every_create_sends_a_notice_where_no_throttle_is_asked_for(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command)
    for _ in range(3):
        contract.producer.created(command)
    contract.caller("other_producer").created(command)
    contract.producer.create_batch([{"command": command, "payload": 1}] * 2)
    contract.producer.created(command, delaySeconds=3600)
    assert len(hook.received) == 6


@webhooks
@checks("U5.1", "U5.2", "U5.3")
@only("main")
@needs("store:pebble")
def test_a_throttle_that_is_asked_for_counts(contract: CaseContext) -> None:
    command, hooks, pause = contract.command(), [contract.hook(), contract.hook()], contract.seconds(4)
    subscribed(contract, hooks[0], command, minIntervalSeconds=pause)
    first = contract.producer.create(command)
    subscribed(contract, hooks[1], command, minIntervalSeconds=pause)
    throttled = contract.time_bounds.throttle_end(first.called, first.returned, pause)
    contract.surely_before(contract.producer.create(command), throttled.earliest)
    assert counts(hooks) == [1, 1]
    contract.wait_out(throttled)
    contract.producer.created(command)
    assert len(hooks[0].received) == 2


@webhooks
@checks("P9.4", "U6.4", "U6.6", "U6.7", "U7.1", "U7.2")
def test_the_first_of_a_group_has_the_first_turn(contract: CaseContext) -> None:
    commands = [contract.command(), contract.command()]
    hooks = two_groups(contract, commands, minIntervalSeconds=60)
    # The second turn is the second member's, and lost; the third one is the first member's, and throttled.
    for command in (commands[0], commands[0], commands[0], commands[1]):
        contract.producer.created(command)
        assert counts(hooks) == [1, 0, 1, 0]


@webhooks
@checks("P9.5")
def test_a_command_is_announced_only_as_a_subscriber_has_written_it(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command.lower())
    contract.producer.created(command)
    assert hook.received == []
    subscribed(contract, hook, command)
    contract.producer.created(command)
    assert len(hook.received) == 2


@webhooks
@checks("P9.6", "U9.3")
def test_an_expired_subscription_of_any_command_is_swept(contract: CaseContext) -> None:
    with contract.server({"SUBSCRIPTION_CLEANUP_INTERVAL_SECONDS": "1"}) as server:
        names = (server.command(), "GENERATE_MASTER")
        swept = [subscribed(server, server.hook(), name, ttlSeconds=1) for name in names]
        fields = {"eventTypes": [server.command()], "ttlSeconds": 4}
        live = server.worker.subscribe(callbackUrl=server.hook().url, **fields)
        server.clock.sleep(3.4)
        renewed = server.worker.renew(live.json["subscriptionId"])
        contract.surely_before(renewed, live.called + 4 * SECOND)
        assert renewed.status == 200
        server.clock.sleep(3)
        assert [server.worker.renew(each).status for each in swept] == [404, 404]


@webhooks
@checks("P9.7")
def test_the_sweep_counts_a_subscriber_less_to_its_command_in_lower_case(contract: CaseContext) -> None:
    with contract.server({"SUBSCRIPTION_CLEANUP_INTERVAL_SECONDS": "2"}) as server:
        command, hook = server.command(), server.hook()
        subscribed(server, server.hook(), command.upper(), ttlSeconds=1)
        server.clock.sleep(7)
        for expected in (0, 1):
            subscribed(server, hook, command.lower(), ttlSeconds=60)
            server.producer.created(command.lower())
            assert len(hook.received) == 2 * expected


@webhooks
@checks("P9.8")
def test_a_subscription_gets_notices_until_the_end_of_the_second_of_its_end(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    contract.wait_for_fraction(100 * MILLISECOND)
    fields = {"eventTypes": [command], "ttlSeconds": 2}
    end = parse_moment(contract.worker.subscribe(callbackUrl=hook.url, **fields).json["expiresAt"])
    contract.clock.until(end + 300 * MILLISECOND)
    late = contract.producer.create(command)
    contract.surely_before(late, (end // SECOND + 1) * SECOND)
    assert len(hook.received) == 1
    contract.clock.until((end // SECOND + 1) * SECOND + 100 * MILLISECOND)
    contract.producer.created(command)
    assert len(hook.received) == 1


@webhooks
@checks("P9.9")
def test_an_interval_that_is_negative_as_a_duration_is_none(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command, minIntervalSeconds=2**63 - 1)
    for _ in range(2):
        contract.producer.created(command)
    assert len(hook.received) == 2


# Keys, lists, batches and traces (P11 to P14).


@core
@checks("P11.1")
@pytest.mark.parametrize("blank", [" ", "\t\n  "])
def test_a_blank_key_is_a_key(contract: CaseContext, blank: str) -> None:
    first, again = (contract.producer.created(contract.command(), idempotencyKey=blank) for _ in range(2))
    assert again["id"] == first["id"]


@core
@checks("P12.1", "P12.2", "P12.4", "R14.1", "R23.9")
@needs("variants")
def test_the_list_of_queues_has_those_with_tasks_of_all_tenants(contract: CaseContext) -> None:
    with contract.server({}) as server:
        assert server.admin.queues().json == {}
        command = server.command()
        ours = server.producer.created(command, priority=3)["tenantId"]
        theirs = server.caller("other_producer").created(command, delaySeconds=3600)["tenantId"]
        server.producer.created(command, maxAttempts=1, priority=9)
        server.worker.nack(server.worker.claimed(command))
        server.worker.claimed(command, leaseSeconds=600)
        server.producer.created(command)
        server.producer.created(f"{command}/x")
        prefix = f"codeq:q:{command.lower()}"
        reply = server.admin.queues()
        of_ours = {f"{prefix}:{ours}:{place}": 1 for place in ("pending:0", "inprog", "dlq")}
        expected = {f"{prefix}:{theirs}:delayed": 1, **of_ours}
        assert (reply.json, list(reply.json)) == (expected, sorted(expected))


@core
@checks("P12.3")
@pytest.mark.parametrize("name", ["codeq_queue_depth", "codeq_dlq_depth", "codeq_subscriptions_active"])
def test_there_are_no_gauges(contract: CaseContext, name: str) -> None:
    contract.producer.created(contract.command())
    assert metric(contract, "codeq_task_created_total")
    assert metric(contract, name) == {}


@core
@checks("P13.1", "S6.11", "S6.14", "S6.15")
def test_an_unknown_id_leaves_the_others_in_the_batch(contract: CaseContext) -> None:
    task, ended = contract.leased(), contract.leased()
    contract.worker.submit(ended)
    artifacts = [{"name": "n", "url": "u"}]
    reply = contract.worker.submit_batch(
        [
            {"taskId": "none", "status": "COMPLETED", "result": {}},
            {"taskId": ended["id"], "status": "FAILED", "error": "e"},
            {"taskId": task["id"], "status": "COMPLETED", "result": {"i": 1}, "artifacts": artifacts},
        ]
    )
    record = contract.worker.result(task).json["result"]
    assert reply.json["results"] == [
        {"taskId": "none", "error": "task not found"},
        {"taskId": ended["id"], "error": "not-in-progress"},
        {"taskId": task["id"], "result": record},
    ]
    assert "artifacts" not in record


@core
@checks("P14.1")
def test_a_task_keeps_no_trace(contract: CaseContext) -> None:
    with contract.server(TRACING) as server:
        body = {"command": server.command(), "payload": 1}
        task = server.producer.post(TASKS, body, traceparent=TRACE, tracestate="a=b").json
        for seen in (task, server.worker.claimed(task["command"])):
            assert not seen.keys() & {"traceParent", "traceState"}


# Helpers.


def reaped(contract: CaseContext, command: str = "") -> dict[str, Any]:
    """A new task of a command, or of a new one, whose lease of a second ran out and which the reaper requeued."""
    command = command or contract.command()
    contract.producer.created(command)
    claim = contract.worker.claim(command, leaseSeconds=1)
    contract.wait_out(contract.time_bounds.lease_gone(claim.called, claim.returned, 1))
    contract.clock.eventually(
        lambda: contract.worker.seen(claim.json)["lastKnownLocation"] == "DELAYED_ZSET",
        within=contract.time_bounds.lateness / SECOND,
    )
    return contract.worker.seen(claim.json)


def sizes(contract: CaseContext, command: str) -> list[int]:
    """How many tasks the queue of a command has that are ready, delayed, in progress and dead."""
    counts = contract.admin.queue(command).json
    return [counts[name] for name in ("ready", "delayed", "inProgress", "dlq")]


def stuck(contract: CaseContext, command: str = "") -> dict[str, Any]:
    """A task that the reaper has requeued, and that no claim finds after its delay."""
    task = reaped(contract, command)
    contract.clock.sleep(contract.settings.longest_backoff + 1)
    assert contract.worker.claim(task["command"]).status == 204
    assert contract.worker.seen(task) == task
    return task


def expired(contract: CaseContext, **fields: object) -> tuple[dict[str, Any], int]:
    """A task whose lease has just ended and that was not repaired, and the moment before which the reaper will not.

    The reaper looks every 2 s, so that of two seconds one begins long enough before its next look.
    """
    look = parse_moment(reaped(contract)["updatedAt"])
    contract.wait_for_fraction(100 * MILLISECOND)
    if next_look(look, end_of_second(contract)) < end_of_second(contract) + _QUIET:
        contract.wait_for_fraction(100 * MILLISECOND)
    task, end = contract.leased(1, **fields), end_of_second(contract)
    contract.wait_out(Span(end, end + contract.time_bounds.skew))
    if contract.worker.seen(task) != task:
        raise _unlike_reaper(contract, f"repaired before {moment_text(next_look(look, end))}")
    return task, next_look(look, end) - contract.time_bounds.skew


def _unlike_reaper(contract: CaseContext, what: str) -> Exception:
    """The error of a case that saw a reaper at another moment than expected. A busy server's reaper is late."""
    error = InconclusiveError if contract.time_bounds.has_unforeseen_reaper else AssertionError
    return error(what)


def end_of_second(contract: CaseContext) -> int:
    """The end of this second."""
    return (contract.clock.now() // SECOND + 1) * SECOND


def next_look(look: int, moment: int) -> int:
    """The first look of the reaper after that moment, by an earlier one."""
    interval = 2 * SECOND
    return moment + interval - (moment - look) % interval


def a_claimed(contract: CaseContext, command: str) -> dict[str, Any]:
    """Another task of the command, which our worker holds."""
    contract.producer.created(command, priority=9)
    return contract.worker.claimed(command)


def long_after(contract: CaseContext) -> str:
    """A time after every change of a task."""
    return moment_text((contract.clock.now() // SECOND + 2 * 86_400) * SECOND)
