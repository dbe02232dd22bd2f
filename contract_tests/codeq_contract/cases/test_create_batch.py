"""Section 5: several tasks in one request (C9)."""

from __future__ import annotations

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.suite.caller import ids
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = [core, needs("batch")]

URL = "http://127.0.0.1:9/hook"


@checks("C9.1", "C9.2", "C9.3", "C9.8", "C9.9", "C9.11", "R2.1")
def test_a_batch_answers_each_item_in_order(contract: CaseContext) -> None:
    command = contract.command()
    reply = contract.producer.create_batch(
        [
            {"command": command, "payload": {"i": 1}},
            {},
            {"command": command},
            {"command": command, "payload": None},
            {"command": command, "payload": 1, "runAt": "x"},
            {"command": command, "payload": 1, "webhook": "x"},
            {"command": command, "payload": 2},
        ]
    )
    assert (reply.status, [*reply.json]) == (200, ["results"])
    first, nothing, bare, null, late, lost, last = reply.json["results"]
    assert nothing == {"error": "invalid command"}
    assert late == {"error": "invalid 'runAt' (use RFC3339)"}
    assert lost == {"error": "invalid webhook url"}
    accepted = [first, bare, null, last]
    assert [[*item] for item in accepted] == [["task"]] * 4
    made = [item["task"] for item in accepted]
    assert [task["payload"] for task in made] == ['{"i":1}', "null", "null", "2"]
    assert made == [contract.worker.seen(task) for task in made]
    assert ids([contract.worker.claimed(command) for _ in made]) == ids(made)
    assert contract.worker.claim(command).status == 204


@checks("C9.12")
def test_each_item_has_its_own_fields(contract: CaseContext) -> None:
    command = contract.command()
    fields: list[dict[str, object]] = [
        {"priority": 3},
        {"delaySeconds": 3600},
        {"webhook": URL},
        {"maxAttempts": 2},
        {"priority": 12},
    ]
    reply = contract.producer.create_batch([{"command": command, "payload": 1, **each} for each in fields])
    made = [item["task"] for item in reply.json["results"]]
    assert [task.get("priority", 0) for task in made] == [3, 0, 0, 0, 9]
    assert [task["lastKnownLocation"] == "DELAYED_ZSET" for task in made] == [False, True, False, False, False]
    assert [task.get("webhook") for task in made] == [None, None, URL, None, None]
    assert [task["maxAttempts"] == 2 for task in made] == [False, False, False, True, False]
    assert contract.worker.claimed(command)["id"] == made[4]["id"]


@checks("C9.4")
def test_a_batch_of_100_is_accepted(contract: CaseContext) -> None:
    items = [{"command": contract.command(), "payload": n} for n in range(100)]
    reply = contract.producer.create_batch(items)
    assert reply.status == 200
    assert [item["task"]["payload"] for item in reply.json["results"]] == [str(n) for n in range(100)]


@checks("C9.5", "C9.13")
def test_a_batch_of_101_is_refused(contract: CaseContext) -> None:
    command = contract.command()
    reply = contract.producer.create_batch([{"command": command, "payload": 1}] * 101)
    assert reply.refusal == (400, "batch size exceeds maximum of 100")
    assert contract.worker.claim(command).status == 204


@checks("C9.6")
def test_a_batch_of_no_items_is_refused(contract: CaseContext) -> None:
    assert contract.producer.create_batch([]).refusal == (400, "invalid body")


@checks("C9.7")
@pytest.mark.parametrize("body", [{}, {"tasks": None}, {"items": [{"command": "X", "payload": 1}]}])
def test_a_batch_without_tasks_is_refused(contract: CaseContext, body: object) -> None:
    assert contract.producer.post(f"{TASKS}/batch", body).refusal == (400, "invalid body")


@checks("C9.10", "C9.13")
@pytest.mark.parametrize("wrong", [1, [], {"command": 1}, {"command": "X", "payload": 1, "priority": "5"}])
def test_a_wrong_type_in_an_item_refuses_the_batch(contract: CaseContext, wrong: object) -> None:
    command = contract.command()
    reply = contract.producer.create_batch([{"command": command, "payload": 1}, wrong])
    assert reply.refusal == (400, "invalid body")
    assert contract.worker.claim(command).status == 204
