"""Health probes: when a worker is live and ready, and how this is served over HTTP."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from typing import Any

import pytest

from codeq_client import (
    CodeQ,
    Hook,
    Job,
    Rate,
    TaskEnded,
    Worker,
    WorkerStatus,
)
from codeq_client.health import HealthServer, Limits, live, ready
from codeq_fake.testing import FakeCodeQ
from tests.client.support import Scenario, answers

GOOD = WorkerStatus(running=True, draining=False, tasks=0, claim_age=1, claim_error="", loop_lag=0.0, lease_lag=0.0)


@pytest.mark.parametrize(
    ("change", "is_live", "is_ready"),
    [
        ({}, True, True),
        ({"running": False}, True, False),
        ({"draining": True}, True, False),
        ({"claim_error": "refused"}, True, False),
        ({"claim_age": math.inf}, True, False),
        ({"claim_age": 500.0, "tasks": 8}, True, True),
        ({"claim_age": 500.0, "limited": True, "draining": True}, True, False),
        ({"loop_lag": 31.0}, False, False),
        ({"lease_lag": 31.0}, False, False),
    ],
    ids=str,
)
def test_probes_tell_the_truth(change: dict[str, Any], is_live: bool, is_ready: bool) -> None:  # noqa: FBT001 - parametrized
    status = replace(GOOD, **change)
    assert (live(status, Limits()), ready(status, Limits())) == (is_live, is_ready)


@pytest.mark.asyncio
async def test_a_worker_is_ready_as_soon_as_the_server_has_answered(scenario: Scenario) -> None:
    """Not only when the first long poll ends: at the start, after an outage, and after a pause."""
    worker = scenario.worker(poll=10)

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None: ...

    async with scenario.running(worker):
        assert ready(worker.status(), Limits())
        scenario.network.fail("claim", answers(503), None)
        await scenario.clock.advance(12)
        assert ready(worker.status(), Limits()), "half a second after the outage"
        worker.pause()
        await scenario.clock.advance(300)
        worker.resume()
        await scenario.clock.advance(0.1)
        assert ready(worker.status(), Limits())
        assert len(scenario.network.times("claim")) < 10, "it waits at the server again"


@pytest.mark.asyncio
async def test_a_worker_that_has_used_its_rate_is_ready(scenario: Scenario) -> None:
    worker = scenario.worker()

    @worker.handler("X", rate=Rate(1, seconds=200))
    async def work(_job: Job[Any]) -> None: ...

    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
        await scenario.clock.advance(150)
        status = worker.status()
        assert (status.claim_age > 120, status.tasks, status.limited) == (True, 0, True)
        assert ready(status, Limits())
        await scenario.clock.advance(60)
        assert not worker.status().limited, "it claims again"


def probe(port: int, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.port
def test_probes_are_served_over_http() -> None:
    worker = Worker(CodeQ("http://a.test", worker_token="w"))
    with HealthServer(worker, 0) as server:
        assert probe(server.port, "/live")[0] == 200
        code, body = probe(server.port, "/ready")
        assert (code, body["ok"], body["running"], body["claimAge"]) == (503, False, False, None)
        assert [probe(server.port, path)[0] for path in ("/", "/metrics")] == [404, 404]
        assert probe(server.port, "/live?by=balancer")[0] == 200


@pytest.mark.port
@pytest.mark.parametrize(("path", "code"), [("/live", 200), ("/ready", 503), ("/", 404)])
def test_a_probe_by_head_is_answered_without_a_body(path: str, code: int) -> None:
    worker = Worker(CodeQ("http://a.test", worker_token="w"))
    with HealthServer(worker, 0) as server, socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(f"HEAD {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert (int(head.split()[1]), body) == (code, b"")
    assert b"Content-Length" in head


@pytest.mark.port
def test_a_worker_with_a_blocked_loop_is_not_live_until_the_loop_runs_again() -> None:
    async def main(fake: FakeCodeQ) -> tuple[list[int], float]:
        blocked, go_on = threading.Event(), threading.Event()
        ended = asyncio.Event()
        hooks: list[Hook] = [lambda event: ended.set() if isinstance(event, TaskEnded) else None]
        async with CodeQ.from_env(fake.env) as codeq:
            worker = Worker(codeq, poll=1, hooks=hooks)

            @worker.handler("X")
            async def work(_job: Job[Any]) -> None:
                blocked.set()
                assert go_on.wait(10)

            def watch(port: int) -> tuple[list[int], float]:
                assert blocked.wait(10)
                while (lag := probe(port, "/live")[1]["loopLag"]) < 0.5:
                    pass
                codes = [probe(port, "/live")[0], probe(port, "/ready")[0]]
                go_on.set()
                return codes, lag

            with HealthServer(worker, 0, limits=Limits(lag=0.5)) as server:
                run = asyncio.create_task(worker.run(signals=False))
                watching = asyncio.create_task(asyncio.to_thread(watch, server.port))
                await codeq.create("X", {})
                await ended.wait()
                codes, lag = await watching
                await asyncio.to_thread(until_live, server.port)
                worker.stop()
                await run
        return codes, lag

    def until_live(port: int) -> None:
        while probe(port, "/live")[0] != 200:
            pass

    with FakeCodeQ(clock="real") as fake, fake.serve():
        codes, lag = asyncio.run(main(fake))
    assert codes == [503, 503]
    assert lag < 5
