"""Leases that are too long for the store (K11)."""

from __future__ import annotations

import pytest

from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import checks, core, timed
from codeq_contract.suite.case_context import CaseContext

#: Seconds, and the nanoseconds that a signed number of 64 bits makes of them.
TOO_LONG = {9223372037: 9223372037 * SECOND - 2**64, 2**63 - 1: -SECOND, 2**55: 0}
REFUSED = "pipeline lease/task/ttl update: ERR invalid expire time"


@checks("K11.1")
@pytest.mark.parametrize("seconds", TOO_LONG)
@core
def test_a_lease_too_long_for_the_store_is_refused(contract: CaseContext, seconds: int) -> None:
    command = contract.command()
    contract.producer.created(command)
    status, error = contract.worker.claim(command, leaseSeconds=seconds).refusal
    assert status == 500
    assert error.startswith(REFUSED)


@checks("K11.4", "K11.5")
@pytest.mark.parametrize("seconds", TOO_LONG)
@core
def test_a_lease_too_long_for_the_store_is_refused_after_the_task_is_written(
    contract: CaseContext, seconds: int
) -> None:
    command = contract.command()
    task = contract.producer.created(command)
    other = contract.leased()
    reply = contract.worker.claim(command, leaseSeconds=seconds)
    assert reply.refusal[1].startswith(REFUSED)
    seen = contract.worker.seen(task)
    assert (seen["status"], seen["lastKnownLocation"], seen["attempts"]) == ("IN_PROGRESS", "INPROG_SET", 1)
    assert seen["workerId"] == other["workerId"]
    assert contract.second_lies_after(reply, TOO_LONG[seconds], seen["leaseUntil"])


@checks("K11.2")
@core
def test_redis_names_its_command_in_the_refusal(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    _, error = contract.worker.claim(command, leaseSeconds=2**63 - 1).refusal
    # Redis 6 and earlier ones have no quotes.
    assert error in (f"{REFUSED} in 'setex' command", f"{REFUSED} in setex")


@checks("K11.3")
@core
def test_kvrocks_names_no_command_in_the_refusal(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    assert contract.worker.claim(command, leaseSeconds=2**63 - 1).refusal[1] == REFUSED


@checks("K11.6")
@core
def test_a_task_whose_lease_was_refused_is_claimed_after_those_that_wait(contract: CaseContext) -> None:
    command = contract.command()
    refused, waiting = contract.producer.created(command), contract.producer.created(command)
    assert contract.worker.claim(command, leaseSeconds=2**63 - 1).refusal[1].startswith(REFUSED)
    claimed = [contract.worker.claimed(command) for _ in range(2)]
    assert ids(claimed) == ids([waiting, refused])
    assert [task["attempts"] for task in claimed] == [1, 2]
    assert contract.worker.claim(command).status == 204


@checks("K11.7")
@core
def test_a_task_whose_lease_was_refused_counts_as_ready(contract: CaseContext) -> None:
    command = contract.command()
    contract.producer.created(command)
    contract.worker.claim(command, leaseSeconds=2**63 - 1)
    sizes = contract.admin.queue(command).json
    assert (sizes["ready"], sizes["inProgress"]) == (1, 0)


@checks("K11.12")
@core
def test_a_heartbeat_leaves_a_task_ready_whose_lease_was_refused(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command())
    contract.worker.claim(task["command"], leaseSeconds=2**63 - 1)
    beat = contract.worker.heartbeat(task, extendSeconds=600)
    assert (beat.status, contract.lasts(beat, 600, contract.worker.seen(task)["leaseUntil"])) == (200, True)
    sizes = contract.admin.queue(task["command"]).json
    assert (sizes["ready"], sizes["inProgress"]) == (1, 0)
    assert contract.worker.claimed(task["command"])["id"] == task["id"]
    assert contract.worker.claim(task["command"]).status == 204


@checks("K11.8", "K11.9")
@pytest.mark.parametrize("seconds", TOO_LONG)
@core
def test_a_heartbeat_too_long_for_the_store_ends_the_lease(contract: CaseContext, seconds: int) -> None:
    task = contract.leased(600, maxAttempts=5)
    beat = contract.worker.heartbeat(task, extendSeconds=seconds)
    assert (beat.status, beat.body) == (200, b'{"ok":true}')
    seen = contract.worker.seen(task)
    assert contract.second_lies_after(beat, TOO_LONG[seconds], seen["leaseUntil"])
    assert (seen["status"], seen["attempts"]) == ("IN_PROGRESS", 1)
    contract.wait_for_repair()
    assert contract.worker.claim(task["command"]).status == 204
    repaired = contract.worker.seen(task)
    assert (repaired["status"], repaired["lastKnownLocation"], repaired["attempts"]) == ("PENDING", "DELAYED_ZSET", 2)


@checks("K11.11")
@core
def test_the_longest_lease_is_292_years(contract: CaseContext) -> None:
    command, seconds = contract.command(), 9223372036
    contract.producer.created(command)
    reply = contract.worker.claim(command, leaseSeconds=seconds)
    assert reply.status == 200
    assert contract.lasts(reply, seconds, reply.json["leaseUntil"])
    assert contract.worker.claim(command).status == 204
    assert contract.worker.seen(reply.json) == reply.json


@checks("K11.10")
@timed
@pytest.mark.parametrize("seconds", [18446744074, 18446744075])
def test_a_wrapped_lease_lasts_its_whole_seconds_and_at_least_one_on_redis(contract: CaseContext, seconds: int) -> None:
    command = contract.command()
    contract.producer.created(command)
    reply = contract.worker.claim(command, leaseSeconds=seconds)
    assert reply.status == 200
    assert contract.second_lies_after(reply, seconds * SECOND - 2**64, reply.json["leaseUntil"])
    lease = contract.lease_end(reply, 1)
    contract.clock.until(lease.earliest - 1)
    assert contract.worker.claim(command).status == 204
    assert contract.worker.seen(reply.json) == reply.json
    contract.wait_out(lease)
    contract.wait_for_repair()
    assert contract.worker.claim(command).status == 204
    assert contract.worker.seen(reply.json)["lastKnownLocation"] == "DELAYED_ZSET"
