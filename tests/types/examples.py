"""Code as users write it, for type checkers in their strict modes. It is never run.

A wrong line has an `ignore` comment for each checker. Both checkers report a comment that is not needed, so a mistake
that they no longer notice is an error, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from codeq_client import CodeQ, Job, Retry, Worker
from codeq_fake import faults, payloads
from codeq_fake.testing import FakeCodeQ, Refused, TaskView

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def codeq_options() -> dict[str, Any]:
    return {"profile": "redis", "now": "2026-01-31T12:00:00Z"}


@pytest.fixture
def fake() -> Iterator[FakeCodeQ]:
    caller: payloads.Identity = {"kind": "worker", "claims": {"sub": "w-1", "eventTypes": ["*"]}}
    with FakeCodeQ(profile="redis", clock="real", identities={"w-1": caller}, webhooks={"http://a.test": app}) as made:
        yield made


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})


def test_tasks(codeq: FakeCodeQ) -> None:
    task = codeq.enqueue("RENDER", {"job": 1}, delay=timedelta(minutes=5), idempotency_key="job-1")
    codeq.enqueue("RENDER", run_at=NOON, webhook="http://a.test/done", max_attempts=3)
    assert_type(task, TaskView)
    assert_type(task.status, payloads.Status)
    assert_type(task.history[0]["to"]["location"], payloads.Location)
    assert_type(task.claimable["since"], str | None)
    assert_type(codeq.tasks(status="PENDING"), list[TaskView])
    codeq.tasks(status="ENQUEUED")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    codeq.enqueue("RENDER", after=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    if task.status == "DONE":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        raise AssertionError


def test_worker_side(codeq: FakeCodeQ) -> None:
    task = codeq.claim("RENDER", lease="1m", worker="w-1")
    assert task is not None
    codeq.heartbeat(task, extend=60)
    codeq.nack(task.id, delay="10s", reason="no ink")
    with pytest.raises(Refused):
        codeq.complete(task, {"pages": 3}, artifacts=[{"name": "a", "url": "http://a.test/a"}])
    codeq.complete(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    codeq.complete(task, ["pages"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_time(codeq: FakeCodeQ) -> None:
    codeq.advance(90)
    codeq.advance("1h 30m")
    codeq.advance(timedelta(days=1))
    codeq.advance(to=NOON)
    codeq.advance()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    codeq.advance(90, to="2027-01-01T00:00:00Z")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    codeq.wait_until(lambda: codeq.tasks(status="COMPLETED"))


def test_journals(codeq: FakeCodeQ) -> None:
    request, callback, queue = codeq.requests[0], codeq.callbacks[0], codeq.queues()[0]
    assert_type(request["as"], str | None)
    assert_type(request["headers"]["accept"], str)
    assert_type(request["faults"], list[payloads.FaultKind])
    assert_type(callback["tries"][0]["status"], int | None)
    assert_type(callback["kind"], payloads.CallbackKind)
    assert_type(queue["ready"], int)
    assert_type(codeq.surprises[0].clause, str)
    request["caller"]  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]


def test_faults(codeq: FakeCodeQ) -> None:
    with codeq.faults(faults.drop_reply(on="complete", times=1), faults.refuse(429, retry_after=5)) as injected:
        assert_type(injected.fired, int)
    with codeq.faults({"on": "complete", "do": "drop_reply"}):
        pass
    codeq.faults({"do": "lose_reply"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    codeq.faults({"on": "claim"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    faults.garble(how="half")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    faults.delay(1, operation="claim")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_clients(codeq: FakeCodeQ) -> None:
    with codeq.client(timeout=5) as http:
        assert_type(http, httpx.Client)
    FakeCodeQ(profile="kvrocks")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    FakeCodeQ(clock="stopped")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_coroutines(codeq: FakeCodeQ, codeq_client: CodeQ) -> None:
    worker = Worker(codeq_client, lease=60)

    @worker.handler("RENDER")
    async def render(job: Job[dict[str, int]]) -> dict[str, int]:
        if job.attempts == 1:
            raise Retry(delay=600, reason="no ink")
        return {"pages": job.payload["pages"]}

    assert render is not None
    task = await codeq.aenqueue("RENDER", {"pages": 3})
    assert_type(await codeq.aclaim("RENDER", wait="30s"), TaskView | None)
    await codeq.aadvance("1h")
    await worker.run(burst=True, signals=False)
    codeq.assert_completed(task.id, {"pages": 3})
    async with codeq.async_client() as http:
        assert_type(http, httpx.AsyncClient)
