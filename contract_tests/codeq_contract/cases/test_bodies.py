"""Section 2: how request bodies are read."""

from __future__ import annotations

import pytest

from codeq_contract.driver import ADMIN, SUBSCRIPTIONS, TASKS
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

ACCEPTED = {
    "names in any case": '{"COMMAND":"%s","Payload":1}',
    "the last of repeated names": '{"command":"x","command":"%s","payload":1}',
    "null leaves what is there": '{"command":"%s","command":null,"payload":1}',
    "unknown names": '{"command":"%s","payload":1,"more":{"a":[]}}',
    "null for a number": '{"command":"%s","payload":1,"priority":null}',
    "anything after the value": '{"command":"%s","payload":1}} trailing',
}
REFUSED = {
    "empty": "",
    "null": "null",
    "another type": "[]",
    "cut off": '{"command":"%s","payload":1',
    "a trailing comma": '{"command":"%s","payload":1,}',
    "a byte order mark": '\ufeff{"command":"%s","payload":1}',
    "a text for a number": '{"command":"%s","payload":1,"priority":"5"}',
    "a fraction for an integer": '{"command":"%s","payload":1,"priority":5.0}',
    "an exponent for an integer": '{"command":"%s","payload":1,"priority":1e1}',
    "an integer beyond 64 bits": '{"command":"%s","payload":1,"priority":9223372036854775808}',
    "a raw control character": '{"command":"%s","payload":"\n"}',
    "NaN": '{"command":"%s","payload":NaN}',
    "a leading zero": '{"command":"%s","payload":01}',
    "a number beyond a double": '{"command":"%s","payload":1e999}',
    "nesting too deep": '{"command":"%s","payload":' + "[" * 10_001 + "]" * 10_001 + "}",
}


@checks("B1.1", "B1.3", "B1.4", "B1.5", "B1.6", "B1.14")
@pytest.mark.parametrize("body", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_body_is_read_leniently(contract: CaseContext, body: str) -> None:
    command = contract.command()
    reply = contract.producer.post(TASKS, body.replace("%s", command).encode())
    assert (reply.status, reply.json["command"], reply.json["payload"]) == (202, command, "1")


@checks(
    "B1.7",
    "B1.8",
    "B1.9",
    "B1.10",
    "B1.13",
    "B1.15",
    "B1.16",
    "B1.17",
    "B1.18",
    "B1.19",
    "B1.20",
    "B1.21",
    "B1.25",
    "B1.26",
    "B2.1",
)
@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_json_is_strict(contract: CaseContext, body: str) -> None:
    reply = contract.producer.post(TASKS, body.replace("%s", contract.command()).encode())
    assert reply.refusal == (400, "invalid body")


@checks("B1.22", "B1.23")
def test_invalid_unicode_becomes_the_replacement_character(contract: CaseContext) -> None:
    body = b'{"command":"%s","payload":["\\ud800","\xff"]}' % contract.command().encode()
    assert contract.producer.post(TASKS, body).json["payload"] == '["\ufffd","\ufffd"]'


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(f"{TASKS}/claim", marks=checks("B2.3")),
        pytest.param(f"{TASKS}/claim/batch", marks=checks("B2.2")),
        pytest.param(f"{TASKS}/none/heartbeat", marks=checks("H4.1", "H4.2")),
        pytest.param(f"{TASKS}/none/nack", marks=checks("B2.4")),
        pytest.param(SUBSCRIPTIONS, marks=checks("B2.5")),
    ],
)
@pytest.mark.parametrize("body", [b"", b"{", b"[]"])
def test_a_bad_body_of_a_worker_is_refused(contract: CaseContext, path: str, body: bytes) -> None:
    assert contract.worker.post(path, body).refusal == (400, "invalid body")


@checks("B2.6", "S2.6")
@pytest.mark.parametrize("body", [b"", b"{", b"null", b'{"status":1}', b'{"status":"COMPLETED","result":[]}'])
def test_a_bad_result_has_a_separate_error_text(contract: CaseContext, body: bytes) -> None:
    assert contract.worker.post(f"{TASKS}/none/result", body).refusal == (400, "invalid request body")


@checks("B2.7", "B2.13")
def test_a_renewal_ignores_a_bad_body_and_an_abandon_reads_none(contract: CaseContext) -> None:
    for body in (b"", b"{", b'{"ttlSeconds":"1"}'):
        assert contract.worker.post(f"{SUBSCRIPTIONS}/none/heartbeat", body).status == 404
    assert contract.worker.post(f"{TASKS}/none/abandon", b"{").json == {"error": "not-found"}


@checks("B2.10")
@needs("admin", "clean_up")
def test_a_clean_up_of_long_ago_ignores_what_it_cannot_read(contract: CaseContext) -> None:
    reply = contract.admin.post(f"{ADMIN}/tasks/cleanup", b'{"limit":"1","before":"2000-01-01T00:00:00Z"}')
    assert reply.status == 200


@checks("B2.10", "B2.11", "B2.12")
@needs("admin", "clean_up")
@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (b'{"limit":7,"limit":"x","before":"2000-01-01T00:00:00Z"}', 7),
        (b'{"before":"2000-01-01T00:00:00Z","before":5,"limit":7}x', 7),
        (b'{"before":"2000-01-01T00:00:00Z","limit":1e2}', 0),
    ],
)
def test_a_clean_up_passes_over_fields_of_the_wrong_type(contract: CaseContext, body: bytes, limit: int) -> None:
    reply = contract.admin.post(f"{ADMIN}/tasks/cleanup", body)
    assert (reply.status, reply.json) == (200, {"before": "2000-01-01T00:00:00Z", "deleted": 0, "limit": limit})


@checks("B3.1")
def test_a_body_is_not_looked_at_without_a_token(contract: CaseContext) -> None:
    assert contract.anonymous.post(TASKS, b"{").status == 401
    assert contract.anonymous.post(f"{TASKS}/claim", b"{").status == 401


@checks("B3.2")
@needs("minting")
def test_a_body_is_not_looked_at_without_the_scope(contract: CaseContext) -> None:
    assert contract.new_worker(scope="codeq:nack").post(f"{TASKS}/claim", b"{").status == 403
