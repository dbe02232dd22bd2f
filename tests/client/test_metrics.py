"""Metrics: what the Prometheus hook counts, and what an autoscaler reads at the health port."""

from __future__ import annotations

import urllib.request
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from codeq_client import (
    BlockingCodeQ,
    CodeQ,
    Fail,
    Job,
    Worker,
)
from codeq_client.health import HealthServer
from codeq_client.metrics import PrometheusHook, QueueCollector, WorkerMetrics
from codeq_fake.testing import FakeCodeQ
from tests.client.support import Scenario, refused, sleeper


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


@pytest.mark.asyncio
async def test_metrics_show_busy_slots_and_the_age_of_the_oldest_task(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=3)
    metrics = WorkerMetrics(worker)
    worker.handler("X")(sleeper(scenario.clock, 60))
    for _ in range(2):
        scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(10)
        lines = metrics().decode().splitlines()
    assert {"codeq_worker_slots 3.0", "codeq_worker_busy_slots 2.0"} <= set(lines)
    assert 'codeq_worker_running{command="X"} 2.0' in lines, "what the hook counts"
    assert any(line.startswith("codeq_worker_oldest_task_seconds ") for line in lines)
    assert any(line.startswith("python_info") for line in lines), "the default registry"


def test_a_worker_that_has_a_hook_gets_no_second_one() -> None:
    worker = Worker(CodeQ("http://a.test", worker_token="w"), hooks=[PrometheusHook(CollectorRegistry())])
    assert "codeq_worker_polls" not in WorkerMetrics(worker)().decode()


@pytest.mark.port
def test_the_health_port_serves_the_number_of_tasks_that_wait_and_of_dead_letters(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with FakeCodeQ(clock="real") as fake, fake.serve(), BlockingCodeQ.from_env(fake.env, retries=0) as codeq:
        for delay in (0, 0, 600):
            fake.enqueue("X", {}, delay=delay)
        dying = fake.enqueue("DYING", {}, max_attempts=1)
        fake.claim("DYING")
        fake.nack(dying.id)
        worker = Worker(CodeQ.from_env(fake.env))
        metrics = WorkerMetrics(worker, QueueCollector(codeq, ["X", "DYING"]))
        with (
            HealthServer(worker, 0, metrics=metrics) as server,
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as reply,
        ):
            assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            lines = reply.read().decode().splitlines()
        assert {
            'codeq_queue_tasks{command="X",state="ready"} 2.0',
            'codeq_queue_tasks{command="X",state="delayed"} 1.0',
            'codeq_queue_tasks{command="X",state="in_progress"} 0.0',
            'codeq_queue_tasks{command="DYING",state="dead"} 1.0',
        } <= set(lines)
    assert caplog.text == ""
    assert "codeq_queue_tasks{" not in metrics().decode(), "the server is gone, and the rest goes on"
    assert "the tasks of X cannot be counted" in caplog.text
