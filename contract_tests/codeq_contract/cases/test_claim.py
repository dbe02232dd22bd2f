"""Section 6: what a claim finds, and in which order."""

from __future__ import annotations

import pytest

from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core


@checks("K3.1", "K3.2", "K3.3", "K3.4", "R1.1")
def test_a_claim_finds_a_task_or_nothing(contract: CaseContext) -> None:
    command = contract.command()
    empty = contract.worker.claim(command)
    assert (empty.status, empty.body) == (204, b"")
    task = contract.producer.created(command)
    assert contract.worker.claimed(command)["id"] == task["id"]
    assert contract.worker.claim(command).status == 204


@checks("K5.1", "K5.2", "K5.3", "K5.4", "K5.5", "K5.6")
@needs("minting")
def test_a_claimed_task_is_in_progress_with_its_worker_and_lease(contract: CaseContext) -> None:
    command, tenant = contract.command(), contract.names.tenant()
    contract.new_producer(tenant=tenant).created(command)
    reply = contract.new_worker(tenant=tenant, sub="the-worker").claim(command, leaseSeconds=60)
    task = reply.json
    assert (task["status"], task["lastKnownLocation"], task["attempts"]) == ("IN_PROGRESS", "INPROG_SET", 1)
    assert task["workerId"] == "the-worker"
    assert task["leaseUntil"].endswith("Z")
    assert contract.lasts(reply, 60, task["leaseUntil"])
    assert contract.worker.seen(task) == task


@checks("K2.1", "K2.2")
@pytest.mark.parametrize("fields", [{}, {"leaseSeconds": 0}, {"leaseSeconds": -5}])
@needs("known_settings")
def test_a_lease_lasts_300_seconds_by_default(contract: CaseContext, fields: dict[str, int]) -> None:
    command = contract.command()
    contract.producer.created(command)
    reply = contract.worker.claim(command, **fields)
    assert contract.lasts(reply, 300, reply.json["leaseUntil"])


@checks("K4.2", "K4.3", "R3.1")
def test_higher_priorities_come_first_and_then_older_tasks(contract: CaseContext) -> None:
    command = contract.command()
    made = {
        priority: [contract.producer.created(command, priority=priority) for _ in range(2)] for priority in (0, 9, 5)
    }
    claimed = [contract.worker.claimed(command) for _ in range(6)]
    assert ids(claimed) == ids([*made[9], *made[5], *made[0]])


@checks("K4.1", "K4.4")
def test_commands_are_served_as_listed(contract: CaseContext) -> None:
    first, second = contract.command(), contract.command()
    low, high = contract.producer.created(first), contract.producer.created(second, priority=9)
    assert ids([contract.worker.claimed(first, second), contract.worker.claimed(first, second)]) == ids([low, high])


@checks("K6.1", "K6.2", "H2.4")
@needs("tenants")
def test_a_claim_sees_its_own_tenant_only(contract: CaseContext) -> None:
    command = contract.command()
    ours = contract.producer.created(command)
    theirs = contract.caller("other_producer").created(command)
    stranger = contract.caller("other_worker")
    assert stranger.claimed(command)["id"] == theirs["id"]
    assert stranger.claim(command).status == 204
    assert stranger.heartbeat(ours).status == 403
    assert contract.worker.claimed(command)["id"] == ours["id"]


@checks("K1.1", "K1.2", "K1.3", "K1.4", "K1.6")
@needs("minting")
def test_a_worker_claims_what_its_token_names(contract: CaseContext) -> None:
    allowed, other, tenant = contract.command(), contract.command(), contract.names.tenant()
    task = contract.new_producer(tenant=tenant).created(allowed)
    worker = contract.new_worker(tenant=tenant, eventTypes=[allowed])
    for commands in ([other], [allowed, other], [allowed.lower()]):
        assert worker.claim(*commands).refusal == (403, "event type not allowed")
    assert worker.claim_batch(other, count=1).status == 403
    assert worker.claimed()["id"] == task["id"]


@checks("K1.7", "K1.8")
@needs("minting")
def test_without_commands_a_worker_of_everything_claims_the_built_in_ones(contract: CaseContext) -> None:
    tenant = contract.names.tenant()
    producer, worker = contract.new_producer(tenant=tenant), contract.new_worker(tenant=tenant)
    producer.created(contract.command())
    creative, master = producer.created("GENERATE_CREATIVE"), producer.created("GENERATE_MASTER")
    assert ids([worker.claimed(), worker.claimed()]) == ids([master, creative])
    assert worker.claim().status == 204


@checks("K10.1", "K10.2", "K10.3", "K10.7", "R4.1")
@needs("batch")
def test_a_batch_claims_up_to_its_count(contract: CaseContext) -> None:
    command = contract.command()
    made = [contract.producer.created(command) for _ in range(3)]
    two = contract.worker.claim_batch(command, count=2)
    assert (two.status, ids(two.json["tasks"])) == (200, ids(made[:2]))
    assert ids(contract.worker.claim_batch(command, count=10).json["tasks"]) == ids(made[2:])
    empty = contract.worker.claim_batch(command, count=10)
    assert (empty.status, empty.body) == (204, b"")


@checks("K10.4", "K10.5")
@needs("batch")
def test_a_batch_is_of_1_to_10(contract: CaseContext) -> None:
    for fields in ({}, {"count": 0}, {"count": -1}):
        assert contract.worker.claim_batch(contract.command(), **fields).refusal == (400, "invalid body")
    assert contract.worker.claim_batch(contract.command(), count=11).refusal == (400, "count exceeds maximum of 10")


@checks("K11.1", "K11.4", "K11.6")
@pytest.mark.parametrize("seconds", [9223372037, 2**63 - 1])
def test_a_lease_too_long_for_the_store_is_refused_after_the_task_is_written(
    contract: CaseContext, seconds: int
) -> None:
    command = contract.command()
    task = contract.producer.created(command)
    status, error = contract.worker.claim(command, leaseSeconds=seconds).refusal
    assert status == 500
    assert error.startswith("pipeline lease/task/ttl update: ERR invalid expire time")
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["attempts"]) == ("IN_PROGRESS", "INPROG_SET", 1)
    again = contract.worker.claimed(command)
    assert (again["id"], again["attempts"]) == (task["id"], 2)
