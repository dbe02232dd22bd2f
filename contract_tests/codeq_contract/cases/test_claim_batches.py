"""Section 6: claims of several tasks in one request (K10)."""

from __future__ import annotations

from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = [core, needs("batch")]


@checks("K10.1", "K10.2", "K10.3", "R4.1")
def test_a_batch_claims_up_to_its_count(contract: CaseContext) -> None:
    command = contract.command()
    made = [contract.producer.created(command) for _ in range(3)]
    two = contract.worker.claim_batch(command, count=2)
    assert (two.status, list(two.json), ids(two.json["tasks"])) == (200, ["tasks"], ids(made[:2]))
    rest = contract.worker.claim_batch(command, count=10)
    assert (rest.status, ids(rest.json["tasks"])) == (200, ids(made[2:]))
    empty = contract.worker.claim_batch(command, count=10)
    assert (empty.status, empty.body) == (204, b"")


@checks("K10.4", "K10.5")
def test_a_batch_is_of_1_to_10(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command())
    for fields in ({}, {"count": 0}, {"count": -1}, {"count": None}):
        assert contract.worker.claim_batch(task["command"], **fields).refusal == (400, "invalid body")
    for count in (11, 2**31):
        refused = contract.worker.claim_batch(task["command"], count=count)
        assert refused.refusal == (400, "count exceeds maximum of 10")
    assert contract.worker.seen(task) == task


@checks("K10.6", "K10.7")
def test_a_batch_has_the_order_of_single_claims(contract: CaseContext) -> None:
    first, second = contract.command(), contract.command()
    last, low, high, newer = (
        contract.producer.created(second, priority=9),
        contract.producer.created(first),
        contract.producer.created(first, priority=7),
        contract.producer.created(first, priority=7),
    )
    more = [contract.producer.created(second, priority=1) for _ in range(7)]
    reply = contract.worker.claim_batch(first, second, count=10)
    assert (reply.status, ids(reply.json["tasks"])) == (200, ids([high, newer, low, last, *more[:6]]))


@checks("K10.8")
@needs("known_settings")
def test_each_task_of_a_batch_is_claimed_as_by_a_single_claim(contract: CaseContext) -> None:
    command = contract.command()
    for _ in range(2):
        contract.producer.created(command)
    single = contract.worker.claimed(command)
    contract.worker.abandon(single)
    for fields, seconds in (({"leaseSeconds": 77}, 77), ({}, 300), ({"leaseSeconds": 0}, 300)):
        reply = contract.worker.claim_batch(command, count=10, **fields)
        for task in reply.json["tasks"]:
            assert (task["status"], task["lastKnownLocation"]) == ("IN_PROGRESS", "INPROG_SET")
            assert task["workerId"] == single["workerId"]
            assert contract.lasts(reply, seconds, task["leaseUntil"])
            assert contract.worker.seen(task) == task
            contract.worker.abandon(task)
        assert len(reply.json["tasks"]) == 2
    attempts = [task["attempts"] for task in contract.worker.claim_batch(command, count=2).json["tasks"]]
    assert sorted(attempts) == [4, 5]


@checks("K10.9")
def test_a_batch_claim_does_not_wait(contract: CaseContext) -> None:
    reply = contract.worker.claim_batch(contract.command(), count=1, waitSeconds=20)
    assert reply.status == 204
    assert contract.took(reply, 0)
