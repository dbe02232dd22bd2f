"""A client in this process that times out or is cancelled hangs up, and takes nothing of other clients along."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

TASKS = "/v1/codeq/tasks"
SUBSCRIPTIONS = "/v1/codeq/workers/subscriptions"

_host: ContextVar[str] = ContextVar("host", default="the fake's own")


class Receiver:
    """Takes notices, and answers them when it is told to."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.hosts: set[str] = set()
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self.hosts.add(_host.get())
        self.asked.set()
        await self.answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.asyncio
async def test_the_notices_of_other_tasks_are_sent_though_the_producer_is_cancelled() -> None:
    receiver = Receiver()
    codeq = FakeCodeQ(webhooks={"http://app.test": receiver})
    async with codeq.async_client() as http:
        for command in ("A", "B"):
            body = {"callbackUrl": f"http://app.test/{command}", "eventTypes": [command]}
            await http.post(SUBSCRIPTIONS, json=body)
        tasks = [{"command": command, "payload": 1} for command in ("A", "B")]
        creating = asyncio.create_task(http.post(f"{TASKS}/batch", json={"tasks": tasks}))
        await receiver.asked.wait()
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        receiver.answer.set()
        await codeq.aadvance(0)
    assert sorted(receiver.paths) == ["/A", "/B"]


@pytest.mark.asyncio
async def test_a_claim_that_times_out_takes_no_task() -> None:
    codeq = FakeCodeQ()
    async with codeq.async_client(timeout=0.01) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post(f"{TASKS}/claim", json={"commands": ["A"], "waitSeconds": 30})
        assert codeq.queues() == []
        task = codeq.enqueue("A")
        await codeq.aadvance(30)
        assert codeq.task(task.id).attempts == 0


@pytest.mark.asyncio
async def test_what_a_request_sets_off_does_not_run_in_the_context_of_its_client() -> None:
    receiver = Receiver()
    receiver.answer.set()
    codeq = FakeCodeQ(webhooks={"http://app.test": receiver})
    async with codeq.async_client() as http:
        _host.set("a host that may be killed")
        await http.post(SUBSCRIPTIONS, json={"callbackUrl": "http://app.test/", "eventTypes": ["A"]})
        await http.post(TASKS, json={"command": "A", "payload": 1})
    assert receiver.hosts == {"the fake's own"}
