"""Pausing a worker: it claims no more, finishes what it has, and claims again when it is resumed."""

from __future__ import annotations

import logging
import os
import signal

import pytest

from codeq_client._worker.signals import pause_on_signals
from codeq_client.health import Limits, live, ready
from tests.client.support import Scenario, sleeper


@pytest.mark.asyncio
async def test_a_paused_worker_finishes_its_tasks_and_claims_none(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=2)
    worker.handler("X")(sleeper(scenario.clock, 5))
    first = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance_until(lambda: worker.status().tasks == 1)
        worker.pause()
        await scenario.clock.advance(2)  # the open poll ends
        second = scenario.enqueue("X", {})
        await scenario.clock.advance(30)
        assert (scenario.ended(), scenario.task(second).status) == ([(first, "completed")], "PENDING")
        status = worker.status()
        assert (status.paused, status.slots, live(status, Limits()), ready(status, Limits())) == (True, 2, True, False)
        worker.resume()
        await scenario.until_ended(2)
        assert ready(worker.status(), Limits())


@pytest.mark.asyncio
async def test_a_worker_paused_during_an_open_poll_takes_only_the_task_of_that_poll(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=8)
    worker.handler("X")(sleeper(scenario.clock, 1))
    async with scenario.running(worker):
        await scenario.clock.advance(1)
        worker.pause()
        for _ in range(20):
            scenario.enqueue("X", {})
        await scenario.clock.advance(30)
        assert len(scenario.ended()) == 1
        worker.resume()
        await scenario.until_ended(20)


@pytest.mark.asyncio
async def test_what_a_signal_calls_waits_for_no_lock_of_the_log(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario.clock, 0))
    async with scenario.running(worker):
        await scenario.clock.advance(1)
        with caplog.at_level(logging.INFO, "codeq_client"):
            worker.pause()
            worker.resume()
            assert caplog.messages == []  # a signal may have interrupted the log itself
            await scenario.clock.advance(1)
            assert caplog.messages == ["paused", "resumed"]


@pytest.mark.asyncio
async def test_a_worker_may_be_paused_before_it_runs(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario.clock, 0))
    worker.pause()
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(30)
        assert scenario.network.times("claim") == []
        worker.resume()
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]


@pytest.mark.asyncio
async def test_a_paused_worker_stops(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario.clock, 0))
    worker.pause()
    async with scenario.running(worker):
        await scenario.clock.advance(30)


def test_signals_pause_and_resume() -> None:
    called: list[str] = []
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGUSR2)
    with pause_on_signals(lambda: called.append("pause"), lambda: called.append("resume")):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
    assert called == ["pause", "resume"]
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGUSR2)) == before
