"""`GET /_fake/workers`, and the command and the view that show the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_fake.testing import FakeCodeQ
from tests.page.support import text

if TYPE_CHECKING:
    import httpx

    from codeq_fake.payloads import Identity

SCOPE = "codeq:claim codeq:result"
CLAIM = "/v1/codeq/tasks/claim"
NOW = "2026-01-31T12:00:00Z"


def work(codeq: FakeCodeQ, http: httpx.Client) -> None:
    """One worker gets a task and asks for another command that finds nothing; a caller without token is refused."""
    codeq.enqueue("PACK")
    http.post(CLAIM, json={"commands": ["PACK"]})
    codeq.advance(seconds=1)
    http.post(CLAIM, json={"commands": ["PRINT", "SEND"]})
    http.post(f"{CLAIM}/batch", json={"count": 0}, headers={"authorization": ""})
    http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1})  # no worker's request


def test_a_worker_is_listed_with_what_it_asked_for_got_holds_and_was_refused() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        work(codeq, http)
        listed = http.get("/_fake/workers").json()["workers"]
    at = "2026-01-31T12:00:01Z"
    [unknown, worker] = listed
    assert worker == {
        "worker": "worker-dev",
        "tenant": "dev",
        "lastRequest": at,
        "lastClaim": at,
        "commands": ["PRINT", "SEND"],
        "claimed": "no PRINT for dev. no SEND for dev",
        "leases": 1,
        "requests": 2,
        "refused": 0,
    }
    assert (unknown["worker"], unknown["tenant"], unknown["refused"]) == (None, None, 1)


def test_workers_of_one_name_in_two_tenants_are_two() -> None:
    identities: dict[str, Identity] = {
        tenant: {"kind": "worker", "claims": {"sub": "w-1", "tenantId": tenant, "eventTypes": ["*"], "scope": SCOPE}}
        for tenant in ("acme", "beta")
    }
    with FakeCodeQ(now=NOW, identities=identities) as codeq:
        codeq.enqueue("PACK", tenant="acme")
        for tenant in identities:
            with codeq.client(tenant) as http:
                http.post(CLAIM, json={"commands": ["PACK"]})
        with codeq.client() as http:
            listed = http.get("/_fake/workers").json()["workers"]
    assert [(worker["worker"], worker["tenant"], worker["leases"]) for worker in listed] == [
        ("w-1", "beta", 0),
        ("w-1", "acme", 1),
    ]


def test_a_worker_whose_token_lacks_a_scope_is_known_by_its_name() -> None:
    claims = {"sub": "w-1", "tenantId": "acme", "eventTypes": ["*"], "scope": "codeq:result"}
    with FakeCodeQ(now=NOW, identities={"w-1": {"kind": "worker", "claims": claims}}) as codeq:
        with codeq.client("w-1") as http:
            http.post(CLAIM, json={"commands": ["PACK"]})
        with codeq.client() as http:
            [worker] = http.get("/_fake/workers").json()["workers"]
    assert (worker["worker"], worker["refused"]) == ("w-1", 1)
    assert worker["claimed"] == "the token lacks the scope codeq:claim (A5)"


def test_the_commands_are_those_of_any_body_that_the_server_took() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        for body in ('{"commands": ["A", null]}', "[]", "7", '{"commands": 7}', "{", "[" * 5000, "{}"):
            http.post(CLAIM, content=body)
            [worker] = http.get("/_fake/workers").json()["workers"]
            assert worker["commands"] == (["A"] if "A" in body else [])


def test_the_page_lists_the_same() -> None:
    with FakeCodeQ(now=NOW) as codeq, codeq.client() as http:
        assert "No worker has sent a request" in text(http.get("/_fake/page/workers").text)
        work(codeq, http)
        shown = text(http.get("/_fake/page/workers").text)
    assert "unknown 12:00:01" in shown
    assert "worker-dev dev 12:00:01 PRINT, SEND no PRINT for dev. no SEND for dev 1 0" in shown
