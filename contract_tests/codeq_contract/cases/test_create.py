"""Sections 4 and 5: what a producer can create, how it is kept, and what is refused."""

from __future__ import annotations

import json
import uuid

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.recordings.times import SECOND, moment_text, parse_moment
from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

PAYLOADS = {
    '{"b":1,"a":[true,null]}': '{"a":[true,null],"b":1}',
    '"<&>\u2028\u2029"': r'"\u003c\u0026\u003e\u2028\u2029"',
    "[1.0,0.000001,0.0000001,1e21]": "[1,0.000001,1e-7,1e+21]",
    "[1e20,9007199254740993]": "[100000000000000000000,9007199254740992]",
    "0": "0",
    '""': '""',
    "false": "false",
}
BAD_WEBHOOKS = (
    "ftp://h.test",
    "h.test",
    "/x",
    "http://",
    "http:///x",
    "http://h.test:abc/",
    "http://h .test/",
    "http://%zz",
)
BAD_TIMES = (
    "x",
    "2026-01-01",
    "2026-01-01t00:00:00Z",
    "2026-01-01T00:00:60Z",
    "2026-01-01T24:00:00Z",
    "02026-01-01T00:00:00Z",
)


@checks("C1.1", "C1.2", "C1.3", "C1.5", "C1.6", "R12.1", "T.1", "T.3", "T.4", "T.5", "T.6", "T.7", "T.8", "T.9")
def test_a_new_task_is_pending(contract: CaseContext) -> None:
    command = contract.command()
    reply = contract.producer.create(command, {"n": 1})
    assert reply.status == 202
    task = reply.json
    assert uuid.UUID(task["id"]).version == 4
    assert (task["command"], task["payload"]) == (command, '{"n":1}')
    assert (task["status"], task["lastKnownLocation"]) == ("PENDING", "PENDING_LIST")
    assert not task.keys() & {"attempts", "workerId", "leaseUntil", "priority", "webhook", "error", "resultKey"}
    assert contract.worker.seen(task) == task


@checks("C1.4", "C6.17")
def test_a_task_for_later_is_delayed(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command(), delaySeconds=3600)
    assert (task["status"], task["lastKnownLocation"]) == ("PENDING", "DELAYED_ZSET")


@checks("T1.2", "T1.3", "T1.4", "T1.5", "T1.6", "T1.7", "T1.8", "C1.9")
@pytest.mark.parametrize(("sent", "kept"), PAYLOADS.items())
def test_a_payload_is_kept_as_compact_json(contract: CaseContext, sent: str, kept: str) -> None:
    body = f'{{"command":"{contract.command()}","payload": {sent} }}'.encode()
    assert contract.producer.post(TASKS, body).json["payload"] == kept


@checks("C1.7", "C1.8")
@pytest.mark.parametrize(
    "fields", [{"payload": 1}, {"command": "", "payload": 1}, {"command": "X"}, {"command": "X", "payload": None}]
)
def test_command_and_payload_are_required(contract: CaseContext, fields: dict[str, object]) -> None:
    assert contract.producer.post(TASKS, fields).refusal == (400, "invalid body")


@checks("C2.1")
def test_a_blank_command_is_refused(contract: CaseContext) -> None:
    assert contract.producer.create("  ").refusal == (400, "invalid command")


@checks("C2.2", "C2.3")
def test_commands_that_differ_in_case_share_a_queue(contract: CaseContext) -> None:
    command = contract.command()
    task = contract.producer.created(command.lower())
    assert task["command"] == command.lower()
    assert contract.worker.claimed(command)["id"] == task["id"]


@checks("C3.1", "C3.2", "C3.3", "C3.4", "C3.5", "C3.7")
@pytest.mark.parametrize("webhook", BAD_WEBHOOKS)
def test_a_webhook_without_scheme_or_host_is_refused(contract: CaseContext, webhook: str) -> None:
    assert contract.producer.create(contract.command(), webhook=webhook).refusal == (400, "invalid webhook url")


@checks("C3.9", "C3.10", "C3.11", "C3.12", "C3.13")
@pytest.mark.parametrize(
    "webhook", ["HTTP://127.0.0.1/x", "https://127.0.0.1", "http://127.0.0.1:99999/", "http://[::1]:80/"]
)
def test_a_webhook_is_kept_as_sent(contract: CaseContext, webhook: str) -> None:
    assert contract.producer.created(contract.command(), webhook=webhook)["webhook"] == webhook
    assert "webhook" not in contract.producer.created(contract.command(), webhook="")


@checks("C4.1", "C4.3")
@needs("known_settings")
def test_attempts_have_a_default(contract: CaseContext) -> None:
    for given in (0, -1):
        task = contract.producer.created(contract.command(), maxAttempts=given)
        assert task["maxAttempts"] == contract.settings.max_attempts
    assert contract.producer.created(contract.command(), maxAttempts=2)["maxAttempts"] == 2


@checks("C5.1", "C5.2", "C5.3")
def test_a_priority_is_clamped(contract: CaseContext) -> None:
    kept = [
        contract.producer.created(contract.command(), priority=given).get("priority", 0) for given in (-3, 0, 9, 10)
    ]
    assert kept == [0, 0, 9, 9]


@checks("C6.1", "C6.2", "C6.3", "C6.4", "C6.5", "C6.6")
@pytest.mark.parametrize("run_at", BAD_TIMES)
def test_a_time_that_is_not_rfc_3339_is_refused(contract: CaseContext, run_at: str) -> None:
    assert contract.producer.create(contract.command(), runAt=run_at).refusal == (400, "invalid 'runAt' (use RFC3339)")


@checks("C6.7", "C6.8", "C6.9", "C6.15", "C6.16")
def test_a_past_or_empty_time_is_no_delay(contract: CaseContext) -> None:
    for run_at in ("", "0001-01-01T00:00:00Z", "2000-01-01T0:00:00,5+24:00"):
        task = contract.producer.created(contract.command(), runAt=run_at, delaySeconds=0)
        assert task["lastKnownLocation"] == "PENDING_LIST", run_at


@checks("C6.14")
def test_a_time_overrides_a_delay(contract: CaseContext) -> None:
    past = moment_text(contract.clock.now() - 3600 * SECOND)
    assert (
        contract.producer.created(contract.command(), runAt=past, delaySeconds=3600)["lastKnownLocation"]
        == "PENDING_LIST"
    )


@checks("C6.13", "C6.18", "C6.19", "C6.20")
def test_the_first_of_several_errors_is_reported(contract: CaseContext) -> None:
    faults = {"runAt": "x", "delaySeconds": -1, "webhook": "x"}
    errors = []
    while faults:
        errors.append(contract.producer.create(" ", **faults).json["error"])
        del faults[next(iter(faults))]
    errors.append(contract.producer.create(" ").json["error"])
    assert errors == [
        "invalid 'runAt' (use RFC3339)",
        "invalid 'delaySeconds' (must be >= 0)",
        "invalid command",
        "invalid command",
    ]


@checks("C8.1", "C8.2", "C8.12")
def test_a_key_returns_its_first_task_as_it_is_now(contract: CaseContext) -> None:
    command, key = contract.command(), contract.names.key()
    task = contract.producer.created(command, {"v": 1}, idempotencyKey=key)
    assert contract.producer.created(contract.command(), {"v": 2}, idempotencyKey=key, priority=9) == task
    contract.worker.claimed(command)
    assert contract.producer.created(command, idempotencyKey=key)["status"] == "IN_PROGRESS"
    assert contract.worker.submit(task).status == 200
    again = contract.producer.created(command, idempotencyKey=key)
    assert (again["id"], again["status"]) == (task["id"], "COMPLETED")


@checks("C8.6", "C8.7", "C8.8")
def test_a_key_counts_as_sent_and_after_the_other_checks(contract: CaseContext) -> None:
    key = contract.names.key()
    task = contract.producer.created(contract.command(), idempotencyKey=key)
    assert contract.producer.created(contract.command(), idempotencyKey=f"{key} ")["id"] != task["id"]
    assert contract.producer.create(contract.command(), idempotencyKey=key, webhook="bad").status == 400
    blank = [contract.producer.created(contract.command(), idempotencyKey=" ")["id"] for _ in range(2)]
    assert blank[0] != blank[1]


@checks("C8.11")
@needs("tenants")
def test_a_key_is_shared_by_all_tenants(contract: CaseContext) -> None:
    key = contract.names.key()
    task = contract.producer.created(contract.command(), idempotencyKey=key)
    other = contract.caller("other_producer")
    assert other.created(contract.command(), idempotencyKey=key)["id"] == task["id"]


@checks("C9.1", "C9.2", "C9.3", "C9.8", "C9.9", "C9.11", "R2.1")
@needs("batch")
def test_a_batch_answers_each_item_in_order(contract: CaseContext) -> None:
    command = contract.command()
    reply = contract.producer.create_batch(
        [
            {"command": command, "payload": {"i": 1}},
            {},
            {"command": command},
            {"command": command, "payload": 1, "runAt": "x"},
        ]
    )
    first, nothing, bare, late = reply.json["results"]
    assert (reply.status, first["task"]["payload"], bare["task"]["payload"]) == (200, '{"i":1}', "null")
    assert (nothing, late) == ({"error": "invalid command"}, {"error": "invalid 'runAt' (use RFC3339)"})
    claimed = [contract.worker.claimed(command) for _ in range(2)]
    assert ids(claimed) == ids([first["task"], bare["task"]])


@checks("C9.4", "C9.5", "C9.6", "C9.7", "C9.10", "B2.2")
@needs("batch")
def test_a_batch_has_1_to_100_items_of_the_right_type(contract: CaseContext) -> None:
    item = {"command": contract.command(), "payload": 1}
    assert len(contract.producer.create_batch([item] * 100).json["results"]) == 100
    assert contract.producer.create_batch([item] * 101).refusal == (400, "batch size exceeds maximum of 100")
    bad: tuple[object, ...] = ([], None, {}, [1], [item, {"command": 1}])
    for tasks in bad:
        assert contract.producer.create_batch(tasks).refusal == (400, "invalid body")


@checks("T.15")
def test_the_times_of_a_task_are_those_of_its_creation(contract: CaseContext) -> None:
    reply = contract.producer.create(contract.command())
    created = parse_moment(reply.json["createdAt"])
    assert reply.json["updatedAt"] == reply.json["createdAt"]
    # Another machine's clock may be a little off.
    assert reply.called - 5 * SECOND <= created <= reply.returned + 5 * SECOND
    assert json.loads(reply.body) == contract.producer.seen(reply.json)
