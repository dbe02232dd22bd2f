"""Delays and backoff (C7, N3), and what a day makes of keys, tasks and buckets."""

from __future__ import annotations

from codeq_contract.recordings.times import MILLISECOND, SECOND, moment_text
from codeq_contract.suite.case import Sighting, checks, needs, timed
from codeq_contract.suite.case_context import CaseContext

pytestmark = timed

_DAY = 24 * 3600


@checks("C7.1", "C7.2")
def test_a_delayed_task_is_not_early_by_more_than_a_second(contract: CaseContext) -> None:
    command, delay = contract.command(), contract.seconds(3)
    reply = contract.producer.create(command, delaySeconds=delay)
    due = contract.delay_end(reply, delay)
    contract.just_before(due)
    early = contract.worker.claim(command)
    contract.surely_before(early, due.earliest)
    assert early.status == 204
    contract.wait_out(due)
    assert contract.worker.claimed(command)["id"] == reply.json["id"]


@checks("C6.14", "C7.3", "C7.4")
def test_a_task_for_a_moment_is_due_then_whatever_its_delay(contract: CaseContext) -> None:
    command = contract.command()
    moment = contract.clock.now() + contract.seconds(10) * SECOND
    reply = contract.producer.create(command, runAt=moment_text(moment), delaySeconds=1)
    contract.surely_before(reply, moment)
    assert reply.json["lastKnownLocation"] == "DELAYED_ZSET"
    due = contract.time_bounds.moment_due(moment)
    contract.just_before(due)
    early = contract.worker.claim(command)
    contract.surely_before(early, due.earliest)
    assert early.status == 204
    contract.wait_out(due)
    assert contract.worker.claimed(command)["id"] == reply.json["id"]


@checks("C7.5", "C7.6")
@needs("long_waits")
def test_a_delay_ends_with_the_second_in_which_it_is_over(contract: CaseContext) -> None:
    command, second = contract.command(), (contract.clock.now() // SECOND + 1) * SECOND
    contract.clock.until(second + 900 * MILLISECOND)
    task = contract.producer.created(command, delaySeconds=10)
    contract.clock.until(second + 9_999 * MILLISECOND)
    assert contract.worker.claim(command).status == 204
    contract.clock.until(second + 10_000 * MILLISECOND)
    assert contract.worker.claimed(command)["id"] == task["id"]


@checks("N3.8", "N3.9")
def test_a_nacked_task_comes_back_after_its_delay(contract: CaseContext) -> None:
    command, delay = contract.command(), contract.seconds(3)
    task = contract.producer.created(command)
    contract.worker.claimed(command)
    reply = contract.worker.nack(task, delaySeconds=delay)
    due = contract.delay_end(reply, delay)
    contract.just_before(due)
    early = contract.worker.claim(command)
    contract.surely_before(early, due.earliest)
    assert early.status == 204
    contract.wait_out(due)
    again = contract.worker.claimed(command)
    assert (again["id"], again["attempts"]) == (task["id"], 3)


@checks("N2.4")
def test_five_attempts_are_three_deliveries(contract: CaseContext) -> None:
    command = contract.command()
    task = contract.producer.created(command, maxAttempts=5)
    outcomes = []
    for attempts in (1, 3, 5):
        assert contract.eventually_claimed(contract.worker, command)["attempts"] == attempts
        outcomes.append(contract.worker.nack(task, delaySeconds=1).json["status"])
    assert outcomes == ["requeued", "requeued", "dlq"]
    contract.saw(Sighting.DEAD_LETTER)


@checks("C8.4", "C8.5")
@needs("long_waits")
def test_a_key_is_good_for_a_day(contract: CaseContext) -> None:
    command, key = contract.command(), contract.names.key()
    task = contract.producer.created(command, idempotencyKey=key)
    contract.clock.sleep(_DAY - 2)
    assert contract.producer.created(command, idempotencyKey=key)["id"] == task["id"]
    contract.clock.sleep(4)
    assert contract.producer.created(command, idempotencyKey=key)["id"] != task["id"]


@checks("C8.4", "C8.13")
@needs("admin", "long_waits", "variants")
def test_a_key_that_is_used_again_begins_a_day_and_others_end_theirs(contract: CaseContext) -> None:
    with contract.server({}) as server:
        command, again, other = server.command(), server.names.key(), server.names.key()
        server.producer.created(command, idempotencyKey=again)
        server.clock.sleep(2)
        of_other = server.producer.created(command, idempotencyKey=other)
        in_two_days = moment_text(server.clock.now() + 2 * _DAY * SECOND)
        assert server.admin.clean_up(before=in_two_days, limit=1).json["deleted"] == 1
        server.clock.sleep(4)
        renewed = server.producer.created(command, idempotencyKey=again)
        server.clock.sleep(_DAY - 2)
        assert server.producer.created(command, idempotencyKey=again)["id"] == renewed["id"]
        assert server.producer.created(command, idempotencyKey=other)["id"] != of_other["id"]
