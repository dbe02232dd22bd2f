"""Section 1: what every path and every response has in common."""

from __future__ import annotations

import re

import pytest

from codeq_contract.driver import TASKS
from codeq_contract.suite.case import checks, core
from codeq_contract.suite.case_context import CaseContext

pytestmark = core


@checks("R18.1", "R18.2", "R18.3", "R18.4", "R18.5", "R18.7", "R18.9")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/nope"),
        ("GET", TASKS),
        ("PUT", TASKS),
        ("OPTIONS", TASKS),
        ("PATCH", f"{TASKS}/claim"),
        ("DELETE", f"{TASKS}/x"),
        ("GET", "/V1/codeq/tasks/x"),
        ("POST", f"{TASKS}/x/unknown"),
    ],
)
def test_an_unknown_path_or_method_is_not_found_without_a_token(contract: CaseContext, method: str, path: str) -> None:
    reply = contract.call(contract.anonymous.request(method, path))
    assert (reply.status, reply.text) == (404, "404 page not found")
    assert reply.headers["content-type"] == "text/plain"


@checks("R18.8")
def test_a_get_of_the_claim_path_reads_the_task_of_that_name(contract: CaseContext) -> None:
    assert contract.worker.get(f"{TASKS}/claim").refusal == (404, "not found")


@checks("R19.1", "R19.2", "R19.4", "R19.5", "R19.6", "R19.7")
def test_a_trailing_slash_is_redirected_before_authentication(contract: CaseContext) -> None:
    moved = contract.anonymous.get(f"{TASKS}/abc/")
    assert (moved.status, moved.headers["location"]) == (301, f"{TASKS}/abc")
    assert moved.text == f'<a href="{TASKS}/abc">Moved Permanently</a>.\n\n'
    posted = contract.anonymous.post(f"{TASKS}/", {})
    assert (posted.status, posted.headers["location"], posted.body) == (307, TASKS, b"")


@checks("R19.8", "R19.9", "R19.10", "R19.13", "R19.15")
@pytest.mark.parametrize(
    ("target", "location"),
    [
        (f"{TASKS}/abc/?a=%zz&b='", f"{TASKS}/abc?a=%zz&b='"),
        (f"{TASKS}/%2e%2e/result/", "/v1/codeq/result"),
        (f"{TASKS}/%E9'/", f"{TASKS}/%E9%27"),
        (f"{TASKS}//", f"{TASKS}/"),
    ],
)
def test_a_redirect_keeps_the_query_and_resolves_the_path(contract: CaseContext, target: str, location: str) -> None:
    assert contract.anonymous.get(target).headers["location"] == location
    posted = contract.anonymous.post(f"{TASKS}/abc/", {})
    assert (posted.status, posted.headers["location"]) == (307, f"{TASKS}/abc")


@checks("R20.8")
def test_a_redirect_has_no_request_id(contract: CaseContext) -> None:
    assert "x-request-id" not in contract.anonymous.get(f"{TASKS}/abc/", X_Request_Id="my-id").headers


@checks("R20.1", "R20.3", "R20.4")
def test_every_other_response_has_a_request_id(contract: CaseContext) -> None:
    assert re.fullmatch("[0-9a-f]{32}", contract.worker.get(f"{TASKS}/none").headers["x-request-id"])
    assert contract.worker.get(f"{TASKS}/none", X_Request_Id="my-id").headers["x-request-id"] == "my-id"
    assert re.fullmatch("[0-9a-f]{32}", contract.anonymous.get("/nope").headers["x-request-id"])


@checks("R21.1", "R21.3", "R21.4")
def test_json_is_utf8_whatever_type_the_request_names(contract: CaseContext) -> None:
    body = f'{{"command":"{contract.command()}","payload":"é"}}'.encode()
    reply = contract.producer.post(TASKS, body, Content_Type="text/plain")
    assert (reply.status, reply.headers["content-type"]) == (202, "application/json; charset=utf-8")
    assert reply.json["payload"] == '"é"'


@checks("R22.1")
def test_an_error_is_an_object_with_its_text(contract: CaseContext) -> None:
    assert contract.anonymous.post(TASKS).json.keys() == {"error"}
    assert contract.worker.nack("none").json.keys() == {"error"}


@checks("R23.1", "R23.6", "R23.12")
def test_the_keys_of_a_task_have_their_order_and_its_strings_are_escaped(contract: CaseContext) -> None:
    command = contract.command() + "<&>"
    contract.producer.created(command, priority=3, webhook="http://127.0.0.1:9/x")
    reply = contract.worker.claim(command)
    assert " ".join(reply.json) == (
        "id command payload priority webhook status lastKnownLocation workerId leaseUntil attempts maxAttempts "
        "tenantId createdAt updatedAt"
    )
    assert rb"\u003c\u0026\u003e" in reply.body
    assert list(contract.worker.nack(reply.json).json) == ["delaySeconds", "status"]
