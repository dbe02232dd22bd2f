"""Claims that wait for a task (K2, K9)."""

from __future__ import annotations

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.suite.case import checks, needs, timed, unless
from codeq_contract.suite.case_context import CaseContext

pytestmark = timed

#: The pause between two looks.
LOOK = 250 * MILLISECOND


@checks("K2.4", "K2.5")
@pytest.mark.parametrize("fields", [{}, {"waitSeconds": 0}, {"waitSeconds": -20}, {"waitSeconds": -(2**63)}])
def test_a_claim_without_a_wait_answers_at_once(contract: CaseContext, fields: dict[str, int]) -> None:
    reply = contract.worker.claim(contract.command(), **fields)
    assert reply.status == 204
    assert contract.took(reply, 0)


@checks("K2.3", "K9.1")
@needs("long_poll")
@pytest.mark.parametrize(("wait", "seconds"), [(1, 1), (12, 12), (30, 30), (31, 30), (90, 30)])
def test_a_long_poll_waits_its_time_but_30_seconds_at_most(contract: CaseContext, wait: int, seconds: int) -> None:
    reply = contract.worker.claim(contract.command(), waitSeconds=wait)
    assert (reply.status, reply.body) == (204, b"")
    assert contract.took(reply, seconds)


@checks("K9.5")
@needs("long_poll")
def test_a_long_poll_gets_a_task_that_waits_at_once(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command())
    reply = contract.worker.claim(task["command"], waitSeconds=25)
    assert (reply.status, reply.json["id"]) == (200, task["id"])
    assert contract.took(reply, 0)


@checks("K9.2", "K9.3", "K9.7")
@needs("long_poll")
def test_a_long_poll_ends_with_the_task_that_comes(contract: CaseContext) -> None:
    # A look at another interval, or at other times, would not meet the moment so soon.
    contract.wait_for_fraction(260 * MILLISECOND)
    reply = contract.producer.create(contract.command(), delaySeconds=2)
    due = contract.delay_end(reply, 2)
    found = contract.worker.claim(reply.json["command"], waitSeconds=25)
    assert (found.status, found.json["id"], found.json["attempts"]) == (200, reply.json["id"], 1)
    late = 0 if contract.time_bounds.exact else 10 * SECOND
    assert due.earliest <= found.returned < due.latest + LOOK + late


@checks("K9.4")
@needs("long_poll")
def test_a_long_poll_looks_four_times_a_second_from_its_start_on(contract: CaseContext) -> None:
    for fraction in (10, 130, 370, 740, 999):
        contract.wait_for_fraction(fraction * MILLISECOND)
        reply = contract.producer.create(contract.command(), delaySeconds=2)
        found = contract.worker.claim(reply.json["command"], waitSeconds=25)
        due = contract.delay_end(reply, 2).latest
        looks = -(-(due - found.called) // LOOK)
        assert found.returned == found.called + looks * LOOK, fraction


@checks("K9.2", "K9.3")
@needs("long_poll")
@pytest.mark.parametrize("delay", [0, 2])
def test_a_long_poll_gets_a_task_that_is_created_meanwhile(contract: CaseContext, delay: int) -> None:
    command = contract.command()
    poll = contract.worker.claiming(command, waitSeconds=25)
    found, created = contract.together([poll, contract.producer.creating(command, delaySeconds=delay)])
    assert (found.status, found.json["id"], found.json["attempts"]) == (200, created.json["id"], 1)
    ready = contract.delay_end(created, delay).latest if delay else created.returned
    late = 0 if contract.time_bounds.exact else 10 * SECOND
    assert found.returned <= ready + LOOK + late


@checks("K9.2", "K9.3")
@needs("long_poll")
def test_a_long_poll_of_several_commands_gets_the_task_that_is_due_first(contract: CaseContext) -> None:
    commands = [contract.command() for _ in range(3)]
    created = [contract.producer.create(command, delaySeconds=20) for command in commands]
    first = contract.producer.create(commands[1], delaySeconds=3)
    found = contract.worker.claim(*commands, waitSeconds=25)
    contract.surely_before(found, contract.delay_end(created[0], 20).earliest)
    assert (found.status, found.json["id"]) == (200, first.json["id"])


@checks("K9.2", "K9.7")
@needs("long_poll", "known_settings")
@pytest.mark.parametrize(
    ("operation", "fields", "attempts"),
    [("abandon", {}, 2), ("nack", {"delaySeconds": 2}, 3), ("heartbeat", {"extendSeconds": 2}, 3)],
)
def test_a_long_poll_gets_a_task_that_is_given_back_meanwhile(
    contract: CaseContext, operation: str, fields: dict[str, int], attempts: int
) -> None:
    task = contract.leased(600)
    poll = contract.worker.claiming(task["command"], waitSeconds=25)
    back = contract.worker.request("POST", f"{TASKS}/{task['id']}/{operation}", fields)
    found, given_back = contract.together([poll, back])
    assert (given_back.status, found.status) == (200, 200)
    assert (found.json["id"], found.json["attempts"]) == (task["id"], attempts)


@checks("K9.7")
@needs("long_poll", "known_settings")
@unless("pebble")
def test_a_long_poll_gets_a_task_whose_lease_runs_out(contract: CaseContext) -> None:
    task = contract.leased(3)
    found = contract.worker.claim(task["command"], waitSeconds=25)
    assert (found.status, found.json["id"], found.json["attempts"]) == (200, task["id"], 3)
