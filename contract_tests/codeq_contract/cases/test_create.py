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
    "webhooks",
    [
        pytest.param(
            ["ftp://h.test", "httpx://h.test", "http ://h.test", "http\u017f://h.test", "mailto:h.test"],
            marks=checks("C3.1"),
        ),
        pytest.param(
            ["h.test", "/x", "//h.test/x", " http://h.test", "http", "://h.test", ":", "?", "#"], marks=checks("C3.2")
        ),
        pytest.param(
            [
                *("http:", "http:/", "http://", "http:///", "http:///x", "http://?x", "http://#x", "http://user@"),
                *("http://user@/x", "http:h.test", "http:/h.test", r"http:\\h.test"),
            ],
            marks=checks("C3.3"),
        ),
        pytest.param(
            [
                *("http://h.test:abc/", "http://h.test:80x/", "http://h.test:-1", "http://h.test:\u0661"),
                *("http://h.test:80:x", "http://[::1]80", "http://[::1]:x", "http://::1]:x", "http://a@b@:x"),
            ],
            marks=checks("C3.4"),
        ),
        pytest.param(["http://h .test/", "http://h.test ", "http://h.test:8 0/"], marks=checks("C3.5")),
        pytest.param(
            [f"http://h{odd}" for odd in ("/\n", "/\x7f", "/?\0", "\t", "\x7f", "?\x1f")],
            marks=checks("C3.6"),
        ),
        pytest.param(
            ["http://%zz", "http://h%41.test/", "http://%20", "http://%7f", "http://h%", "http://h%2", "http://%2g"],
            marks=checks("C3.7"),
        ),
        pytest.param(
            ["http://h.test/%zz", "http://h.test/%4", "http://h.test/%", "http://h.test/%4g", "http://h.test#%zz"],
            marks=checks("C3.8"),
        ),
        pytest.param(
            ["http://u ser@h.test", "http://u%zz@h.test", "http://u[@h.test", "http://é@h.test", "http://u\\@h.test"],
            marks=checks("C3.15"),
        ),
        pytest.param(
            [
                *("http://[", "http://[]", "http://[::1", "http://x[::1]", "http://[[::1]]", "http://h["),
                *(f"http://[::{odd}]" for odd in ("1%en0", "%41", "1%25", "1%25a b", "1%25a[b", "1%25%e9", "1%25%2f")),
                *("http://[::1%25%zz]", "http://[::1%25%8%311]", "http://[::1%25%20%2f]"),
            ],
            marks=checks("C3.16"),
        ),
        pytest.param([f"http://h{shown}.test" for shown in "\\^`{|}"], marks=checks("C3.17")),
    ],
)
def test_a_bad_webhook_is_refused(contract: CaseContext, webhooks: list[str]) -> None:
    command = contract.command()
    found = {webhook: contract.producer.create(command, webhook=webhook).refusal for webhook in webhooks}
    assert found == dict.fromkeys(webhooks, (400, "invalid webhook url"))


@checks("C3.12")
@pytest.mark.parametrize(
    "webhooks",
    [
        pytest.param(["hTTpS://h.test", "http://0-xyz.test", "HTTPS://H"], marks=checks("C3.9")),
        pytest.param(
            ["http://h.test:" + 30 * "9", "http://h.test:/", "http://h:", "http://:80/"], marks=checks("C3.10")
        ),
        pytest.param(
            ["http://[::1]:80/", "http://[::ffff:1.2.3.4]", "http://[1:2:3:4:5:6:7:8]:"], marks=checks("C3.11")
        ),
        pytest.param(
            [f"http://h{odd}" for odd in ("/a b?%zz", "/\u0085é%2F%00", "/{|}\\^`", "?#\x01", "#a#%25")],
            marks=checks("C3.14"),
        ),
        pytest.param(
            ["http://user@h", "http://@h", "http://a@b@h", "http://-A9._:~!$&'()*+,;=%41:%2f@h"], marks=checks("C3.15")
        ),
        pytest.param(["http://[fe80::1%25en0]", "http://a@[::1%25a%20b%25<%7e]:80"], marks=checks("C3.16")),
        pytest.param(
            ["http://h]", "http://é.test", "http://%C3%a9.test", "http://%25%fF%80", "http://h\"<>!$&'()*+,;=_~"],
            marks=checks("C3.17"),
        ),
        ["HTTP://User:pw@H.test:080/A/../b/?q=%7e&q=<é>#F", "http://h?a?b", "http://h//"],
    ],
)
def test_a_webhook_is_kept_as_sent(contract: CaseContext, webhooks: list[str]) -> None:
    command = contract.command()
    tasks = {webhook: contract.producer.create(command, webhook=webhook) for webhook in webhooks}
    assert {webhook: reply.json.get("webhook") for webhook, reply in tasks.items()} == {each: each for each in webhooks}


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
