"""Many at once: each task goes to one worker, none is lost, and none comes back (Z1 to Z4)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from codeq_contract.driver import Reply
from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import Sighting, checks, concurrent
from codeq_contract.suite.case_context import CaseContext

pytestmark = concurrent

#: Orders that a target in this process is made to take; elsewhere, chances to meet a race.
SCHEDULES = range(1, 5)
CLAIMERS = 8


@checks("K3.5")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_task_that_many_claim_goes_to_one(contract: CaseContext, schedule: int) -> None:
    command = contract.command()
    task = contract.producer.created(command)
    replies = contract.together([contract.worker.claiming(command)] * CLAIMERS, schedule=schedule)
    assert sorted(reply.status for reply in replies) == [200] + [204] * (CLAIMERS - 1)
    assert ids(found(replies)) == ids([task])
    contract.saw(Sighting.CONTENDED_CLAIM)


@checks("Z6.1")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_key_that_many_send_makes_one_task(contract: CaseContext, schedule: int) -> None:
    command, key = contract.command(), contract.names.key()
    replies = contract.together([contract.producer.creating(command, idempotencyKey=key)] * CLAIMERS, schedule=schedule)
    assert {reply.status for reply in replies} == {202}
    assert len({reply.json["id"] for reply in replies}) == 1


@checks("Z5.1", "Z5.2")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_result_that_is_sent_twice_at_once_counts_once(contract: CaseContext, schedule: int) -> None:
    task = contract.leased()
    ends = [contract.worker.submitting(task, status="FAILED", error=str(number)) for number in range(4)]
    replies = contract.together(ends, schedule=schedule)
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]
    [accepted] = [reply.json["error"] for reply in replies if reply.status == 200]
    assert contract.worker.seen(task)["error"] == accepted


@checks("Z5.3")
def test_of_results_that_are_sent_at_once_one_calls_the_webhook(contract: CaseContext) -> None:
    hook = contract.hook()
    task = contract.leased(webhook=hook.url)
    ends = [contract.worker.submitting(task, status="FAILED", error=str(number)) for number in range(4)]
    replies = contract.together(ends, schedule=1)
    accepted = [reply.json["error"] for reply in replies if reply.status == 200]
    assert len(accepted) == 1
    contract.clock.eventually(lambda: hook.received, within=contract.patience)
    contract.clock.sleep(1)
    assert [json.loads(callback.body)["error"] for callback in hook.received] == accepted


@checks("K9.6")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_of_many_long_polls_gets_a_different_task(contract: CaseContext, schedule: int) -> None:
    command = contract.command()
    polls = [contract.worker.claiming(command, waitSeconds=20)] * 4
    creations = [contract.producer.creating(command, delaySeconds=1)] * 4
    replies = contract.together([*polls, *creations], schedule=schedule)
    made = [reply.json for reply in replies[4:]]
    assert sorted(ids(found(replies[:4]))) == sorted(ids(made))


@checks("Z4.1")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_no_claim_is_empty_while_tasks_are_left(contract: CaseContext, schedule: int) -> None:
    command = contract.command()
    made = [contract.producer.created(command) for _ in range(CLAIMERS)]
    replies = contract.together([contract.worker.claiming(command)] * CLAIMERS, schedule=schedule)
    assert sorted(ids(found(replies))) == sorted(ids(made))


@checks("Z3.1", "Z3.2")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_fresh_lease_is_not_revoked_by_claims_beside_it(contract: CaseContext, schedule: int) -> None:
    command = contract.command()
    tasks = 2 * CLAIMERS
    contract.together([contract.producer.creating(command)] * tasks, schedule=schedule)
    for _ in range(2):
        claimed = found(
            contract.together([contract.worker.claiming(command, leaseSeconds=60)] * CLAIMERS, schedule=schedule)
        )
        ends = [contract.worker.submitting(task) for task in claimed]
        more = [contract.worker.claiming(contract.command())] * CLAIMERS
        replies = contract.together([*ends, *more], schedule=schedule)
        assert [reply.status for reply in replies[: len(ends)]] == [200] * len(ends)
        assert [contract.worker.seen(task)["attempts"] for task in claimed] == [1] * len(claimed)


@checks("Z1.1", "Z1.2", "Z2.1")
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_due_tasks_that_many_claims_move_are_handed_out_once_and_all_end(contract: CaseContext, schedule: int) -> None:
    command = contract.command()
    creations = contract.together([contract.producer.creating(command, delaySeconds=1)] * CLAIMERS, schedule=schedule)
    made = ids([reply.json for reply in creations])
    for creation in creations:
        contract.wait_out(contract.delay_end(creation, 1))
    handed_out: Counter[str] = Counter()
    for _ in range(4):
        claimed = found(contract.together([contract.worker.claiming(command)] * CLAIMERS, schedule=schedule))
        handed_out.update(ids(claimed))
        contract.together([contract.worker.submitting(task) for task in claimed], schedule=schedule)
    assert handed_out == Counter(made)
    assert {contract.worker.seen(task)["status"] for task in made} == {"COMPLETED"}
    again = [contract.worker.submit(task, status="FAILED", error="again") for task in made]
    assert {reply.refusal for reply in again} == {(409, "not-in-progress")}
    assert {contract.worker.seen(task)["status"] for task in made} == {"COMPLETED"}


def found(replies: Sequence[Reply]) -> list[dict[str, Any]]:
    """The tasks of those claims that found one."""
    return [reply.json for reply in replies if reply.status == 200]
