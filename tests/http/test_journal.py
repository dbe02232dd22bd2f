"""The journal of requests, and the instant of a request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from codeq_fake.clocks import let_tasks_run
from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, IDENTITIES, NOW, TASKS, Connection, bearer, request_scope

if TYPE_CHECKING:
    import httpx
    from starlette.types import Message


def test_each_request_is_kept_with_its_reply(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    codeq.advance(seconds=1.5)
    refused = producer.post(f"{TASKS}?a=%20&b", content="no JSON")
    assert codeq.requests == [
        {
            "n": 1,
            "at": "2026-11-24T06:15:01.5Z",
            "method": "POST",
            "path": f"{TASKS}?a=%20&b",
            "as": "prod-1",
            "operation": "create",
            "tasks": [],
            "headers": request_headers(refused.request),
            "body": "no JSON",
            "status": 400,
            "reason": "line 1, column 1: a value is expected (B1)",
            "faults": [],
            "reply": refused.text,
            "tookMs": 0,
        }
    ]


def request_headers(request: httpx.Request) -> dict[str, str]:
    return {**{name.lower(): value for name, value in request.headers.items()}, "authorization": "Bearer ***"}


@pytest.mark.parametrize(
    ("name", "sent", "shown"),
    [
        ("Authorization", "bearer s3cret", "bearer ***"),
        ("Authorization", "Basic s3cret", "Basic ***"),
        ("Authorization", "s3cret", "***"),
        ("Authorization", "s3cret s3cret", "***"),
        ("Proxy-Authorization", "Bearer s3cret", "Bearer ***"),
        ("Cookie", "session=s3cret", "***"),
        ("X-Api-Key", "s3cret", "***"),
        ("X-Auth-Token", "s3cret", "***"),
        ("X-CodeQ-Signature", "s3cret", "***"),
        ("X-Request-Id", "order-42", "order-42"),
        ("User-Agent", "billing/1.0 ä", "billing/1.0 ä"),
    ],
)
def test_headers_are_kept_without_their_secrets(codeq: FakeCodeQ, name: str, sent: str, shown: str) -> None:
    with codeq.client("none") as http:
        http.get("/metrics", headers=[(name.encode(), sent.encode("latin-1"))])
        answered = http.get("/_fake/requests").text
    (request,) = codeq.requests
    assert request["headers"][name.lower()] == shown
    assert "s3cret" not in answered


def test_values_of_a_repeated_header_are_all_kept(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    producer.get("/metrics", headers=[("Accept", "text/html"), ("accept", "text/plain")])
    assert codeq.requests[0]["headers"]["accept"] == "text/html, text/plain"


def test_a_rejected_caller_has_no_name_and_its_body_is_not_read(codeq: FakeCodeQ) -> None:
    with codeq.client("unknown") as anonymous:
        anonymous.post(TASKS, content="secret")
    (request,) = codeq.requests
    assert (request["as"], request["body"], request["status"]) == (None, "", 401)


def test_requests_to_unknown_paths_are_kept_and_control_calls_are_not(
    codeq: FakeCodeQ, producer: httpx.Client, worker: httpx.Client
) -> None:
    producer.post(TASKS, json={"command": "A", "payload": 1})
    producer.get("/nope")
    producer.get("/_fake/health")
    worker.post(CLAIM, json={"commands": ["A"]})
    worker.get("/metrics")
    paths = [(1, TASKS), (2, "/nope"), (3, CLAIM), (4, "/metrics")]
    assert [(request["n"], request["path"]) for request in codeq.requests] == paths


@pytest.mark.codeq(journal_size=2)
def test_the_oldest_requests_are_dropped(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    for number in range(5):
        producer.get(f"{TASKS}/{number}")
    assert [(request["n"], request["path"][-1]) for request in codeq.requests] == [(4, "3"), (5, "4")]


@pytest.mark.codeq(journal_bytes=1_000_000)
def test_large_requests_and_callbacks_do_not_fill_the_memory(codeq: FakeCodeQ, worker: httpx.Client) -> None:
    large = {"text": "x" * 100_000}
    for _ in range(20):
        task = codeq.enqueue("A", webhook="https://unreachable.example", tenant="acme")
        worker.post(CLAIM, json={"commands": ["A"]})
        worker.post(f"{TASKS}/{task.id}/result", json={"status": "COMPLETED", "result": large})
    codeq.advance(seconds=0)
    journals = {name: worker.get(f"/_fake/{name}").json() for name in ("requests", "callbacks")}
    assert {name: sum(map(len, map(repr, journal[name]))) < 1_100_000 for name, journal in journals.items()} == {
        "requests": True,
        "callbacks": True,
    }
    for name, made in (("requests", 40), ("callbacks", 20)):
        kept = journals[name][name]
        assert len(kept) > 3
        assert (kept[-1]["n"], journals[name]["dropped"]) == (made, made - len(kept))
        assert "dropped" not in worker.get(f"/_fake/{name}?since={kept[0]['n'] - 1}").json()


@pytest.mark.codeq(journal_bytes=10)
def test_the_latest_request_stays_however_large_it_is(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    for number in range(2):
        producer.post(TASKS, json={"command": "A", "payload": "x" * 1000 * number})
    assert [request["n"] for request in codeq.requests] == [2]


def test_the_journals_can_be_searched(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    for number in range(3):
        producer.get(f"{TASKS}/{number}")
    producer.post(TASKS, json={"command": "A", "payload": 1})
    found = {
        query: [request["n"] for request in producer.get(f"/_fake/requests?{query}").json()["requests"]]
        for query in ("", "since=2", "since=9", "path=tasks/1", "status=202", "status=404&since=1")
    }
    assert found == {
        "": [1, 2, 3, 4],
        "since=2": [3, 4],
        "since=9": [],
        "path=tasks/1": [2],
        "status=202": [4],
        "status=404&since=1": [2, 3],
    }
    assert len(codeq.requests) == 4


@pytest.mark.asyncio
async def test_the_instant_of_a_request_is_that_of_its_last_byte() -> None:
    fake = FakeCodeQ(identities=IDENTITIES, now=NOW)
    rest = asyncio.Event()
    client = Connection([b'{"command":"A",', b'"payload":1}'])

    async def slowly() -> Message:
        message = await client.receive()
        if message["body"] == b"":
            await rest.wait()
        return message

    async def serve() -> None:
        await fake.app(request_scope("POST", TASKS, bearer("producer")), slowly, client.send)

    serving = asyncio.create_task(serve())
    await let_tasks_run()
    await fake.aadvance(60)
    rest.set()
    await serving
    assert client.answer().json["createdAt"] == "2026-11-24T03:16:00-03:00"
    assert fake.requests[0]["at"] == "2026-11-24T06:16:00Z"
    assert fake.requests[0]["tookMs"] == 60_000
