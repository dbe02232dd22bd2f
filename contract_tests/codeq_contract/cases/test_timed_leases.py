"""Leases that run out, are kept, are shortened, or are late (K8, H1, H3, N5, S3)."""

from __future__ import annotations

from typing import Any

from codeq_contract.driver import Reply, Span
from codeq_contract.suite.case import Sighting, checks, needs, timed
from codeq_contract.suite.case_context import CaseContext

pytestmark = timed


@checks("K8.1")
def test_a_lease_protects_its_task_until_it_runs_out(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(4))
    contract.just_before(lease)
    reply = contract.worker.claim(task["command"])
    contract.surely_before(reply, lease.earliest)
    assert reply.status == 204
    assert contract.worker.seen(task) == task


@checks("K8.2", "N5.5")
def test_a_task_whose_lease_ran_out_goes_to_the_next_worker(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3), maxAttempts=5)
    contract.wait_out(lease)
    assert contract.worker.claim(task["command"]).status == 204
    assert "workerId" not in contract.worker.seen(task)
    again = contract.claimed_after_backoff(contract.worker, task["command"])
    assert (again["id"], again["status"], again["attempts"]) == (task["id"], "IN_PROGRESS", 3)
    contract.saw(Sighting.TAKEOVER)


@checks("N5.6")
def test_each_expiry_draws_another_delay(contract: CaseContext) -> None:
    with contract.server({"BACKOFF_POLICY": "exp_full_jitter", "BACKOFF_BASE_SECONDS": "5"}) as server:
        command = server.command()
        server.producer.create_batch([{"command": command, "payload": 1, "maxAttempts": 9}] * 8)
        claim = server.worker.claim_batch(command, count=8, leaseSeconds=3)
        server.wait_out(server.lease_end(claim, 3))
        found = []
        for _ in range(22):  # from 0 to 20 seconds
            reply = server.worker.claim_batch(command, count=8, leaseSeconds=600)
            found.append(len(reply.json["tasks"]) if reply.status == 200 else 0)
            server.clock.sleep(1)
        assert sum(found) == 8
        assert max(found) < 8  # by chance once in 20 ** 7


@checks("N5.1")
@needs("variants")
def test_a_lease_that_ran_out_delays_its_task_by_the_policy(contract: CaseContext) -> None:
    with contract.server({"BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "5"}) as server:
        task, lease = leased(server, 2)
        server.wait_out(lease)
        due = server.delay_end(server.worker.claim(task["command"]), 5)
        server.just_before(due)
        reply = server.worker.claim(task["command"])
        server.surely_before(reply, due.earliest)
        assert reply.status == 204
        server.wait_out(due)
        assert server.worker.claimed(task["command"])["id"] == task["id"]


@checks("K8.2", "H1.6")
def test_a_lease_that_ran_out_is_found_beside_one_that_was_renewed_often(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3))
    contract.producer.created(task["command"])
    other = contract.worker.claimed(task["command"], leaseSeconds=300)
    for number in range(200):
        assert contract.worker.heartbeat(other, extendSeconds=300 + number).status == 200
    contract.wait_out(lease)
    assert contract.worker.claim(task["command"]).status == 204
    assert "workerId" not in contract.worker.seen(task)
    assert contract.worker.seen(other)["workerId"] == other["workerId"]


@checks("K7.10", "N5.1", "N5.2", "N5.4")
@needs("known_settings")
def test_a_claim_repairs_an_expired_task_as_a_nack_would(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3))
    contract.wait_out(lease)
    assert contract.worker.claim(task["command"]).status == 204
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["attempts"]) == ("PENDING", "DELAYED_ZSET", 2)
    assert not seen.keys() & {"workerId", "leaseUntil", "error"}


@checks("N5.3")
def test_a_lease_that_ran_out_at_the_last_attempt_is_a_dead_letter(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3), maxAttempts=1)
    contract.wait_out(lease)
    assert contract.worker.claim(task["command"]).status == 204
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["error"]) == ("FAILED", "DLQ_SET", "LEASE_EXPIRED")
    contract.saw(Sighting.DEAD_LETTER)


@checks("H1.6")
def test_a_heartbeat_keeps_a_lease(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(4))
    beat = contract.worker.heartbeat(task, extendSeconds=contract.seconds(8))
    contract.surely_before(beat, lease.earliest)
    contract.wait_out(lease)
    reply = contract.worker.claim(task["command"])
    contract.surely_before(reply, contract.lease_end(beat, contract.seconds(8)).earliest)
    assert reply.status == 204
    assert contract.worker.seen(task)["workerId"] == task["workerId"]
    contract.saw(Sighting.KEPT_LEASE)


@checks("H1.7")
def test_a_heartbeat_can_shorten_a_lease(contract: CaseContext) -> None:
    task, _ = leased(contract, 600, maxAttempts=5)
    beat = contract.worker.heartbeat(task, extendSeconds=contract.seconds(3))
    contract.wait_out(contract.lease_end(beat, contract.seconds(3)))
    assert contract.claimed_after_backoff(contract.worker, task["command"])["attempts"] == 3


@checks("H3.1", "H3.2")
def test_a_late_heartbeat_does_not_revive_a_lease(contract: CaseContext) -> None:
    lasting = contract.seconds(3)
    task, lease = leased(contract, lasting)
    # The store's key is gone from the lease's own end on, not only taken for expired (K8).
    contract.clock.until(lease.latest)
    contract.clock.sleep(2)
    beat = contract.worker.heartbeat(task, extendSeconds=600)
    assert beat.status == 200
    assert contract.worker.seen(task)["leaseUntil"] > task["leaseUntil"]
    assert contract.worker.claim(task["command"]).status == 204
    assert contract.worker.seen(task)["lastKnownLocation"] == "DELAYED_ZSET"


@checks("N1.6")
def test_a_late_nack_is_accepted_before_a_claim_repairs_the_task(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3))
    contract.wait_out(lease)
    # The store's key is gone then, not only taken for expired (K8).
    contract.clock.sleep(2)
    assert contract.worker.nack(task, delaySeconds=30).json == {"status": "requeued", "delaySeconds": 30}
    assert contract.worker.seen(task)["attempts"] == 2


@checks("D2.4")
def test_a_late_abandon_is_accepted_before_a_claim_repairs_the_task(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3))
    contract.wait_out(lease)
    # The store's key is gone then, not only taken for expired (K8).
    contract.clock.sleep(2)
    assert contract.worker.abandon(task).status == 200
    seen = contract.worker.seen(task)
    assert (seen["lastKnownLocation"], seen["attempts"]) == ("PENDING_LIST", 1)


@checks("S3.1")
def test_a_late_result_is_accepted_before_a_claim_repairs_the_task(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3))
    contract.wait_out(lease)
    # The store's key is gone then, not only taken for expired (K8).
    contract.clock.sleep(2)
    assert contract.worker.submit(task).status == 200
    assert contract.worker.seen(task)["status"] == "COMPLETED"
    assert contract.worker.claim(task["command"]).status == 204
    contract.saw(Sighting.LATE_RESULT)


@checks("S3.4")
def test_a_late_result_in_a_batch_is_accepted_before_a_claim_repairs_the_task(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3))
    contract.wait_out(lease)
    # The store's key is gone then, not only taken for expired (K8).
    contract.clock.sleep(2)
    reply = contract.worker.submit_batch([{"taskId": task["id"], "status": "COMPLETED", "result": {}}])
    assert list(reply.json["results"][0]) == ["taskId", "result"]
    assert contract.worker.seen(task)["status"] == "COMPLETED"
    assert contract.worker.claim(task["command"]).status == 204


@checks("S3.2")
def test_a_late_result_is_refused_once_a_claim_has_repaired_the_task(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3))
    contract.wait_out(lease)
    contract.worker.claim(task["command"])
    repaired = contract.worker.seen(task)
    assert contract.worker.submit(task).refusal == (409, "not-in-progress")
    assert contract.worker.seen(task) == repaired


@checks("S3.3")
def test_a_late_result_is_refused_once_another_worker_has_the_task(contract: CaseContext) -> None:
    task, lease = leased(contract, contract.seconds(3), maxAttempts=5)
    contract.wait_out(lease)
    again = contract.claimed_after_backoff(contract.worker2, task["command"])
    assert again["id"] == task["id"]
    assert contract.worker.submit(task).refusal == (403, "not-owner")
    assert contract.worker.seen(task) == again


def leased(contract: CaseContext, seconds: int, **fields: Any) -> tuple[dict[str, Any], Span]:
    """A task that our worker holds for so long, and when its lease ends."""
    command = contract.command()
    contract.producer.created(command, **fields)
    reply: Reply = contract.worker.claim(command, leaseSeconds=seconds)
    assert reply.status == 200, reply
    return reply.json, contract.lease_end(reply, seconds)
