"""`/_fake/faults`: rules over HTTP, with how often each matched and fired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.support import TASKS, claim, create

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ

FAULTS = "/_fake/faults"


def add(http: httpx.Client, rule: Any) -> Any:
    return http.post(FAULTS, json=rule).json()


def test_rules_are_added_listed_with_their_counts_and_removed(http: httpx.Client) -> None:
    rule = {"on": "create", "do": "refuse", "times": 1, "status": 429, "retryAfter": 2}
    added = {"id": 1, "do": "refuse", "on": "create", "times": 1, "status": 429, "retryAfter": 2}
    assert add(http, rule) == {"faults": [{**added, "met": 0, "fired": 0}]}
    assert [create(http).status_code, create(http).status_code, claim(http).status_code] == [429, 202, 200]
    counted = {**added, "met": 2, "fired": 1}
    assert http.get(FAULTS).json() == {"faults": [counted]}
    assert http.delete(f"{FAULTS}/1").json() == counted
    assert http.get(FAULTS).json() == {"faults": []}


def test_several_are_added_at_once_or_none(http: httpx.Client) -> None:
    shown = add(http, {"faults": [{"do": "reset", "worker": "w"}, {"do": "callback_late", "seconds": 1.5}]})["faults"]
    assert [(fault["id"], fault["do"]) for fault in shown] == [(1, "reset"), (2, "callback_late")]
    refused = http.post(FAULTS, json={"faults": [{"do": "reset"}, {"do": "rest"}]})
    assert refused.status_code == 400
    assert http.get(FAULTS).json()["faults"] == shown
    assert http.delete(FAULTS).json()["faults"] == shown
    assert http.get(FAULTS).json() == {"faults": []}


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        ({"do": "drop"}, "do: there is no kind 'drop'; known are drop_reply"),
        ({"do": "reset", "on": "/v1"}, "on: '/v1' is not an operation or a route; known are claim"),
        ({"do": "reset", "tims": 1}, "unknown: tims; known are do, on, worker"),
        ({"faults": {"do": "reset"}}, "faults: a list of rules such as"),
        ({"faults": [7]}, "faults: a list of rules such as"),
        ({"faults": [], "do": "reset"}, "unknown: faults"),
        ({}, "do is missing"),
        ({"do": {"x": 1}}, "do: found {'x': 1}, a text belongs here"),
    ],
)
def test_a_bad_rule_is_refused_with_what_is_allowed(http: httpx.Client, rule: Any, refusal: str) -> None:
    refused = http.post(FAULTS, json=rule)
    assert refused.status_code == 400
    assert refusal in refused.json()["error"]


@pytest.mark.parametrize(("number", "status"), [("1", 404), ("x", 400)])
def test_an_unknown_rule_cannot_be_removed(http: httpx.Client, number: str, status: int) -> None:
    assert http.delete(f"{FAULTS}/{number}").status_code == status


def test_a_reset_removes_all_rules(http: httpx.Client) -> None:
    add(http, {"do": "refuse"})
    http.post("/_fake/reset")
    assert http.get(FAULTS).json() == {"faults": []}
    assert create(http).status_code == 202


def test_a_state_is_restored_under_the_same_rules(http: httpx.Client) -> None:
    add(http, {"do": "refuse"})
    http.put("/_fake/state", json=http.get("/_fake/state").json())
    assert create(http).status_code == 503


def test_the_journal_names_the_faults_of_a_request(http: httpx.Client) -> None:
    add(http, {"do": "refuse", "on": "create", "status": 500})
    create(http)
    claim(http)
    entries = http.get("/_fake/requests").json()["requests"]
    assert [(entry["path"], entry["status"], entry["faults"]) for entry in entries] == [
        (TASKS, 500, ["refuse"]),
        (f"{TASKS}/claim", 204, []),
    ]


def test_the_control_api_has_no_faults(http: httpx.Client) -> None:
    add(http, {"do": "reset"})
    assert http.get("/_fake/health").status_code == 200
    assert http.get("/nowhere").status_code == 404


def test_rules_of_a_context_and_of_the_api_share_one_list(codeq: FakeCodeQ, http: httpx.Client) -> None:
    add(http, {"do": "refuse", "status": 500, "on": "claim"})
    with codeq.faults({"do": "refuse", "status": 501, "on": "create"}):
        assert [fault["id"] for fault in http.get(FAULTS).json()["faults"]] == [1, 2]
        assert [claim(http).status_code, create(http).status_code] == [500, 501]
    assert [fault["id"] for fault in http.get(FAULTS).json()["faults"]] == [1]


def test_faults_are_not_in_the_openapi_document(http: httpx.Client) -> None:
    assert not [path for path in http.get("/_fake/openapi.json").json()["paths"] if "_fake" in path]
