"""Results that end together are sent in one request, and each is settled as surely as alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from codeq_client import Artifact, Complete, Fail, Job, LeaseTerms, Loss, TaskEnded
from codeq_client._api import calls, settlement
from codeq_client._worker import delivery, result_batches
from tests.client.support import (
    Fault,
    Scenario,
    answers,
    garbled,
    half_accepted,
    refused,
    reply_lost,
    request_lost,
    sleeper,
    slow,
)


def echo(job: Job[Any]) -> Any:
    return {"of": job.id}


async def handle(job: Job[Any]) -> Any:
    return echo(job)


async def work(
    scenario: Scenario, handler: Callable[[Job[Any]], Any], payloads: list[Any], **settings: Any
) -> list[str]:
    """Let a worker handle tasks until each has ended, and return their ids."""
    ids = [scenario.enqueue("X", payload) for payload in payloads]
    settings.setdefault("concurrency", len(ids))
    worker = scenario.worker(**settings)
    worker.handler("X")(handler)
    async with scenario.running(worker):
        await scenario.until_ended(len(ids))
    return ids


def losses(scenario: Scenario) -> list[tuple[str, Loss | None]]:
    ended = [event for _, event in scenario.events if isinstance(event, TaskEnded)]
    return [(event.task.id, event.loss) for event in ended if event.loss]


@pytest.mark.asyncio
async def test_short_tasks_take_a_third_of_a_request_each(scenario: Scenario) -> None:
    ids = await work(scenario, handle, list(range(200)), concurrency=32)
    sent = Counter(operation for _, operation, _ in scenario.network.log)
    assert sum(sent.values()) <= 0.35 * len(ids), sent
    assert sent["heartbeat"] == 0
    assert {scenario.task(task_id).status for task_id in ids} == {"COMPLETED"}


@pytest.mark.asyncio
async def test_each_task_of_a_batch_gets_its_own_result(scenario: Scenario) -> None:
    async def fails_sometimes(job: Job[int]) -> Any:
        if job.payload % 3 == 0:
            raise Fail(f"no {job.payload}")
        return echo(job)

    ids = await work(scenario, fails_sometimes, list(range(12)))
    assert max(scenario.network.submits()) > 1
    for number, task_id in enumerate(ids):
        task = scenario.task(task_id)
        expected = ("FAILED", f"no {number}", {}) if number % 3 == 0 else ("COMPLETED", "", {"of": task_id})
        assert (task.status, task.error or "", task.result) == expected


@pytest.mark.asyncio
async def test_a_lone_result_is_sent_at_once_in_a_request_of_its_own(scenario: Scenario) -> None:
    await work(scenario, sleeper(scenario.clock, 5), [{}], concurrency=8)
    (claimed, *_), (sent,) = scenario.network.times("claim"), scenario.network.times("submit")
    assert sent - claimed == 5
    assert b"results" not in {name: body for _, name, body in scenario.network.log}["submit"]


@pytest.mark.asyncio
async def test_nothing_that_a_batch_would_lose_is_sent_in_one(scenario: Scenario) -> None:
    async def with_artifact(job: Job[Any]) -> Any:
        return Complete(echo(job), [Artifact(url="http://a.test/")] if job.payload["artifact"] else [])

    ids = [scenario.enqueue("X", {"artifact": n % 2}, webhook="" if n % 2 else "http://h.test/") for n in range(6)]
    worker = scenario.worker(concurrency=6)
    worker.handler("X")(with_artifact)
    async with scenario.running(worker):
        await scenario.until_ended(6)
    assert scenario.network.submits() == [1] * 6
    assert all(scenario.task(task_id).status == "COMPLETED" for task_id in ids)
    assert len(scenario.fake.callbacks) == 3


@pytest.mark.asyncio
async def test_batches_can_be_switched_off(scenario: Scenario) -> None:
    await work(scenario, handle, [{}] * 8, batch_results=False)
    assert scenario.network.submits() == [1] * 8


FAULTS: list[Fault] = [
    request_lost,
    reply_lost,
    half_accepted,
    refused,
    garbled,
    answers(500),
    answers(429),
    answers(400),
    answers(404),
    answers(413),
]


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS, ids=range(len(FAULTS)))
async def test_a_batch_whose_answer_is_lost_is_settled_task_by_task(scenario: Scenario, fault: Fault) -> None:
    def fault_for(request: httpx.Request) -> Fault | None:
        return fault if request.url.path.endswith("/batch/results") else None

    scenario.network.fault_for = fault_for
    ids = await work(scenario, handle, list(range(8)))
    assert sorted(scenario.ended()) == [(task_id, "completed") for task_id in sorted(ids)]
    assert all(scenario.task(task_id).result == {"of": task_id} for task_id in ids)


@pytest.mark.asyncio
async def test_what_was_accepted_in_a_batch_without_an_answer_is_not_sent_again(scenario: Scenario) -> None:
    scenario.network.fail("submit", half_accepted, None)
    await work(scenario, sleeper(scenario.clock, 1), [{}] * 8)
    assert scenario.network.submits() == [8, *[1] * 4]
    assert {settled for _, settled in scenario.ended()} == {"completed"}


@pytest.mark.asyncio
async def test_a_refused_item_of_a_batch_affects_no_other(scenario: Scenario) -> None:
    async def loses_a_lease(job: Job[int]) -> Any:
        await scenario.clock.sleep(1)
        if job.payload == 2:
            scenario.race(job.id, "revoke_lease")
        return echo(job)

    ids = await work(scenario, loses_a_lease, list(range(4)))
    assert losses(scenario) == [(ids[2], Loss.REVOKED)]
    assert [scenario.task(task_id).status for task_id in ids] == ["COMPLETED", "COMPLETED", "PENDING", "COMPLETED"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "answer", [{"error": "ERR the store is loading"}, {"result": {"taskId": "another"}}, {}, 7, {"result": []}]
)
async def test_an_answer_that_does_not_settle_its_result_is_followed_by_a_request_of_its_own(
    scenario: Scenario, answer: Any
) -> None:
    async def answered_so(_request: httpx.Request, _forward: Any) -> httpx.Response:
        return httpx.Response(200, json={"results": [answer] * 4})

    scenario.network.fail("submit", answered_so, None)
    ids = await work(scenario, sleeper(scenario.clock, 1), [{}] * 4)
    assert scenario.network.submits() == [4, *[1] * 4]
    assert all(scenario.task(task_id).status == "COMPLETED" for task_id in ids)


@pytest.mark.asyncio
async def test_a_request_without_an_answer_delays_other_results_only_for_a_moment(scenario: Scenario) -> None:
    async def handler(job: Job[float]) -> None:
        await scenario.clock.sleep(job.payload)

    scenario.network.fail("submit", slow(scenario.clock, 7), None)
    ids = await work(scenario, handler, [1, 1.01, 1.02, 2])
    assert [task_id for task_id, _ in scenario.ended()] == [ids[1], ids[2], ids[3], ids[0]]
    first, second, third = scenario.network.times("submit")
    assert [second - first, third - first] == pytest.approx([0.1, 1])


@pytest.mark.asyncio
async def test_a_result_whose_lease_is_lost_while_it_waits_is_never_sent(scenario: Scenario) -> None:
    """One result waits for the answer to another one, when the fence of its lease is reached."""
    terms = LeaseTerms(6)
    fence = terms.seconds - terms.margin

    async def handler(job: Job[float]) -> Any:
        await scenario.clock.sleep(job.payload)
        return echo(job)

    def fault_for(request: httpx.Request) -> Fault | None:
        if request.url.path.endswith("/heartbeat"):
            return request_lost
        return slow(scenario.clock, 0.09) if request.url.path.endswith("/result") else None

    scenario.network.fault_for = fault_for
    ids = await work(scenario, handler, [fence - 0.05, fence - 0.02], lease=terms)
    assert losses(scenario) == [(ids[1], Loss.EXPIRED)]
    assert scenario.network.submits() == [1]


@pytest.mark.asyncio
async def test_results_that_are_collected_when_the_worker_stops_are_sent(scenario: Scenario) -> None:
    async def handler(job: Job[float]) -> Any:
        await scenario.clock.sleep(job.payload)
        worker.stop()
        return echo(job)

    scenario.network.fail("submit", slow(scenario.clock, 0.05), None)
    ids = [scenario.enqueue("X", seconds) for seconds in (1, 1.01, 1.02)]
    worker = scenario.worker(concurrency=3)
    worker.handler("X")(handler)
    run = asyncio.create_task(worker.run(signals=False))
    await scenario.clock.advance_until(run.done, within=60)
    await run
    assert [scenario.task(task_id).status for task_id in ids] == ["COMPLETED"] * 3


@pytest.mark.asyncio
async def test_a_worker_that_is_cancelled_while_a_batch_is_on_its_way_keeps_no_lease(scenario: Scenario) -> None:
    scenario.network.fail("submit", slow(scenario.clock, 3))
    ids = [scenario.enqueue("X", {}) for _ in range(4)]
    worker = scenario.worker(concurrency=4)
    worker.handler("X")(handle)
    run = asyncio.create_task(worker.run(signals=False))
    await scenario.clock.advance_until(lambda: bool(scenario.network.submits()))
    run.cancel()
    await scenario.clock.advance_until(run.done)
    with contextlib.suppress(asyncio.CancelledError):
        await run
    assert "IN_PROGRESS" not in {scenario.task(task_id).status for task_id in ids}


@pytest.mark.asyncio
async def test_a_batch_stays_small_enough_for_proxies(scenario: Scenario) -> None:
    async def large(_job: Job[Any]) -> str:
        await scenario.clock.sleep(1)
        return "x" * 100_000

    await work(scenario, large, [{}] * 8)
    assert scenario.network.submits() == [2] * 4


@pytest.mark.asyncio
async def test_a_bug_in_a_batch_is_reported_for_each_of_its_tasks(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "submit_batch", lambda _items: 1 / 0)
    ids = await work(scenario, sleeper(scenario.clock, 1), [{}] * 3)
    assert sorted(losses(scenario)) == [(task_id, Loss.DEFECT) for task_id in sorted(ids)]


def refusals_are_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_batches, "_error_in", lambda _answer, _task_id: None)


def lost_leases_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery.Delivery, "_may_send", lambda _self: True)


def a_lost_batch_is_sent_again_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    end = settlement.end

    def end_anew(*arguments: Any, **_earlier: Any) -> Any:
        return end(*arguments)

    monkeypatch.setattr(settlement, "end", end_anew)


def a_lost_answer_holds_up_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_batches, "_LONGEST_COLLECTION", 100)


def callbacks_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    submission = delivery._submission  # noqa: SLF001 - the client under test

    def without_artifacts(task: Any, outcome: Any) -> Any:
        object.__setattr__(task, "webhook", "")
        return submission(task, outcome)

    monkeypatch.setattr(delivery, "_submission", without_artifacts)


def collected_results_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send_first(self: Any) -> None:
        await self._send(self._next_batch())

    monkeypatch.setattr(result_batches.ResultBatches, "_send_collected", send_first)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("mutate", "test"),
    [
        (refusals_are_missed, test_a_refused_item_of_a_batch_affects_no_other),
        (lost_leases_are_ignored, test_a_result_whose_lease_is_lost_while_it_waits_is_never_sent),
        (a_lost_batch_is_sent_again_blindly, test_what_was_accepted_in_a_batch_without_an_answer_is_not_sent_again),
        (a_lost_answer_holds_up_all, test_a_request_without_an_answer_delays_other_results_only_for_a_moment),
        (callbacks_are_lost, test_nothing_that_a_batch_would_lose_is_sent_in_one),
        (collected_results_are_forgotten, test_results_that_are_collected_when_the_worker_stops_are_sent),
    ],
    ids=lambda parameter: parameter.__name__,
)
async def test_a_worse_client_is_noticed(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, mutate: Any, test: Any
) -> None:
    mutate(monkeypatch)
    with pytest.raises((AssertionError, TimeoutError)):
        await test(scenario)
