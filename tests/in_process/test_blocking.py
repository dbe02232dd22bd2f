"""The handle FakeCodeQ in blocking code, of one thread or several."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.in_process.support import CLAIM, NOW, TASKS, Parked

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from codeq_fake.testing import FakeCodeQ


def test_a_blocking_client_speaks_to_the_fake(fake: FakeCodeQ) -> None:
    with fake.client() as http:
        created = http.post(TASKS, json={"command": "A", "payload": {"a": 1}})
        claimed = http.post(CLAIM, json={"commands": ["A"]})
    assert (created.status_code, claimed.status_code) == (202, 200)
    assert claimed.json()["id"] == created.json()["id"]
    assert claimed.headers["content-type"] == "application/json; charset=utf-8"


def test_a_client_brings_its_own_token_headers_and_options(fake: FakeCodeQ) -> None:
    with fake.client("wrong", headers={"X-Request-Id": "mine"}, base_url="http://elsewhere.test/v1") as http:
        reply = http.post("/codeq/tasks", json={})
    assert (reply.status_code, reply.headers["x-request-id"]) == (401, "mine")
    with fake.client("wrong", headers={"Authorization": "Bearer dev-token"}) as http:
        assert http.get("/v1/codeq/admin/queues").status_code == 200


def test_parked_polls_of_several_threads_end_when_another_advances(
    fake: FakeCodeQ, threads: ThreadPoolExecutor
) -> None:
    parked = Parked(fake, threads, 3)
    fake.enqueue("A")
    fake.advance(10)
    fake.enqueue("A")
    fake.advance(20)
    assert sorted(parked.statuses) == [200, 200, 204]
    assert fake.now == "2026-01-31T12:00:30Z"


def test_several_threads_may_work_at_once(fake: FakeCodeQ, threads: ThreadPoolExecutor) -> None:
    def work(number: int) -> str:
        with fake.client() as http:
            http.post(TASKS, json={"command": "A", "payload": number}).raise_for_status()
            fake.advance(1)
            claimed = http.post(CLAIM, json={"commands": ["A"]}).raise_for_status().json()
            return fake.task(claimed["id"]).id

    done = list(threads.map(work, range(20)))
    assert len(set(done)) == 20
    assert fake.now == "2026-01-31T12:00:20Z"


def test_a_read_timeout_is_kept_and_the_poll_is_gone(fake: FakeCodeQ) -> None:
    with (
        fake.client(timeout=0.02) as http,
        pytest.raises(httpx.ReadTimeout, match=r"within 0\.02 s; on a manual clock"),
    ):
        http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30})
    task = fake.enqueue("A")
    fake.advance(30)
    assert fake.task(task.id).status == "PENDING"


def test_a_blocking_call_in_a_running_loop_says_what_to_do(fake: FakeCodeQ) -> None:
    async def story() -> None:
        for call in (lambda: fake.advance(1), lambda: fake.client().get("/metrics")):
            with pytest.raises(RuntimeError, match=r"use aadvance\(\), aenqueue\(\) and async_client\(\)"):
                call()

    asyncio.run(story())
    assert fake.now == NOW
    assert fake.requests == []
