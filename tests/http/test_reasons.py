"""The reasons in the journal: why a request was refused, or a claim found no task. Replies do not have them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.http.support import CLAIM, SUBSCRIPTIONS, TASKS

if TYPE_CHECKING:
    from codeq_fake.testing import FakeCodeQ


def reason(codeq: FakeCodeQ, caller: str, path: str, body: str) -> str | None:
    """The reason of the reply to this request."""
    with codeq.client(caller) as client:
        client.post(path, content=body)
    return codeq.requests[-1]["reason"]


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        (TASKS, "", "the body is empty: a JSON object is expected (B1)"),
        (TASKS, "no JSON", "line 1, column 1: a value is expected (B1)"),
        (TASKS, '{"command": "A",\n  "payload": }', "line 2, column 14: a value is expected (B1)"),
        (TASKS, '{"command": "A" "payload": 1}', "line 1, column 17: a comma or the closing bracket is expected (B1)"),
        (TASKS, "{command: 1}", "line 1, column 2: a name in double quotes is expected (B1)"),
        (TASKS, '{"command": "A', "line 1, column 13: the string that begins here has no end (B1)"),
        (TASKS, '{"payload": NaN}', "JSON has no NaN (B1)"),
        (TASKS, "\ufeff{}", "the body begins with a byte order mark, which JSON does not have (B1)"),
        (TASKS, "[]", "a JSON object is expected, not a list (B1)"),
        (TASKS, "7", "a JSON object is expected, not the number 7 (B1)"),
        (TASKS, "null", "`command` is missing"),
        (TASKS, '{"payload": {}}', "`command` is missing"),
        (TASKS, '{"Command": "", "payload": {}}', "`command` is empty"),
        (TASKS, '{"command": "A", "payload": null}', "`payload` is missing"),
        (
            TASKS,
            '{"command": "A", "payload": 1, "priority": "5"}',
            "`priority` is a string: a whole number is expected (B1)",
        ),
        (TASKS, '{"command": 1, "command": "A"}', "`command` is the number 1: a string is expected (B1)"),
        (
            f"{TASKS}/batch",
            '{"tasks": [{"command": "A", "payload": 1}, {"command": true}]}',
            "`tasks[1].command` is true: a string is expected (B1)",
        ),
        (f"{TASKS}/batch", '{"tasks": []}', "`tasks` is empty"),
        (f"{TASKS}/batch", '{"tasks": {}}', "`tasks` is an object: a list is expected (B1)"),
    ],
)
def test_a_bad_body_has_its_place_and_what_is_expected_there(codeq: FakeCodeQ, path: str, body: str, why: str) -> None:
    assert reason(codeq, "producer", path, body) == why


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        (f"{CLAIM}/batch", '{"commands": ["A"]}', "`count` is missing"),
        (f"{CLAIM}/batch", '{"count": 0}', "`count` must be 1 or more"),
        (
            f"{TASKS}/t/result",
            '{"status": "COMPLETED", "result": 3}',
            "`result` is the number 3: an object is expected (B1)",
        ),
        (f"{TASKS}/t/result", '{"result": {}}', "`status` is missing"),
        (SUBSCRIPTIONS, "{}", "`callbackUrl` is missing"),
    ],
)
def test_the_body_of_a_worker_too(codeq: FakeCodeQ, path: str, body: str, why: str) -> None:
    assert reason(codeq, "worker", path, body) == why


def test_a_body_that_only_go_refuses_and_a_long_one_have_a_general_reason(codeq: FakeCodeQ) -> None:
    general = "the body is not the JSON that this route reads (B1, B2)"
    assert reason(codeq, "producer", TASKS, '{"command": "A", "payload": 1e999}') == general
    assert reason(codeq, "producer", TASKS, f'{{"command": "{"A" * 40_000}", "payload": }}') == general


def test_who_asks_for_what_another_holds_reads_both_names(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("A", tenant="acme")
    assert reason(codeq, "worker", CLAIM, '{"commands": ["A"]}') is None
    said = reason(codeq, "other", f"{TASKS}/{task.id}/heartbeat", "{}")
    assert said is not None
    assert said.endswith("It is IN_PROGRESS, held by w-1; you are w-2.")


def test_a_claim_without_right_reads_which_event_types_the_token_has(codeq: FakeCodeQ) -> None:
    said = reason(codeq, "packer", CLAIM, '{"commands": ["A"]}')
    assert said is not None
    assert "They are: PACK" in said


def test_a_token_without_the_scope_reads_which_one(codeq: FakeCodeQ) -> None:
    assert reason(codeq, "scopeless", CLAIM, "{}") == "the token lacks the scope codeq:claim (A5)"
    assert codeq.requests[-1]["as"] == "w-3"


@pytest.mark.parametrize("path", [CLAIM, f"{CLAIM}/batch"])
def test_an_empty_claim_reads_what_there_is_instead(codeq: FakeCodeQ, path: str) -> None:
    def why(*commands: str) -> str | None:
        return reason(codeq, "worker", path, json.dumps({"commands": commands, "count": 1}))

    assert why("ONBOARD_USERS") == "no ONBOARD_USERS for acme"
    codeq.enqueue("ONBOARD_USER", tenant="acme")
    assert why("ONBOARD_USERS") == "no ONBOARD_USERS for acme; ONBOARD_USER has 1 ready: a typo?"
    codeq.enqueue("SYNC", tenant="beta")
    assert why("SYNC") == "no SYNC for acme; 1 ready for beta"
    codeq.enqueue("SYNC", tenant="acme", delay=90)
    assert why("SYNC") == "no SYNC for acme is ready: 1 delayed, the first for 90 s; 1 ready for beta"
    codeq.enqueue("SWEEP", tenant="acme", delay=5400)
    assert why("SWEEP") == "no SWEEP for acme is ready: 1 delayed, the first for 5400 s"
    assert why("ONBOARD_USER") is None
    assert why("ONBOARD_USER") == "no ONBOARD_USER for acme is ready: 1 leased"
    assert why("ONE", "TWO", "SIX", "TEN", "ELF") == (
        "no ONE for acme. no TWO for acme. no SIX for acme. nothing either in the other 2 commands"
    )


def test_long_names_are_not_compared_as_that_would_take_minutes(codeq: FakeCodeQ) -> None:
    codeq.enqueue("X" + "AB" * 50_000, tenant="acme")
    said = reason(codeq, "worker", CLAIM, json.dumps({"commands": ["X" + "AB" * 50_000 + "C"]}))
    assert said is not None
    assert "a typo?" not in said
