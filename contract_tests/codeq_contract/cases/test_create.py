"""Section 5: what a producer can create, how it is kept, and what is refused (C1 to C5)."""

from __future__ import annotations

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


@checks("C1.1", "C1.2", "C1.3", "C1.5", "C1.6", "R12.1")
def test_a_new_task_is_pending(contract: CaseContext) -> None:
    command = contract.command()
    reply = contract.producer.create(command, {"n": 1})
    assert reply.status == 202
    task = reply.json
    assert (task["command"], task["payload"]) == (command, '{"n":1}')
    assert (task["status"], task["lastKnownLocation"]) == ("PENDING", "PENDING_LIST")
    assert "attempts" not in task
    assert contract.worker.task(task).body == reply.body


@checks("C1.4", "C6.17")
def test_a_task_for_later_is_delayed(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command(), delaySeconds=3600)
    assert (task["status"], task["lastKnownLocation"]) == ("PENDING", "DELAYED_ZSET")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"payload": 1}, marks=checks("C1.7")),
        pytest.param({"command": "", "payload": 1}, marks=checks("C1.7")),
        pytest.param({"command": "X"}, marks=checks("C1.8")),
        pytest.param({"command": "X", "payload": None}, marks=checks("C1.8")),
    ],
)
def test_command_and_payload_are_required(contract: CaseContext, fields: dict[str, object]) -> None:
    assert contract.producer.post(TASKS, fields).refusal == (400, "invalid body")


@checks("C1.9")
@pytest.mark.parametrize(("payload", "kept"), [(0, "0"), ("", '""'), (False, "false"), ([], "[]")])
def test_an_empty_payload_is_one(contract: CaseContext, payload: object, kept: str) -> None:
    reply = contract.producer.create(contract.command(), payload)
    assert (reply.status, reply.json["payload"]) == (202, kept)


@checks("C2.1")
@pytest.mark.parametrize("command", [" ", " \t\n\v\f\r", "\x85\xa0\u1680\u2003\u2028\u202f\u3000"])
def test_a_blank_command_is_refused(contract: CaseContext, command: str) -> None:
    assert contract.producer.create(command).refusal == (400, "invalid command")


@checks("C2.2", "C2.3")
@pytest.mark.parametrize("suffix", ["a\t", "É"])
def test_commands_that_differ_only_in_case_share_a_queue(contract: CaseContext, suffix: str) -> None:
    command = f"{contract.command()} {suffix}"
    task = contract.producer.created(command)
    assert task["command"] == command
    others = [f"{command} ", command.removesuffix(suffix)]
    assert [contract.worker.claim(other).status for other in others] == [204, 204]
    claimed = contract.worker.claimed(command.swapcase())
    assert (claimed["id"], claimed["command"]) == (task["id"], command)


@checks("C2.5")
def test_each_character_of_a_command_is_lowered_alone(contract: CaseContext) -> None:
    command = contract.command()
    capital, small, final = "\u03a3", "\u03c3", "\u03c2"  # sigmas
    task = contract.producer.created(f"{command}A{capital}")
    assert contract.worker.claim(f"{command}a{final}").status == 204
    assert contract.worker.claimed(f"{command}a{small}")["id"] == task["id"]
    dotted = contract.producer.created(f"{command}\u0130")  # a capital I with a dot, two characters elsewhere
    assert contract.worker.claimed(f"{command}i")["id"] == dotted["id"]


@pytest.mark.parametrize(
    "webhook",
    [
        pytest.param("ftp://h.test", marks=checks("C3.1")),
        pytest.param("httpx://h.test", marks=checks("C3.1")),
        pytest.param("h.test", marks=checks("C3.2")),
        pytest.param("/x", marks=checks("C3.2")),
        pytest.param("//h.test/x", marks=checks("C3.2")),
        pytest.param(" http://h.test", marks=checks("C3.2")),
        pytest.param("http://", marks=checks("C3.3")),
        pytest.param("http:///x", marks=checks("C3.3")),
        pytest.param("http://user@", marks=checks("C3.3")),
        pytest.param("http:h.test", marks=checks("C3.3")),
        pytest.param("http://h.test:abc/", marks=checks("C3.4")),
        pytest.param("http://h.test:80x/", marks=checks("C3.4")),
        pytest.param("http://h .test/", marks=checks("C3.5")),
        pytest.param("http://h.test ", marks=checks("C3.5")),
        pytest.param("http://h.test/\n", marks=checks("C3.6")),
        pytest.param("http://h.test/\x7f", marks=checks("C3.6")),
        pytest.param("http://h.test/?\0", marks=checks("C3.6")),
        pytest.param("http://%zz", marks=checks("C3.7")),
        pytest.param("http://h%41.test/", marks=checks("C3.7")),
        pytest.param("http://h.test/%zz", marks=checks("C3.8")),
        pytest.param("http://h.test/%4", marks=checks("C3.8")),
    ],
)
def test_a_bad_webhook_is_refused(contract: CaseContext, webhook: str) -> None:
    assert contract.producer.create(contract.command(), webhook=webhook).refusal == (400, "invalid webhook url")


@checks("C3.12")
@pytest.mark.parametrize(
    "webhook",
    [
        pytest.param("hTTpS://h.test", marks=checks("C3.9")),
        pytest.param("http://h.test:" + 30 * "9", marks=checks("C3.10")),
        pytest.param("http://h.test:/", marks=checks("C3.10")),
        pytest.param("http://[::1]:80/", marks=checks("C3.11")),
        pytest.param("http://h.test/a b?%zz", marks=checks("C3.14")),
        "HTTP://User:pw@H.test:080/A/../b/?q=%7e&q=<é>#F",
    ],
)
def test_a_webhook_is_kept_as_sent(contract: CaseContext, webhook: str) -> None:
    assert contract.producer.created(contract.command(), webhook=webhook)["webhook"] == webhook


@checks("C3.13")
def test_an_empty_webhook_is_none(contract: CaseContext) -> None:
    assert "webhook" not in contract.producer.created(contract.command(), webhook="")


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, marks=checks("C4.2")),
        pytest.param({"maxAttempts": 0}, marks=checks("C4.1")),
        pytest.param({"maxAttempts": -1}, marks=checks("C4.1")),
        pytest.param({"maxAttempts": _SMALLEST}, marks=checks("C4.1")),
    ],
)
@needs("known_settings")
def test_attempts_have_a_default(contract: CaseContext, fields: dict[str, int]) -> None:
    task = contract.producer.created(contract.command(), **fields)
    assert task["maxAttempts"] == contract.settings.max_attempts


@checks("C4.3")
def test_attempts_above_0_are_kept(contract: CaseContext) -> None:
    given = [1, 2, 100, 2**31]
    assert [contract.producer.created(contract.command(), maxAttempts=most)["maxAttempts"] for most in given] == given


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param([_SMALLEST, -3, -1], [0, 0, 0], marks=checks("C5.1")),
        pytest.param([10, 11, _LARGEST], [9, 9, 9], marks=checks("C5.2")),
        pytest.param([*range(10)], [*range(10)], marks=checks("C5.3")),
    ],
)
def test_a_priority_is_clamped(contract: CaseContext, given: list[int], kept: list[int]) -> None:
    tasks = [contract.producer.created(contract.command(), priority=priority) for priority in given]
    assert [task.get("priority", 0) for task in tasks] == kept
