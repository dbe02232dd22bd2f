"""What a claim repairs: due tasks and tasks whose lease ran out, and nothing else does (K6, K7)."""

from __future__ import annotations

from typing import Any

from codeq_contract.driver import Reply
from codeq_contract.driver.identities import worker as worker_of
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import InconclusiveError, checks, needs, only, timed, unless
from codeq_contract.suite.case_context import CaseContext

pytestmark = timed

#: How many tasks of each kind a claim looks at.
LIMIT = 200


@checks("K7.1", "K7.2", "K7.3", "K7.16")
@unless("pebble")
def test_nothing_but_a_claim_of_its_command_repairs_a_task(contract: CaseContext) -> None:
    command = contract.command()
    held, ended = (claim(contract, command, 600).json for _ in range(2))
    expired, late = expired_and_due(contract, command)
    wait_until_over(contract, expired, late)
    contract.worker.claim(contract.command())
    contract.producer.created(command)
    contract.worker.heartbeat(held)
    contract.worker.submit(ended)
    contract.worker.nack(held, delaySeconds=30)
    contract.worker.result(ended)
    contract.producer.seen(expired.json)
    for reply in (expired, late):
        assert contract.worker.task(reply.json["id"]).json == reply.json


@checks("K7.4")
@needs("tenants")
@unless("pebble")
def test_a_claim_of_another_tenant_repairs_nothing(contract: CaseContext) -> None:
    command = contract.command()
    expired, late = expired_and_due(contract, command)
    wait_until_over(contract, expired, late)
    stranger = contract.caller("other_worker")
    contract.caller("other_producer").created(command)
    assert [stranger.claim(command).status, stranger.claim(command).status] == [200, 204]
    for reply in (expired, late):
        assert contract.worker.seen(reply.json) == reply.json


@checks("K7.15")
@needs("batch", "known_settings")
@unless("pebble")
def test_a_claim_of_a_batch_repairs_as_well(contract: CaseContext) -> None:
    command = contract.command()
    expired, late = expired_and_due(contract, command)
    wait_until_over(contract, expired, late)
    assert ids(contract.worker.claim_batch(command, count=1).json["tasks"]) == ids([late.json])
    repaired = contract.worker.seen(expired.json)
    assert (repaired["status"], repaired["lastKnownLocation"], repaired["attempts"]) == ("PENDING", "DELAYED_ZSET", 2)


@checks("K6.3")
def test_a_claim_of_a_tenant_moves_due_tasks_without_tenant(contract: CaseContext) -> None:
    reply = contract.new_producer(sub=None, tenantId=None).create(contract.command(), delaySeconds=1)
    task = reply.json
    contract.wait_out(contract.delay_end(reply, 1))
    assert contract.worker.seen(task) == task
    assert contract.worker.claim(task["command"]).status == 204
    moved = contract.worker.seen(task)
    assert (moved["status"], moved["lastKnownLocation"]) == ("PENDING", "PENDING_LIST")


@checks("K7.5", "K7.6", "K7.7", "K7.8")
def test_due_tasks_move_to_the_tail_in_the_order_of_their_times(contract: CaseContext) -> None:
    command = contract.command()
    nacked = contract.producer.created(command, priority=1)
    contract.worker.nack(contract.worker.claimed(command), delaySeconds=2)
    late_delay = contract.seconds(6)
    late = contract.producer.create(command, delaySeconds=late_delay)
    soon = contract.producer.create(command, delaySeconds=2)
    waiting = contract.producer.created(command)
    late_end = contract.delay_end(late, late_delay)
    contract.surely_before(soon, late_end.earliest - 3 * SECOND)
    contract.wait_out(late_end)
    first = contract.worker.claimed(command)
    assert (first["id"], first["status"], first["attempts"]) == (nacked["id"], "IN_PROGRESS", 3)
    for moved in (soon.json, late.json):
        seen = contract.worker.seen(moved)
        assert seen == {**moved, "lastKnownLocation": "PENDING_LIST", "updatedAt": seen["updatedAt"]}
    claimed = [contract.worker.claimed(command) for _ in range(3)]
    assert ids(claimed) == ids([waiting, soon.json, late.json])
    assert [task["attempts"] for task in claimed] == [1, 1, 1]


@checks("K7.14")
def test_a_due_task_keeps_its_priority(contract: CaseContext) -> None:
    command = contract.command()
    low = contract.producer.created(command, priority=4)
    delayed = contract.producer.create(command, priority=5, delaySeconds=1)
    high = contract.producer.created(command, priority=6)
    contract.wait_out(contract.delay_end(delayed, 1))
    claimed = [contract.worker.claimed(command) for _ in range(3)]
    assert ids(claimed) == ids([high, delayed.json, low])
    assert claimed[1]["priority"] == 5


@checks("K7.11")
@needs("known_settings")
def test_tasks_that_come_back_queue_up_behind_those_that_wait(contract: CaseContext) -> None:
    expired = claim(contract, contract.command(), contract.seconds(3))
    waiting = contract.producer.created(expired.json["command"])
    contract.wait_out(contract.lease_end(expired, contract.seconds(3)))
    assert contract.worker.claimed(expired.json["command"])["id"] == waiting["id"]
    again = contract.eventually_claimed(contract.worker, expired.json["command"])
    assert again["id"] == expired.json["id"]


@checks("K7.17")
@needs("known_settings")
def test_a_task_whose_lease_ran_out_keeps_its_priority(contract: CaseContext) -> None:
    expired = claim(contract, contract.command(), contract.seconds(3), priority=5, maxAttempts=5)
    command = expired.json["command"]
    contract.wait_out(contract.lease_end(expired, contract.seconds(3)))
    assert contract.worker.claim(command).status == 204
    low, high = (contract.producer.created(command, priority=priority) for priority in (4, 6))
    contract.clock.sleep(contract.settings.longest_backoff + 1)
    contract.wake(command)
    claimed = [contract.worker.claimed(command) for _ in range(3)]
    assert ids(claimed) == ids([high, expired.json, low])
    assert claimed[1]["priority"] == 5


@checks("K7.9")
@needs("admin", "batch")
def test_a_claim_moves_200_due_tasks_at_most(contract: CaseContext) -> None:
    command = contract.command()
    created = [
        contract.producer.create_batch([{"command": command, "payload": 1, "delaySeconds": 1}] * 70) for _ in range(3)
    ]
    contract.wait_out(contract.delay_end(created[-1], 1))
    contract.worker.claimed(command)
    sizes = contract.admin.queue(command).json
    assert (sizes["ready"], sizes["delayed"], sizes["inProgress"]) == (LIMIT - 1, 10, 1)
    contract.worker.claimed(command)
    assert contract.admin.queue(command).json["delayed"] == 0


@checks("K7.9")
@needs("admin", "variants", "minting")
@only("v0.3.3")
def test_a_claim_without_tenant_moves_the_due_tasks_of_its_queue_once(contract: CaseContext) -> None:
    with contract.server({}, yaml="requeueInspectLimit: 2\n") as server:
        producer, worker = server.new(Identity("producer", {})), server.new(worker_of(" ", ""))
        created = [producer.create("GENERATE_MASTER", delaySeconds=1) for _ in range(5)]
        server.wait_out(server.delay_end(created[-1], 1))
        worker.claimed("GENERATE_MASTER")
        sizes = server.admin.queues().json
        names = ("pending:0", "delayed", "inprog")
        assert [sizes[f"codeq:q:generate_master:{name}"] for name in names] == [1, 3, 1]


@checks("K7.12")
@needs("admin", "batch")
def test_a_claim_looks_at_200_tasks_in_progress_at_most(contract: CaseContext) -> None:
    command, seconds = contract.command(), contract.seconds(8)
    for _ in range(3):
        contract.producer.create_batch([{"command": command, "payload": 1, "maxAttempts": 5}] * 70)
    claims = [contract.worker.claim_batch(command, count=10, leaseSeconds=seconds) for _ in range(21)]
    contract.surely_before(claims[-1], contract.lease_end(claims[0], seconds).earliest)
    contract.wait_out(contract.lease_end(claims[-1], seconds))
    assert contract.worker.claim(command).status == 204
    sizes = contract.admin.queue(command).json
    if contract.time_bounds.has_unforeseen_reaper and not sizes["inProgress"]:
        raise InconclusiveError("the reaper has looked beside the claim")
    assert (sizes["ready"], sizes["delayed"], sizes["inProgress"]) == (0, LIMIT, 10)


def claim(contract: CaseContext, command: str, seconds: int, **fields: Any) -> Reply:
    """The claim of a new task of this command, which must be found."""
    contract.producer.created(command, **fields)
    reply = contract.worker.claim(command, leaseSeconds=seconds)
    assert reply.status == 200, reply
    return reply


def expired_and_due(contract: CaseContext, command: str) -> tuple[Reply, Reply]:
    """The claim of a task with a short lease, and the creation of a task that is soon due."""
    return claim(contract, command, contract.seconds(3)), contract.producer.create(
        command, delaySeconds=contract.seconds(3)
    )


def wait_until_over(contract: CaseContext, expired: Reply, late: Reply) -> None:
    """Wait until the lease is over and its key gone from the store (K8), and the task is due."""
    contract.wait_out(contract.lease_end(expired, contract.seconds(3)))
    contract.wait_out(contract.delay_end(late, contract.seconds(3)))
    contract.clock.sleep(2)
