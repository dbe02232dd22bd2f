"""Section 13: lengths of queues, counts, and clean-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from codeq_contract.driver import ADMIN
from codeq_contract.driver.identities import worker as worker_of
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND, moment_text
from codeq_contract.suite.case import checks, core, needs, timed
from codeq_contract.suite.case_context import CaseContext
from codeq_contract.suite.metrics import metric

PARTS = [*(f"pending:{priority}" for priority in range(10)), "inprog", "delayed", "dlq"]
LONG_AFTER = "2099-01-01T00:00:00Z"
DAY = 24 * 3600


@core
@checks("M1.1", "M1.2", "R14.1", "R23.9")
@needs("admin")
def test_the_list_of_queues_has_the_built_in_ones(contract: CaseContext) -> None:
    contract.producer.created(contract.command())
    reply = contract.admin.queues()
    keys = {f"codeq:q:{name}:{part}" for name in ("generate_master", "generate_creative") for part in PARTS}
    assert (reply.status, set(reply.json)) == (200, keys)
    assert list(reply.json) == sorted(keys)
    assert {type(length) for length in reply.json.values()} == {int}


@core
@checks("M1.3", "M1.4", "M1.5", "M1.6", "M1.7", "L2.14", "L2.15", "L2.16")
@needs("variants")
def test_tasks_without_tenant_are_in_the_list_of_queues_and_in_the_gauges(contract: CaseContext) -> None:
    with contract.server({}) as server:
        name = "generate_creative"
        # Their callers have no tenant claim, and the tenant is then the subject without blanks.
        producer, worker = server.new(Identity("producer", {})), server.new(worker_of(" ", ""))
        for fields in ({}, {"priority": 7}, {"priority": 7}, {"priority": 9, "maxAttempts": 1}, {"priority": 8}):
            producer.created(name, **fields)
        for _ in range(2):
            producer.created(name, delaySeconds=3600)
        server.producer.created(name, priority=7)
        worker.nack(worker.claimed(name))
        worker.claimed(name, leaseSeconds=600)
        lengths = {key.removeprefix(f"codeq:q:{name}:"): n for key, n in server.admin.queues().json.items() if n}
        assert lengths == {"pending:0": 1, "pending:7": 2, "inprog": 1, "delayed": 2, "dlq": 1}
        depth = metric(server, "codeq_queue_depth", command=name.upper())
        assert depth == {("ready",): 3, ("delayed",): 2, ("in_progress",): 1, ("dlq",): 1}
        assert metric(server, "codeq_queue_depth", queue="ready") == {(name.upper(),): 3, ("GENERATE_MASTER",): 0}
        assert metric(server, "codeq_dlq_depth") == {(name.upper(),): 1, ("GENERATE_MASTER",): 0}


@core
@checks("M2.1", "M2.2", "M2.3", "M2.4", "M2.9", "R15.1", "R23.4")
@needs("admin")
def test_a_queue_is_counted_by_where_its_tasks_are(contract: CaseContext) -> None:
    command = contract.command()
    counts = [[0, 0, 0, 0]]
    for fields in ({}, {}, {"priority": 9}, {"delaySeconds": 3600}, {"priority": 8, "maxAttempts": 1}):
        contract.producer.created(command, **fields)
        counts.append(counted(contract, command))
    first, second = (contract.worker.claimed(command, leaseSeconds=600) for _ in range(2))
    counts.append(counted(contract, command))
    contract.worker.nack(second)
    counts.append(counted(contract, command))
    contract.worker.submit(first)
    counts.append(counted(contract, command))
    contract.worker.nack(contract.worker.claimed(command, leaseSeconds=600), delaySeconds=3600)
    counts.append(counted(contract, command))
    third = contract.worker.claimed(command, leaseSeconds=600)
    counts.append(counted(contract, command))
    contract.worker.abandon(third)
    counts.append(counted(contract, command))
    assert counts == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [2, 0, 0, 0],
        [3, 0, 0, 0],
        [3, 1, 0, 0],
        [4, 1, 0, 0],
        [2, 1, 2, 0],
        [2, 1, 1, 1],
        [2, 1, 0, 1],
        [1, 2, 0, 1],
        [0, 2, 1, 1],
        [1, 2, 0, 1],
    ]
    assert list(contract.admin.queue(command).json) == ["command", "ready", "delayed", "inProgress", "dlq"]


@core
@checks("M2.5")
@needs("admin", "tenants")
def test_a_queue_is_counted_for_the_callers_tenant(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    for _ in range(2):
        contract.caller("other_producer").created(command)
    assert counted(contract, command) == [1, 0, 0, 0]


@core
@checks("M2.6", "M2.8")
@needs("admin")
def test_a_command_in_a_url_may_have_another_case_or_be_unknown(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    for name in (command, command.lower()):
        assert contract.admin.queue(name).json["command"] == name
        assert counted(contract, name) == [1, 0, 0, 0]
    unknown = contract.command()
    reply = contract.admin.queue(unknown)
    assert reply.status == 200
    assert reply.json == {"command": unknown, "ready": 0, "delayed": 0, "inProgress": 0, "dlq": 0}


@core
@checks("M2.7")
@needs("admin")
@pytest.mark.parametrize(("sent", "meant"), [("%3Cb%3e", "<b>"), ("%20%C3%A9%25", " é%"), ("+%3f", "+?"), ("%41", "A")])
def test_a_command_in_a_url_is_decoded(contract: CaseContext, sent: str, meant: str) -> None:
    command = contract.command()
    contract.producer.created(f"{command}{meant}")
    reply = contract.admin.get(f"{ADMIN}/queues/{command}{sent}?a=b")
    assert (reply.status, reply.json["command"], reply.json["ready"]) == (200, f"{command}{meant}", 1)


@core
@checks("M2.10")
@needs("admin")
def test_a_byte_in_a_url_that_is_no_utf_8_is_written_as_an_escape(contract: CaseContext) -> None:
    command = contract.command()
    reply = contract.admin.get(f"{ADMIN}/queues/{command}%ffé%C3")
    assert reply.body.startswith(b'{"command":"%s\\ufffd\xc3\xa9\\ufffd","ready":0,' % command.encode())


@core
@checks("M3.9", "M3.10", "R23.10")
@needs("admin", "clean_up")
@pytest.mark.parametrize("before", ["2000-01-01T00:00:00Z", "2000-01-01T02:30:00+02:30", ""])
def test_a_clean_up_reports_what_it_was_asked_for(contract: CaseContext, before: str) -> None:
    for limit in ({"limit": 5}, {"limit": -1}, {}):
        reply = contract.admin.clean_up(before=before, **limit) if before else contract.admin.clean_up(**limit)
        assert (reply.status, list(reply.json)) == (200, ["before", "deleted", "limit"])
        assert reply.json["limit"] == limit.get("limit", 0)
        assert type(reply.json["deleted"]) is int
        if before:
            assert reply.json["before"] == before
        else:
            assert contract.second_lies_after(reply, 0, reply.json["before"])
            assert reply.json["before"].endswith("Z")


@core
@checks("M3.20")
@needs("admin", "clean_up")
@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("2000-01-01T02:30:00.5+02:30", "2000-01-01T02:30:00+02:30"),
        ("2000-12-31T5:06:07,999999999999-12:34", "2000-12-31T05:06:07-12:34"),
        ("2000-02-29T23:59:59.9-00:00", "2000-02-29T23:59:59Z"),
        ("1969-12-31T23:59:59.5-00:30", "1969-12-31T23:59:59-00:30"),
        ("2000-01-01T00:00:00+01:60", "2000-01-01T00:00:00+02:00"),
        ("2000-01-01T00:00:00-24:60", "2000-01-01T00:00:00-25:00"),
        ("0000-01-01T00:00:00+01:00", "0000-01-01T00:00:00+01:00"),
        ("0000-12-31T23:59:59.1Z", "0000-12-31T23:59:59Z"),
        ("0400-03-01T00:00:00-10:00", "0400-03-01T00:00:00-10:00"),
    ],
)
def test_a_clean_up_shows_its_time_without_a_fraction(contract: CaseContext, sent: str, shown: str) -> None:
    reply = contract.admin.clean_up(before=sent)
    assert (reply.status, reply.json["before"]) == (200, shown)


@core
@checks("M3.13")
@needs("admin", "clean_up")
@pytest.mark.parametrize("before", ["x", "2000-01-01", "2000-01-01T00:00:00", "946684800", "2000-13-01T00:00:00Z", " "])
def test_a_clean_up_needs_a_time_of_rfc_3339(contract: CaseContext, before: str) -> None:
    assert contract.admin.clean_up(before=before).refusal == (400, "invalid 'before' (use RFC3339)")


@core
@checks("M3.8", "M3.11", "M3.14", "M3.15", "M3.16", "M3.17", "M3.21", "C8.13", "R16.1")
@needs("variants")
def test_a_clean_up_deletes_tasks_wherever_they_are(contract: CaseContext) -> None:
    with contract.server({}) as server:
        command, key = server.command(), server.names.key()
        first = server.producer.created(command, idempotencyKey=key, priority=9)
        server.worker.submit(server.worker.claimed(command))
        tasks = [first, *(server.producer.created(command, maxAttempts=1) for _ in range(2))]
        server.worker.nack(server.worker.claimed(command))
        server.worker.claimed(command, leaseSeconds=600)
        tasks += [server.producer.created(command), server.producer.created(command, delaySeconds=3600)]
        assert counted(server, command) == [1, 1, 1, 1]
        assert server.admin.clean_up().json["deleted"] == 0
        deleted = [server.admin.clean_up(limit=3, before=LONG_AFTER).json["deleted"] for _ in range(3)]
        assert deleted == [3, 2, 0]
        for task in tasks:
            assert server.producer.task(task).refusal == (404, "not found")
            assert server.producer.result(task).refusal == (404, "task not found")
        assert server.worker.claim(command).status == 204
        assert counted(server, command) == [0, 0, 0, 0]
        assert server.producer.created(command, idempotencyKey=key)["id"] != first["id"]


@timed
@checks("M3.17")
@needs("variants")
def test_a_delayed_task_that_was_deleted_does_not_come_due(contract: CaseContext) -> None:
    with contract.server({}) as server:
        command = server.command()
        server.producer.created(command, delaySeconds=2, priority=5)
        assert server.admin.clean_up(before=LONG_AFTER).json["deleted"] == 1
        kept = server.producer.create(command, delaySeconds=2)
        server.wait_out(server.delay_end(kept, 2))
        assert server.worker.claimed(command)["id"] == kept.json["id"]
        assert server.worker.claim(command).status == 204


@core
@checks("M3.12")
@needs("variants")
def test_a_clean_up_deletes_1000_tasks_without_a_limit(contract: CaseContext) -> None:
    with contract.server({}) as server:
        items = [{"command": server.command(), "payload": 1}] * 100
        for _ in range(21):
            server.producer.create_batch(items)
        limits: list[dict[str, int]] = [{}, {"limit": 0}, {"limit": 1001}]
        deleted = [server.admin.clean_up(before=LONG_AFTER, **limit).json["deleted"] for limit in limits]
        assert deleted == [1000, 1000, 100]


@core
@checks("M3.19")
@needs("variants")
def test_a_clean_up_is_one_of_all_tenants(contract: CaseContext) -> None:
    with contract.server({}) as server:
        command = server.command()
        tasks = [server.producer.created(command), server.caller("other_producer").created(command)]
        assert server.admin.clean_up(before=LONG_AFTER).json["deleted"] == 2
        assert [server.producer.task(task).status for task in tasks] == [404, 404]


@core
@checks("M3.1", "M3.2")
@needs("variants")
def test_a_clean_up_deletes_what_had_no_update_for_a_day(contract: CaseContext) -> None:
    with contract.server({}) as server:
        reply, skew = server.producer.create(server.command()), contract.time_bounds.server_skew
        first, last = (reply.called - skew) // SECOND, (reply.returned + skew) // SECOND
        kept = server.admin.clean_up(before=moment_text((first + DAY) * SECOND - 1))
        assert (kept.status, kept.json["deleted"]) == (200, 0)
        assert server.producer.task(reply.json).status == 200
        gone = server.admin.clean_up(before=moment_text((last + DAY) * SECOND))
        assert (gone.status, gone.json["deleted"]) == (200, 1)


@timed
@checks("M3.1", "M3.2")
@needs("long_waits", "variants")
def test_a_clean_up_without_a_time_deletes_as_of_now(contract: CaseContext) -> None:
    with contract.server({}) as server:
        server.producer.created(server.command())
        server.clock.sleep(DAY - 2)
        assert server.admin.clean_up().json["deleted"] == 0
        server.clock.sleep(4)
        assert server.admin.clean_up().json["deleted"] == 1


@timed
@checks("M3.3", "M3.4", "M3.5", "M3.6", "M3.7", "M3.22", "M3.23")
@needs("variants", "batch")
def test_what_happens_to_a_task_restarts_its_day(contract: CaseContext) -> None:
    with contract.server({}) as server:
        touches: dict[str, Callable[[dict[str, Any]], object]] = {
            "nothing": lambda _: None,
            "claim": lambda task: server.worker.claimed(task["command"]),
            "coming due": lambda _: None,  # in the claim before, which takes a task of a higher priority
            "expiry": lambda task: server.worker.claim(task["command"]),
            "heartbeat": lambda task: server.worker.heartbeat(task, extendSeconds=60),
            "abandon": server.worker.abandon,
            "nack": lambda task: server.worker.nack(task, delaySeconds=60),
            "dead letter": server.worker.nack,
            "result": server.worker.submit,
            "batch": lambda task: server.worker.submit_batch([done(task)]),
        }
        tasks: dict[str, dict[str, Any]] = {}
        for name in touches:
            if name == "coming due":
                tasks[name] = server.producer.created(tasks["claim"]["command"], delaySeconds=2)
                continue
            command, most = server.command(), 1 if name == "dead letter" else 5
            tasks[name] = server.producer.created(command, priority=9, maxAttempts=most)
            if name not in ("nothing", "claim"):
                server.worker.claimed(command, leaseSeconds=2 if name == "expiry" else 600)
        began = server.clock.now()
        server.clock.sleep(4)
        for name, touch in touches.items():
            touch(tasks[name])
        # As of a day after the tasks were made, but less than a day after they were touched.
        server.admin.clean_up(before=moment_text(began + (DAY + 2) * SECOND))
        left = [name for name, task in tasks.items() if server.producer.task(task).status == 200]
        assert left == [name for name in touches if name != "nothing"]
        later = server.admin.clean_up(before=moment_text(server.clock.now() + (DAY + 2) * SECOND))
        assert later.json["deleted"] == len(left)


def counted(contract: CaseContext, command: str) -> list[int]:
    """How many tasks of the command are ready, delayed, in progress and dead letters."""
    counts = contract.admin.queue(command).json
    return [counts[name] for name in ("ready", "delayed", "inProgress", "dlq")]


def done(task: dict[str, Any]) -> dict[str, Any]:
    """The item of a batch that completes a task."""
    return {"taskId": task["id"], "status": "COMPLETED", "result": {}}
