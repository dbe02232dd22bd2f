"""Section 1: paths and methods, request ids, content types and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from codeq_contract.driver import ADMIN, SUBSCRIPTIONS, TASKS, Reply
from codeq_contract.suite.case import checks, core
from codeq_contract.suite.case_context import CaseContext

pytestmark = core

#: Each path of the contract, with an id for `:id`, and the methods that it has. A GET of `claim` reads a task.
PATHS = {
    TASKS: ["POST"],
    f"{TASKS}/batch": ["POST", "GET"],
    f"{TASKS}/claim": ["POST", "GET"],
    f"{TASKS}/claim/batch": ["POST"],
    f"{TASKS}/batch/results": ["POST"],
    f"{TASKS}/x": ["GET"],
    f"{TASKS}/x/heartbeat": ["POST"],
    f"{TASKS}/x/abandon": ["POST"],
    f"{TASKS}/x/nack": ["POST"],
    f"{TASKS}/x/result": ["POST", "GET"],
    SUBSCRIPTIONS: ["POST"],
    f"{SUBSCRIPTIONS}/x/heartbeat": ["POST"],
    f"{ADMIN}/queues": ["GET"],
    f"{ADMIN}/queues/x": ["GET"],
    f"{ADMIN}/tasks/cleanup": ["POST"],
    "/metrics": ["GET"],
}
UNKNOWN = [
    "/nope",
    "/v1/codeq",
    "/v1/codeq/nope",
    f"{TASKS}s",
    f"{TASKS}/x/unknown",
    f"{TASKS}/x/result/y",
    "/v1/tasks",
]
OTHER_CASE = ["/V1/codeq/tasks/x", "/v1/CodeQ/tasks/x", "/v1/codeq/Tasks/x", f"{TASKS}/x/RESULT", "/METRICS"]
JSON = "application/json; charset=utf-8"
HEXADECIMAL = re.compile("[0-9a-f]{32}")


@checks("R18.1")
def test_there_is_no_health_check(contract: CaseContext) -> None:
    assert contract.anonymous.get("/healthz").status == 404


@checks("R18.2", "R18.3", "R18.9")
def test_an_unknown_path_is_not_found_without_a_token(contract: CaseContext) -> None:
    for path in UNKNOWN:
        for reply in (contract.anonymous.get(path), contract.anonymous.post(path, {}), contract.worker.get(path)):
            assert (reply.status, reply.body) == (404, b"404 page not found"), path
            assert reply.headers["content-type"] == "text/plain"


@checks("R18.4")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_known_path_with_another_method_is_not_found(contract: CaseContext, method: str) -> None:
    assert wrong_replies(contract, method) == {(404, b"404 page not found", "text/plain")}


@checks("R18.5")
def test_a_known_path_has_no_options(contract: CaseContext) -> None:
    assert wrong_replies(contract, "OPTIONS") == {(404, b"404 page not found", "text/plain")}


@checks("R18.6")
def test_a_known_path_has_no_head(contract: CaseContext) -> None:
    assert wrong_replies(contract, "HEAD") == {(404, b"", "text/plain")}


@checks("R18.7")
def test_paths_are_case_sensitive(contract: CaseContext) -> None:
    for path in OTHER_CASE:
        assert contract.worker.get(path).text == "404 page not found", path


@checks("R18.10")
@pytest.mark.parametrize("path", [f"{TASKS}/%", f"{TASKS}/%4", f"{TASKS}/%zz/result", f"{TASKS}/x%4g/", "/%%41"])
def test_a_path_with_a_bad_escape_is_no_request(contract: CaseContext, path: str) -> None:
    for method in ("GET", "POST"):
        request = contract.worker.request(method, path, X_Request_Id="my-id")
        reply = contract.call(replace(request, is_raw=True))
        assert (reply.status, reply.body) == (400, b"400 Bad Request")
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.headers["connection"] == "close"
        assert "x-request-id" not in reply.headers


@checks("R18.11")
def test_the_options_of_the_server_are_nothing(contract: CaseContext) -> None:
    request = replace(contract.anonymous.request("OPTIONS", "*", X_Request_Id="my-id"), is_raw=True)
    reply = contract.call(request)
    assert (reply.status, reply.body) == (200, b"")
    assert not reply.headers.keys() & {"content-type", "x-request-id"}
    assert contract.call(replace(request, method="GET")).status == 404


@checks("R18.12")
def test_an_id_may_be_empty_in_the_middle_of_a_path(contract: CaseContext) -> None:
    assert contract.worker.heartbeat("").refusal == (500, "not-found")
    assert contract.worker.nack("").refusal == (404, "not-found")
    assert contract.worker.submit("").refusal == (404, "task not found")
    assert contract.worker.result("").refusal == (404, "task not found")
    assert contract.worker.get(f"{TASKS}/").text == "404 page not found"
    for part in ("heartbeat", "abandon", "nack", "result"):
        assert contract.worker.post(f"{TASKS}/{part}", {}).text == "404 page not found"


@checks("R18.13")
@pytest.mark.parametrize("path", ["a/b", "a%2Fb", "a%2Fb/result", "%2F/result"])
def test_an_id_has_no_slash(contract: CaseContext, path: str) -> None:
    assert contract.worker.get(f"{TASKS}/{path}").text == "404 page not found"


@checks("R18.8")
def test_a_get_of_the_claim_path_reads_the_task_of_that_name(contract: CaseContext) -> None:
    assert contract.worker.get(f"{TASKS}/claim").refusal == (404, "not found")


@checks("R12.2")
def test_a_query_is_no_part_of_an_id(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command())
    for query in ("?", "?a=b", "?id=none&x=/"):
        reply = contract.worker.get(f"{TASKS}/{task['id']}{query}")
        assert (reply.status, reply.json) == (200, task), query


@checks("R13.2")
def test_a_read_of_a_result_has_no_query(contract: CaseContext) -> None:
    task = contract.leased()
    early = contract.worker.result(task, "?waitSeconds=5")
    assert early.refusal == (404, "result not found")
    assert contract.took(early, 0)
    contract.worker.submit(task)
    assert contract.worker.result(task, "?waitSeconds=5").body == contract.worker.result(task).body


@checks("R20.1", "R20.2")
def test_a_response_has_a_new_request_id(contract: CaseContext) -> None:
    given = [contract.worker.get(f"{TASKS}/none").headers["x-request-id"] for _ in range(3)]
    assert all(map(HEXADECIMAL.fullmatch, given)), given
    assert len(set(given)) == 3
    assert HEXADECIMAL.fullmatch(contract.worker.get(f"{TASKS}/none", X_Request_Id="").headers["x-request-id"])


@checks("R20.3")
def test_a_request_id_is_echoed(contract: CaseContext) -> None:
    for sent in ("my-id", "My Id: 5", "x" * 200):
        reply = contract.worker.get(f"{TASKS}/none", X_Request_Id=sent)
        assert reply.headers["x-request-id"] == sent


@checks("R20.9")
def test_blanks_around_a_request_id_are_no_part_of_it(contract: CaseContext) -> None:
    for sent, given in (
        ("  my-id ", "my-id"),
        ("\tmy-id", "my-id"),
        ("my-id\t ", "my-id"),
        (" \t", HEXADECIMAL.pattern),
    ):
        request = contract.worker.request("GET", f"{TASKS}/none", X_Request_Id=sent)
        reply = contract.call(replace(request, is_raw=True))
        assert re.fullmatch(given, reply.headers["x-request-id"])


@checks("R20.4")
def test_the_answer_to_an_unknown_path_has_a_request_id(contract: CaseContext) -> None:
    assert contract.anonymous.get("/nope", X_Request_Id="my-id").headers["x-request-id"] == "my-id"
    assert HEXADECIMAL.fullmatch(contract.anonymous.post("/nope", {}).headers["x-request-id"])


@checks("R20.5", "R21.2", "R22.1")
def test_a_refusal_is_json_with_a_text_and_has_a_request_id(contract: CaseContext) -> None:
    for status, reply in refusals(contract):
        assert reply.status == status
        assert reply.headers["content-type"] == JSON, status
        assert reply.headers["x-request-id"] == "my-id", status
        assert list(reply.json) == ["error"], status
        assert isinstance(reply.json["error"], str), status


@checks("R20.6")
def test_an_answer_without_content_has_a_request_id(contract: CaseContext) -> None:
    reply = contract.worker.claim(contract.command())
    assert (reply.status, reply.body) == (204, b"")
    assert HEXADECIMAL.fullmatch(reply.headers["x-request-id"])


@checks("R17.1", "R17.2", "R20.7")
def test_metrics_are_text_that_anyone_may_read(contract: CaseContext) -> None:
    reply = contract.anonymous.get("/metrics", X_Request_Id="my-id")
    assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (200, "text/plain")
    assert reply.text.startswith("# HELP ")
    assert reply.headers["x-request-id"] == "my-id"


@checks("R21.1")
def test_an_answer_is_json_in_utf8(contract: CaseContext) -> None:
    created = contract.producer.create(contract.command())
    claimed = contract.worker.claim(created.json["command"])
    done = contract.worker.submit(claimed.json)
    read = contract.producer.task(claimed.json)
    assert [reply.status for reply in (created, claimed, done, read)] == [202, 200, 200, 200]
    assert {reply.headers["content-type"] for reply in (created, claimed, done, read)} == {JSON}


@checks("R21.5")
def test_an_answer_says_its_length(contract: CaseContext) -> None:
    created = contract.producer.create(contract.command(), "é")
    refused = contract.producer.create("")
    for reply in (created, refused):
        assert reply.headers["content-length"] == str(len(reply.body))
    empty = contract.worker.claim(contract.command())
    assert (empty.status, empty.headers.get("content-length")) == (204, None)


@checks("R21.3")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
def test_a_body_is_read_as_json_whatever_its_type(contract: CaseContext, kind: str) -> None:
    command = contract.command()
    body = f'{{"command":"{command}","payload":"é"}}'.encode()
    reply = contract.producer.post(TASKS, body, Content_Type=kind)
    assert (reply.status, reply.json["command"], reply.json["payload"]) == (202, command, '"é"')
    claimed = contract.worker.post(f"{TASKS}/claim", f'{{"commands":["{command}"]}}'.encode(), Content_Type=kind)
    assert claimed.status == 200


@checks("R21.4")
def test_characters_beyond_ascii_are_no_escapes(contract: CaseContext) -> None:
    command = f"{contract.command()}-é€😀"
    reply = contract.producer.create(command, "é€😀")
    assert reply.body.count("é€😀".encode()) == 2
    assert contract.worker.claim(command).body.count("é€😀".encode()) == 2


def wrong_replies(contract: CaseContext, method: str) -> set[tuple[int, bytes, str]]:
    """The different answers to this method of the paths that do not have it, with and without a token."""
    replies = (
        contract.call(caller.request(method, path))
        for path, methods in PATHS.items()
        for caller in (contract.anonymous, contract.worker)
        if method not in methods
    )
    return {(reply.status, reply.body, reply.headers["content-type"]) for reply in replies}


def refusals(contract: CaseContext) -> Iterator[tuple[int, Reply]]:
    """Refused requests with a request id, each with the status that it must have."""
    pending = contract.producer.created(contract.command())
    yield 400, contract.producer.post(TASKS, {}, X_Request_Id="my-id")
    yield 400, contract.producer.post(TASKS, b"{", X_Request_Id="my-id")
    yield 401, contract.anonymous.post(TASKS, {}, X_Request_Id="my-id")
    yield 401, contract.worker.post(TASKS, {}, Authorization="x", X_Request_Id="my-id")
    yield 403, contract.worker.post(f"{TASKS}/{pending['id']}/heartbeat", {}, X_Request_Id="my-id")
    yield 404, contract.worker.get(f"{TASKS}/none", X_Request_Id="my-id")
    yield (
        409,
        contract.worker.post(
            f"{TASKS}/{pending['id']}/result", {"status": "FAILED", "error": "x"}, X_Request_Id="my-id"
        ),
    )
    yield 500, contract.worker.post(f"{TASKS}/none/heartbeat", {}, X_Request_Id="my-id")


@core
@checks("R19.21")
@pytest.mark.parametrize("path", ["/v1/codeq/raft/status", "/v1/codeq/admin/topics/a"])
def test_there_are_no_routes_of_the_main_branch(contract: CaseContext, path: str) -> None:
    reply = contract.admin.get(path)
    assert (reply.status, reply.body) == (404, b"404 page not found")
