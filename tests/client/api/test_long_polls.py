"""Waiting for a result at a server that can wait (G1), and how a client finds out whether it can."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from codeq_client._api.limits import MAX_LONG_POLLS
from codeq_client.errors import ConfigurationError, ResultNotFound, TaskDead, WaitTimeout
from codeq_client.webhooks import WebhookReceiver
from codeq_fake.testing import Profile
from tests.client.support import Scenario, answers, request_lost

WAITS: Profile = "main/redis"
WAITS_NOT: Profile = "redis"


@pytest_asyncio.fixture
async def scenario() -> Scenario:
    return Scenario(WAITS)


async def awaited(scenario: Scenario, seconds: float) -> Any:
    """Create and claim a task that is completed after so many seconds, and return the result that a wait gets."""
    task_id = scenario.enqueue("X", {})
    task = await scenario.codeq.claim(["X"], lease=300)
    assert task

    async def complete() -> None:
        await scenario.clock.sleep(seconds)
        await scenario.codeq.complete(task, "done")

    waiting = asyncio.gather(scenario.codeq.wait_for_result(task_id, 60), complete())
    return (await scenario.finished(waiting))[0]


def reads(scenario: Scenario) -> list[str]:
    """Return what each read was: of the task, of the result."""
    return [operation for _, operation, _ in scenario.network.log if operation in {"get", "result"}]


@pytest.mark.asyncio
async def test_a_result_is_returned_when_it_is_there(scenario: Scenario) -> None:
    began = scenario.clock.monotonic()
    assert await awaited(scenario, 12.3) == "done"
    assert scenario.clock.monotonic() - began == pytest.approx(12.3, abs=0.26)
    assert reads(scenario) == ["get", "result"] * 3, "the server waits 5 s each time"


@pytest.mark.asyncio
async def test_a_server_that_does_not_wait_is_asked_to_only_once() -> None:
    scenario = Scenario(WAITS_NOT)
    for _ in range(2):
        assert await awaited(scenario, 12.3) == "done"
    assert reads(scenario).count("result") == 3, "the question, and two results"
    assert reads(scenario)[:3] == ["get", "result", "get"]


@pytest.mark.asyncio
@pytest.mark.parametrize("profile", [WAITS, WAITS_NOT])
async def test_a_dead_letter_is_noticed_though_no_server_waits_for_it(profile: Profile) -> None:
    scenario = Scenario(profile)
    task_id = scenario.enqueue("X", {}, max_attempts=1)
    task = await scenario.codeq.claim(["X"])
    assert task
    waiting = asyncio.create_task(scenario.codeq.wait_for_result(task_id, 600))
    await scenario.clock.advance(1)
    assert (await scenario.codeq.nack(task, reason="no ink")).dead
    await scenario.clock.advance(5)
    assert waiting.done()
    with pytest.raises(TaskDead, match="no ink"):
        await waiting


@pytest.mark.asyncio
@pytest.mark.parametrize("seconds", [0.5, 1.5, 7.2])
async def test_a_wait_at_the_server_ends_at_its_timeout_too(scenario: Scenario, seconds: float) -> None:
    task_id = scenario.enqueue("X", {})
    began = scenario.clock.monotonic()
    with pytest.raises(WaitTimeout, match=f"still PENDING after {seconds:g} s"):
        await scenario.finished(scenario.codeq.wait_for_result(task_id, seconds))
    assert scenario.clock.monotonic() - began == pytest.approx(seconds, abs=0.26)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault", [request_lost, answers(504), answers(429, retry_after="3")], ids=["lost", "504", "429"]
)
async def test_a_wait_whose_request_fails_reads_the_task(scenario: Scenario, fault: Any) -> None:
    scenario.network.fail("result", fault, None)
    assert await awaited(scenario, 3) == "done"
    assert reads(scenario)[:3] == ["get", "result", "get"]


@pytest.mark.asyncio
async def test_waits_leave_most_connections_free_and_a_cancelled_one_frees_its_own(scenario: Scenario) -> None:
    task_id = scenario.enqueue("X", {})
    waiting = [asyncio.create_task(scenario.codeq.wait_for_result(task_id, 600)) for _ in range(MAX_LONG_POLLS + 5)]
    await scenario.clock.advance(0)
    assert reads(scenario).count("result") == MAX_LONG_POLLS
    for wait in waiting:
        wait.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert scenario.codeq.core.long_polls.are_possible
    scenario.network.log.clear()
    again = asyncio.create_task(scenario.codeq.wait_for_result(task_id, 600))
    await scenario.clock.advance(0)
    assert reads(scenario) == ["get", "result"]
    again.cancel()


@pytest.mark.asyncio
async def test_a_wait_that_a_callback_ends_holds_no_connection(scenario: Scenario) -> None:
    task_id = scenario.enqueue("X", {})
    waiting = asyncio.create_task(scenario.codeq.wait_for_result(task_id, 600, wake=WebhookReceiver("s")))
    await scenario.clock.advance(30)
    assert set(reads(scenario)) == {"get"}
    waiting.cancel()


@pytest.mark.asyncio
async def test_one_read_of_a_result_waits_as_long_as_it_is_asked_to(scenario: Scenario) -> None:
    task_id = scenario.enqueue("X", {})
    began = scenario.clock.monotonic()
    with pytest.raises(ResultNotFound):
        await scenario.finished(scenario.codeq.result(task_id, wait=30))
    assert scenario.clock.monotonic() - began == pytest.approx(30, abs=0.3)
    with pytest.raises(ConfigurationError, match="wait must be"):
        await scenario.codeq.result(task_id, wait=-1)


@pytest.mark.asyncio
async def test_the_callback_of_a_dead_letter_ends_a_wait_at_once() -> None:
    receiver = WebhookReceiver("s", tolerance=float("inf"))
    scenario = Scenario(WAITS, {"http://app.test": receiver}, WEBHOOK_HMAC_SECRET="s")
    task_id = scenario.enqueue("X", {}, max_attempts=1, webhook="http://app.test/hook")
    task = await scenario.codeq.claim(["X"])
    assert task
    waiting = asyncio.create_task(scenario.codeq.wait_for_result(task_id, 600, wake=receiver))
    await scenario.clock.advance(30)
    await scenario.codeq.nack(task, reason="no ink")
    await scenario.clock.advance(0)
    with pytest.raises(TaskDead, match="no ink"):
        await waiting
