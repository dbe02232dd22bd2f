"""Section 5: idempotency keys (C8). Their end after a day is in test_timed_delays."""

from __future__ import annotations

import pytest

from codeq_contract.recordings.times import SECOND, moment_text
from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

URL = "http://127.0.0.1:9/hook"


@checks("C8.1", "C8.3", "C8.12")
def test_a_key_returns_its_task_whatever_else_is_asked(contract: CaseContext) -> None:
    command, other, key = contract.command(), contract.command(), contract.names.key()
    task = contract.producer.created(command, {"v": 1}, idempotencyKey=key, priority=2)
    reply = contract.producer.create(
        other, {"v": 2}, idempotencyKey=key, priority=9, webhook=URL, maxAttempts=9, delaySeconds=3600
    )
    assert (reply.status, reply.json) == (202, task)
    assert contract.worker.seen(task) == task
    assert contract.worker.claimed(command)["id"] == task["id"]
    assert [contract.worker.claim(name).status for name in (command, other)] == [204, 204]


@checks("C8.2")
def test_a_key_returns_its_task_as_it_is_now(contract: CaseContext) -> None:
    command, key = contract.command(), contract.names.key()
    task = contract.producer.created(command, idempotencyKey=key)

    def again() -> str:
        reply = contract.producer.create(command, idempotencyKey=key)
        assert (reply.status, reply.body) == (202, contract.worker.task(task).body)
        return f"{reply.json['status']} {reply.json['lastKnownLocation']}"

    contract.worker.claimed(command)
    assert again() == "IN_PROGRESS INPROG_SET"
    contract.worker.abandon(task)
    assert again() == "PENDING PENDING_LIST"
    contract.worker.claimed(command)
    contract.worker.submit(task)
    assert again() == "COMPLETED NONE"
    assert contract.worker.claim(command).status == 204


@checks("C8.2")
@pytest.mark.parametrize(("attempts", "location"), [(9, "DELAYED_ZSET"), (1, "DLQ_SET")])
def test_a_key_returns_a_task_that_was_nacked(contract: CaseContext, attempts: int, location: str) -> None:
    command, key = contract.command(), contract.names.key()
    task = contract.producer.created(command, idempotencyKey=key, maxAttempts=attempts)
    contract.worker.claimed(command)
    contract.worker.nack(task, delaySeconds=60, reason="why")
    again = contract.producer.created(command, idempotencyKey=key)
    assert (again["id"], again["lastKnownLocation"]) == (task["id"], location)


@checks("C8.6")
def test_keys_are_compared_as_sent(contract: CaseContext) -> None:
    key = f"{contract.names.key()}é"
    sent = [key, f"{key} ", f" {key}", f"{key}\n", key.upper(), key.replace("é", "e\u0301"), key]
    made = ids([contract.producer.created(contract.command(), idempotencyKey=each) for each in sent])
    assert made[0] == made[-1]
    assert len(set(made)) == len(sent) - 1


@checks("C8.7")
@pytest.mark.parametrize("blank", ["", " ", "\t\u2003\u3000"])
def test_a_blank_key_is_none(contract: CaseContext, blank: str) -> None:
    first, second = (contract.producer.created(contract.command(), idempotencyKey=blank) for _ in range(2))
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param({"webhook": "bad"}, "invalid webhook url", marks=checks("C8.8")),
        pytest.param({"runAt": "bad"}, "invalid 'runAt' (use RFC3339)", marks=checks("C8.9")),
        pytest.param({"delaySeconds": -1}, "invalid 'delaySeconds' (must be >= 0)", marks=checks("C8.9")),
        pytest.param({"command": " "}, "invalid command", marks=checks("C8.10")),
    ],
)
def test_a_key_does_not_excuse_another_field(contract: CaseContext, fields: dict[str, str], error: str) -> None:
    key = contract.names.key()
    contract.producer.created(contract.command(), idempotencyKey=key)
    reply = contract.producer.create(**{"command": contract.command(), "idempotencyKey": key, **fields})
    assert reply.refusal == (400, error)


@checks("C8.6")
def test_a_refused_create_does_not_use_its_key(contract: CaseContext) -> None:
    command, key = contract.command(), contract.names.key()
    assert contract.producer.create(command, idempotencyKey=key, webhook="bad").status == 400
    contract.producer.created(command, idempotencyKey=key)
    assert contract.worker.claim(command).status == 200


@checks("C8.11")
@needs("tenants")
def test_a_key_is_shared_by_all_tenants(contract: CaseContext) -> None:
    command, key = contract.command(), contract.names.key()
    task = contract.producer.created(command, idempotencyKey=key)
    other = contract.caller("other_producer")
    assert other.created(command, idempotencyKey=key) == task
    assert contract.caller("other_worker").claim(command).status == 204


@checks("C8.13")
@needs("admin", "variants")
def test_a_key_whose_task_is_gone_makes_a_new_one(contract: CaseContext) -> None:
    with contract.server({}) as server:
        command, key = server.command(), server.names.key()
        task = server.producer.created(command, idempotencyKey=key)
        tomorrow = moment_text(server.clock.now() + 25 * 3600 * SECOND)
        assert server.admin.clean_up(before=tomorrow).json["deleted"] == 1
        new = server.producer.created(command, idempotencyKey=key)
        assert new["id"] != task["id"]
        assert server.producer.created(command, idempotencyKey=key) == new


@checks("C8.14")
@needs("batch")
def test_keys_count_in_a_batch(contract: CaseContext) -> None:
    command, key, old_key = contract.command(), contract.names.key(), contract.names.key()
    old = contract.producer.created(command, idempotencyKey=old_key)
    items = [{"command": command, "payload": n, "idempotencyKey": used} for n, used in enumerate((old_key, key, key))]
    made = [item["task"] for item in contract.producer.create_batch(items).json["results"]]
    assert made[0] == old
    assert made[1]["payload"] == "1"
    assert made[2] == made[1] == contract.producer.created(command, idempotencyKey=key)
