"""Section 4: the fields of a task. Its times are in test_task_times."""

from __future__ import annotations

import uuid

import pytest

from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

URL = "http://127.0.0.1:9/hook"


@checks("T.1", "T.2")
def test_ids_are_different_uuids(contract: CaseContext) -> None:
    made = ids([contract.producer.created(contract.command()) for _ in range(5)])
    assert len(set(made)) == 5
    assert [str(uuid.UUID(text, version=4)) for text in made] == made


@checks("T.3")
@pytest.mark.parametrize(("payload", "kept"), [({"n": [1]}, '{"n":[1]}'), ("text", '"text"'), (7, "7")])
def test_a_payload_is_a_string_that_holds_json(contract: CaseContext, payload: object, kept: str) -> None:
    task = contract.producer.created(contract.command(), payload)
    assert task["payload"] == kept
    assert contract.worker.claimed(task["command"])["payload"] == kept


@checks("T.4", "T.5")
def test_a_task_shows_no_priority_of_0_and_no_webhook_that_it_lacks(contract: CaseContext) -> None:
    for fields in ({}, {"priority": 0, "webhook": ""}, {"priority": -1}):
        assert not contract.producer.created(contract.command(), **fields).keys() & {"priority", "webhook"}
    task = contract.producer.created(contract.command(), priority=1, webhook=URL)
    assert (task["priority"], task["webhook"]) == (1, URL)


@checks("T.6", "T.7", "T.8", "T.9")
def test_a_task_shows_only_what_it_has(contract: CaseContext) -> None:
    command, worker = contract.command(), contract.worker

    def shown() -> str:
        names = ("workerId", "leaseUntil", "attempts", "error", "resultKey")
        return " ".join(name for name in names if name in worker.seen(task))

    task = contract.producer.created(command)
    assert shown() == ""
    worker.claimed(command)
    assert shown() == "workerId leaseUntil attempts"
    worker.abandon(task)
    assert shown() == "attempts"
    worker.claimed(command)
    worker.submit(task, status="FAILED", error="why")
    assert shown() == "attempts error resultKey"


@checks("T.6", "T.8", "T.9", "T2.1")
def test_a_result_has_a_key_and_a_dead_letter_has_none(contract: CaseContext) -> None:
    done, delayed, dead = contract.leased(), contract.leased(), contract.leased(maxAttempts=1)
    contract.worker.submit(done)
    contract.worker.nack(delayed, delaySeconds=60, reason="why")
    contract.worker.nack(dead, reason="why")
    done, delayed, dead = (contract.worker.seen(task) for task in (done, delayed, dead))
    assert [task.get("resultKey") for task in (done, delayed, dead)] == ["codeq:results", None, None]
    assert [task.get("error") for task in (done, delayed, dead)] == [None, None, "why"]
    for task in (done, delayed, dead):
        assert not task.keys() & {"workerId", "leaseUntil"}


@checks("T.16")
@needs("minting")
def test_a_task_names_the_tenant_of_its_producer(contract: CaseContext) -> None:
    command, tenant = contract.command(), contract.names.tenant()
    task = contract.new_producer(tenant=tenant).created(command)
    assert task["tenantId"] == tenant
    assert contract.new_worker(tenant=tenant).claimed(command)["tenantId"] == tenant
    assert contract.worker.seen(task)["tenantId"] == tenant


@checks("T.12")
@needs("variants")
def test_a_task_shows_its_times_in_the_servers_zone(contract: CaseContext) -> None:
    task = contract.leased()
    assert [task[name][-6:] for name in ("createdAt", "updatedAt")] == ["-03:00", "-03:00"]
