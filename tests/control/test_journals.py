"""The control API's journals, and the clauses that traffic touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.control.support import ID, NOW, OTHER, claim, create, get, refusal

if TYPE_CHECKING:
    import httpx


def headers(request: httpx.Request) -> dict[str, str]:
    return {**{name.lower(): value for name, value in request.headers.items()}, "authorization": "Bearer ***"}


def test_requests_are_noted_with_their_replies(http: httpx.Client) -> None:
    created = http.post("/v1/codeq/tasks?a=1", content=b'{"command": "A", "payload": 1}')
    refused = http.post("/v1/codeq/tasks", content=b"\xff")
    assert get(http, "requests") == {
        "requests": [
            {
                "n": 1,
                "at": NOW,
                "method": "POST",
                "path": "/v1/codeq/tasks?a=1",
                "as": "producer-dev",
                "operation": "create",
                "tasks": [{"id": created.json()["id"], "command": "A"}],
                "headers": headers(created.request),
                "body": '{"command": "A", "payload": 1}',
                "status": 202,
                "reason": None,
                "faults": [],
                "reply": created.text,
                "tookMs": 0,
            },
            {
                "n": 2,
                "at": NOW,
                "method": "POST",
                "path": "/v1/codeq/tasks",
                "as": "producer-dev",
                "operation": "create",
                "tasks": [],
                "headers": headers(refused.request),
                "body": "\ufffd",
                "status": 400,
                "reason": "line 1, column 1: a value is expected (B1)",
                "faults": [],
                "reply": refused.text,
                "tookMs": 0,
            },
        ]
    }


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3]),
        ("since=1", [2, 3]),
        ("since=3", []),
        ("path=claim", [2]),
        ("path=/v1/codeq/tasks&since=1", [2]),
        ("status=204", [2]),
        ("status=200&path=metrics", [3]),
        ("status=0", [1, 2, 3]),
        ("status=2xx", [1, 2, 3]),
        ("status=4xx", []),
        ("last=1", [3]),
        ("last=5", [1, 2, 3]),
        ("last=0", []),
        ("last=1&path=claim", [2]),
    ],
)
def test_requests_are_filtered(http: httpx.Client, query: str, numbers: list[int]) -> None:
    create(http, command="B")
    claim(http)
    http.get("/metrics")
    assert [entry["n"] for entry in get(http, f"requests?{query}")["requests"]] == numbers


def test_one_request_is_shown_and_written_as_a_test(http: httpx.Client) -> None:
    create(http)
    http.get("/metrics")
    assert get(http, "requests/1") == get(http, "requests")["requests"][0]
    assert "assert reply.status_code == 202" in get(http, "requests/1/pytest")["pytest"]
    for path in ("requests/3", "requests/3/pytest"):
        assert refusal(http.get(f"/_fake/{path}")) == (404, "the journal has no request 3, or no longer")


def test_a_request_that_a_fault_struck_is_no_test(http: httpx.Client) -> None:
    http.post("/_fake/faults", json={"do": "refuse"})
    http.get("/v1/codeq/tasks/x")
    reason = "no test can recreate request 1: a fault struck it, or a body is very long or deep"
    assert refusal(http.get("/_fake/requests/1/pytest")) == (409, reason)


def test_a_request_without_a_token_has_no_caller(http: httpx.Client) -> None:
    http.get("/v1/codeq/admin/queues", headers={"authorization": ""})
    [entry] = get(http, "requests")["requests"]
    assert (entry["as"], entry["status"]) == (None, 401)


def test_callbacks_and_notices_are_noted_with_their_tries(http: httpx.Client) -> None:
    blocked = "http://203.0.113.1/hook"
    http.post("/_fake/next", json={"ids": [OTHER]})
    http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": blocked, "eventTypes": ["A"]}).raise_for_status()
    create(http, webhook=blocked)
    claim(http)
    http.post(f"/v1/codeq/tasks/{ID}/result", json={"status": "COMPLETED", "result": {}}).raise_for_status()
    http.post("/_fake/clock/advance", json={"seconds": 0})
    notice, callback = get(http, "callbacks")["callbacks"]
    error = "203.0.113.1 is not on this machine or a private network; --webhook-allow 203.0.113.1 would open it"
    common = {
        "url": blocked,
        "command": "A",
        "state": "blocked",
        "blocked": True,
        "tries": [{"at": NOW, "status": None, "error": error, "faults": []}],
        "headers": {
            "User-Agent": "Go-http-client/1.1",
            "Content-Type": "application/json",
            "Accept-Encoding": "gzip",
        },
    }
    assert notice == {
        **common,
        "n": 1,
        "kind": "queue_ready",
        "taskId": None,
        "subscriptionId": OTHER,
        "body": notice["body"],
    }
    assert callback == {
        **common,
        "n": 2,
        "kind": "task_result",
        "taskId": ID,
        "subscriptionId": None,
        "body": callback["body"],
    }
    assert json.loads(notice["body"])["notificationId"] == f"ntf-{OTHER}"
    assert json.loads(callback["body"])["taskId"] == ID
    assert get(http, "callbacks?since=1") == {"callbacks": [callback]}


@pytest.mark.codeq(journal_size=2)
def test_the_journals_keep_the_last_entries(http: httpx.Client) -> None:
    for _ in range(5):
        http.get("/metrics")
    assert [entry["n"] for entry in get(http, "requests")["requests"]] == [4, 5]


@pytest.mark.parametrize("query", ["requests?since=x", "requests?status=200a", "callbacks?since=-1"])
def test_a_query_that_is_not_a_number_is_refused(http: httpx.Client, query: str) -> None:
    name = query.partition("?")[2].partition("=")[0]
    status, text = refusal(http.get(f"/_fake/{query}"))
    assert (status, text.partition(":")[0]) == (400, name)


@pytest.mark.parametrize("status", ["4x", "abc", "4XX"])
def test_what_is_no_status_is_refused_with_those_that_are(http: httpx.Client, status: str) -> None:
    assert refusal(http.get(f"/_fake/requests?status={status}")) == (
        400,
        f"status: {status!r} is no status; write one such as 404, or a class such as 4xx",
    )


def test_the_contract_says_what_traffic_has_touched(http: httpx.Client) -> None:
    def touched() -> dict[str, int]:
        return {clause["id"]: clause["touched"] for clause in get(http, "contract")["clauses"]}

    assert set(touched().values()) == {0}
    create(http)
    assert touched()["C1"] > 0
    http.post("/_fake/reset")
    assert set(touched().values()) == {0}
