"""Replies of a rate limit (L1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.http.support import CLAIM, CLEANUP, QUEUES, TASKS

if TYPE_CHECKING:
    import httpx

    from codeq_fake.testing import FakeCodeQ

LIMITS = """
rateLimit:
  producer: {requestsPerMinute: 6, burstSize: 2}
  worker: {requestsPerMinute: 6, burstSize: 2}
  admin: {requestsPerMinute: 6, burstSize: 2}
"""
GOOD: dict[str, Any] = {"command": "A", "payload": 1}

#: Scope (its caller has the same name), operation, and two routes that share a bucket.
SHARED = [
    ("producer", "create_task", (TASKS, GOOD), (f"{TASKS}/batch", {"tasks": [GOOD]})),
    ("worker", "claim", (CLAIM, {}), (f"{CLAIM}/batch", {"count": 1})),
    ("admin", "cleanup", (CLEANUP, {}), (CLEANUP, {})),
]

pytestmark = pytest.mark.codeq(yaml=LIMITS)


@pytest.mark.parametrize(("scope", "operation", "one", "two"), SHARED)
def test_l1_the_routes_of_a_scope_share_a_bucket(
    codeq: FakeCodeQ, scope: str, operation: str, one: tuple[str, Any], two: tuple[str, Any]
) -> None:
    with codeq.client(scope) as client:
        assert [client.post(path, json=body).status_code < 400 for path, body in (one, two)] == [True, True]
        for path, body in (one, two):
            reply = client.post(path, json=body)
            assert reply.status_code == 429
            assert (reply.headers["retry-after"], reply.headers["content-type"]) == (
                "10",
                "application/json; charset=utf-8",
            )
            assert reply.text == (
                f'{{"error":"rate limit exceeded","operation":"{operation}","retryAfterSeconds":10,"scope":"{scope}"}}'
            )
        codeq.advance(seconds=9.5)
        assert client.post(one[0], json=one[1]).headers["retry-after"] == "1"
        codeq.advance(seconds=0.5)
        assert client.post(one[0], json=one[1]).status_code < 400


def test_l1_each_token_has_its_bucket(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    assert [producer.post(TASKS, json=GOOD).status_code for _ in range(3)] == [202, 202, 429]
    with codeq.client("stranger") as stranger:
        assert stranger.post(TASKS, json=GOOD).status_code == 202


def test_l1_the_other_routes_are_not_limited(admin: httpx.Client, worker: httpx.Client) -> None:
    assert {admin.get(QUEUES).status_code for _ in range(5)} == {200}
    assert {worker.get(f"{TASKS}/x").status_code for _ in range(5)} == {404}
    assert {worker.post(f"{TASKS}/x/nack", json={}).status_code for _ in range(5)} == {404}
    assert {worker.get("/metrics").status_code for _ in range(5)} == {200}


def test_l1_a_refused_caller_takes_no_token(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    for _ in range(5):
        assert producer.post(CLEANUP, json={}).status_code == 401  # A8 comes first
    with codeq.client("admin") as admin:
        assert [admin.post(CLEANUP, json={}).status_code for _ in range(3)] == [200, 200, 429]


def test_l1_a_bad_body_takes_a_token(producer: httpx.Client) -> None:
    assert [producer.post(TASKS, content="{").status_code for _ in range(3)] == [400, 400, 429]
