"""Section 6: what a claim finds, in which order, and what it does to a task."""

from __future__ import annotations

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.suite.caller import exact, ids
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
    reply = contract.new_worker(tenant=tenant, sub="The-Worker").claim(command, leaseSeconds=60)
    task = reply.json
    assert (task["status"], task["lastKnownLocation"], task["attempts"]) == ("IN_PROGRESS", "INPROG_SET", 1)
    assert task["workerId"] == "The-Worker"
    assert task["leaseUntil"].endswith("Z")
    assert contract.lasts(reply, 60, task["leaseUntil"])
    assert contract.worker.task(task).body == reply.body


@checks("K5.7")
def test_a_claim_leaves_what_the_producer_asked_for(contract: CaseContext) -> None:
    command = contract.command()
    created = contract.producer.created(command, {"b": [1, 2.5, "<"], "a": None}, priority=3, maxAttempts=7)
    claimed = contract.worker.claimed(command)
    of_a_claim = ("status", "lastKnownLocation", "workerId", "leaseUntil", "attempts", "updatedAt")
    kept = {name: value for name, value in claimed.items() if name not in of_a_claim}
    assert exact(kept) == exact({name: value for name, value in created.items() if name not in of_a_claim})


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


@checks("K4.5")
def test_each_two_neighbouring_priorities_are_apart(contract: CaseContext) -> None:
    command = contract.command()
    for priority in range(10):
        contract.producer.created(command, priority=priority)
    claimed = [contract.worker.claimed(command) for _ in range(10)]
    assert [task.get("priority", 0) for task in claimed] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


@checks("K4.1", "K4.4")
@pytest.mark.parametrize("order", ["up", "down"])
def test_commands_are_served_as_listed(contract: CaseContext, order: str) -> None:
    first, second = sorted([contract.command(), contract.command()], reverse=order == "down")
    high, low = contract.producer.created(second, priority=9), contract.producer.created(first)
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


@checks("K6.5")
@needs("tenants", "batch")
def test_a_claim_of_a_batch_sees_its_own_tenant_only(contract: CaseContext) -> None:
    command = contract.command()
    ours = contract.producer.created(command)
    assert contract.caller("other_worker").claim_batch(command, count=10).status == 204
    assert ids(contract.worker.claim_batch(command, count=10).json["tasks"]) == ids([ours])


@checks("K6.4")
@needs("minting")
def test_a_claim_of_a_tenant_finds_no_task_without_tenant(contract: CaseContext) -> None:
    command = contract.command()
    task = contract.new_producer(sub=None, tenantId=None).created(command)
    assert contract.worker.claim(command).status == 204
    assert contract.worker.seen(task) == task


@checks("K1.1", "K1.2", "K1.3", "K1.4")
@needs("minting", "batch")
def test_a_worker_claims_what_its_token_names(contract: CaseContext) -> None:
    allowed, other, tenant = contract.command(), contract.command(), contract.names.tenant()
    task = contract.new_producer(tenant=tenant).created(allowed)
    worker = contract.new_worker(tenant=tenant, eventTypes=[allowed])
    for commands in ([other], [allowed, other], [other, allowed], [allowed.lower()]):
        assert worker.claim(*commands).refusal == (403, "event type not allowed")
        assert worker.claim_batch(*commands, count=1).refusal == (403, "event type not allowed")
    assert worker.seen(task) == task
    assert worker.claimed(allowed)["id"] == task["id"]


@checks("K1.5")
@needs("minting")
def test_a_worker_of_everything_claims_any_command(contract: CaseContext) -> None:
    tenant = contract.names.tenant()
    producer = contract.new_producer(tenant=tenant)
    for types in (["*"], [contract.command(), "*"]):
        task = producer.created(contract.command())
        assert contract.new_worker(tenant=tenant, eventTypes=types).claimed(task["command"])["id"] == task["id"]


@checks("K1.6", "K1.9")
@needs("minting")
@pytest.mark.parametrize("fields", [{}, {"commands": None}, {"commands": []}])
def test_without_commands_a_worker_claims_all_that_its_token_names(
    contract: CaseContext, fields: dict[str, object]
) -> None:
    tenant = contract.names.tenant()
    producer, commands = contract.new_producer(tenant=tenant), [contract.command(), contract.command()]
    producer.created(contract.command())
    made = [producer.created(command) for command in commands]
    worker = contract.new_worker(tenant=tenant, eventTypes=commands)
    claimed = [worker.post(f"{TASKS}/claim", fields) for _ in made]
    assert sorted(ids([reply.json for reply in claimed])) == sorted(ids(made))
    assert worker.post(f"{TASKS}/claim", fields).status == 204


@checks("K1.7", "K1.8", "K1.9")
@needs("minting")
@pytest.mark.parametrize("fields", [{}, {"commands": []}])
def test_without_commands_a_worker_of_everything_claims_the_built_in_ones(
    contract: CaseContext, fields: dict[str, object]
) -> None:
    tenant = contract.names.tenant()
    producer, worker = contract.new_producer(tenant=tenant), contract.new_worker(tenant=tenant)
    producer.created(contract.command())
    creative, master = producer.created("GENERATE_CREATIVE"), producer.created("GENERATE_MASTER")
    claimed = [worker.post(f"{TASKS}/claim", fields).json for _ in range(2)]
    assert ids(claimed) == ids([master, creative])
    assert worker.post(f"{TASKS}/claim", fields).status == 204
