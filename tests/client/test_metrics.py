"""Metrics: what the Prometheus hook counts."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from codeq_client import (
    Fail,
    Job,
)
from codeq_client.metrics import PrometheusHook
from tests.client.support import Scenario, refused


@pytest.mark.asyncio
async def test_metrics_count_what_happens(scenario: Scenario) -> None:
    registry = CollectorRegistry()
    worker = scenario.worker(lease=30)
    worker.hooks.append(PrometheusHook(registry))

    @worker.handler("X")
    async def work(job: Job[Any]) -> None:
        await scenario.clock.sleep(job.payload)
        if not job.payload:
            raise Fail("no")

    scenario.enqueue("X", 0)
    scenario.enqueue("X", 15)
    async with scenario.running(worker):
        await scenario.until_ended(2)
        scenario.network.fail("heartbeat", refused)
        scenario.enqueue("X", 100)
        await scenario.until_ended(3)
    text = generate_latest(registry).decode()
    for line in (
        'codeq_worker_tasks_total{command="X",settled="completed"} 1.0',
        'codeq_worker_tasks_total{command="X",settled="failed"} 1.0',
        'codeq_worker_tasks_total{command="X",settled="lost"} 1.0',
        'codeq_worker_losses_total{command="X",reason="expired"} 1.0',
        'codeq_worker_handlers_ended_total{reason="expired"} 1.0',
        'codeq_worker_running{command="X"} 0.0',
        'codeq_worker_task_seconds_count{command="X"} 3.0',
    ):
        assert line in text
    wasted = next(line for line in text.splitlines() if line.startswith("codeq_worker_wasted_seconds_total"))
    assert 25 < float(wasted.split()[-1]) < 30
