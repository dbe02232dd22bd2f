"""The handle FakeCodeQ in coroutines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from codeq_fake.clocks import let_tasks_run
from tests.in_process.support import CLAIM, TASKS, fake_threads

if TYPE_CHECKING:
    from codeq_fake.testing import FakeCodeQ


def test_an_async_client_and_aadvance_share_the_running_loop(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client() as http:
            parked = asyncio.create_task(http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30}))
            await let_tasks_run()
            await http.post(TASKS, json={"command": "A", "payload": 1, "delaySeconds": 10})
            await fake.aadvance(60)
            assert parked.done()
            assert (await parked).json()["leaseUntil"] == "2026-01-31T12:05:10Z"
            assert [task.status for task in fake.tasks()] == ["IN_PROGRESS"]

    asyncio.run(story())
    assert fake_threads() == []


def test_an_async_client_keeps_its_read_timeout(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client(timeout=0.02) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post(CLAIM, json={"commands": ["A"], "waitSeconds": 30})
        fake.enqueue("A")
        await fake.aadvance(30)

    asyncio.run(story())
    assert [task.status for task in fake.tasks()] == ["PENDING"]


def test_a_client_that_asks_again_and_again_lets_others_run(fake: FakeCodeQ) -> None:
    async def story() -> int:
        async with fake.async_client() as http:
            other = asyncio.create_task(asyncio.sleep(0))
            asked = 0
            while not other.done() and asked < 100:
                await http.post(TASKS, json={"command": "A", "payload": 1})
                asked += 1
            return asked

    assert asyncio.run(story()) < 100


def test_looking_and_enqueuing_work_in_a_coroutine(fake: FakeCodeQ) -> None:
    async def story() -> None:
        task = fake.enqueue("A")
        fake.next(ids=["next"])
        state = fake.state()
        fake.restore(state)
        fake.freeze()
        assert fake.task(task.id).status == "PENDING"
        assert (fake.requests, fake.callbacks) == ([], [])
        assert "1 ready" in repr(fake)
        fake.reset()
        assert fake.tasks() == []

    asyncio.run(story())


def test_one_loop_after_another_may_use_a_fake(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client() as http:
            await http.post(TASKS, json={"command": "A", "payload": 1})
        await fake.aadvance(1)

    asyncio.run(story())
    fake.advance(1)
    asyncio.run(story())
    assert fake.now == "2026-01-31T12:00:03Z"
    assert len(fake.tasks()) == 2
