"""The handle FakeCodeQ under trio: it runs in its thread, and trio waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from tests.in_process.support import CLAIM, POLL, TASKS, wait_for

if TYPE_CHECKING:
    from codeq_fake.testing import FakeCodeQ

#: A call that blocks trio's loop would otherwise hang.
pytestmark = pytest.mark.timeout(20)


def test_an_async_client_and_the_clock_work_under_trio(fake: FakeCodeQ) -> None:
    async def story() -> int:
        async with fake.async_client(timeout=None) as http, trio.open_nursery() as nursery:
            nursery.start_soon(fake.sleep, 30)
            await http.post(TASKS, json={"command": "A", "payload": 1, "delaySeconds": 10})
            await fake.aadvance(60)
            await fake.await_until(lambda: fake.now >= "2026-01-31T12:02:00Z")
            return (await http.post(CLAIM, json=POLL)).status_code

    assert trio.run(story) == 200


def test_a_poll_that_trio_cancels_hangs_up(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client(timeout=None) as http:
            with trio.move_on_after(0.2) as scope:
                await http.post(CLAIM, json=POLL)
            assert scope.cancelled_caught
            await trio.to_thread.run_sync(wait_for, lambda: fake.parked_claims == 0)
        await fake.aenqueue("A")
        await fake.aadvance(30)

    trio.run(story)
    assert [task.status for task in fake.tasks()] == ["PENDING"]


def test_a_read_timeout_works_under_trio(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with fake.async_client(timeout=0.05) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post(CLAIM, json=POLL)

    trio.run(story)


def test_the_application_says_that_it_needs_asyncio(fake: FakeCodeQ) -> None:
    async def story() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(fake.app), base_url="http://codeq.test") as http:
            with pytest.raises(RuntimeError, match=r"under trio use async_client\(\) or transport\(\)"):
                await http.get("/metrics")

    trio.run(story)
