"""What surrounds a worker: probes, metrics, one handler without a server, the command line."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest

from codeq_client import (
    Abandon,
    CodeQ,
    Complete,
    Fail,
    Hook,
    Job,
    Next,
    Retry,
    Task,
    TaskContext,
    TaskEnded,
    Worker,
    WorkerStatus,
    cli,
    current_task,
)
from codeq_client.errors import ConfigurationError
from codeq_client.health import HealthServer, Limits, live, ready
from codeq_client.metrics import PrometheusHook
from codeq_client.testing import run_one
from codeq_fake.testing import FakeCodeQ
from tests.client.support import CLAIMS, IDENTITIES, Scenario, refused

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Order:
    number: int


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
        ({"loop_lag": 31.0}, False, False),
        ({"lease_lag": 31.0}, False, False),
    ],
    ids=str,
)
def test_probes_tell_the_truth(change: dict[str, Any], is_live: bool, is_ready: bool) -> None:  # noqa: FBT001 - parametrized
    status = replace(GOOD, **change)
    assert (live(status, Limits()), ready(status, Limits())) == (is_live, is_ready)


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
        assert probe(server.port, "/")[0] == 404
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


def worker_of(handler: Any, **options: Any) -> Worker:
    worker = Worker(CodeQ("http://a.test", worker_token="w"))
    worker.handler("X", **options)(handler)
    return worker


def test_one_handler_runs_without_a_server() -> None:
    async def work(job: Job[Any], task: TaskContext) -> Any:
        async with task.guard(20):
            return [job.payload, task.state, job.attempts]

    outcome = asyncio.run(run_one(worker_of(work), "x", {"n": (1, 2)}, attempts=3, state="pool"))
    assert outcome == Complete([{"n": [1, 2]}, "pool", 3])


def test_one_handler_runs_without_a_worker() -> None:
    order = Order(7)

    async def work(job: Job[Order], task: TaskContext) -> int:
        assert job.payload is order
        assert (job.is_last, task.state) == (True, "pool")
        return job.payload.number

    def plain(job: Job[Order]) -> int:
        raise OSError(job.payload.number)

    assert asyncio.run(run_one(work, order, attempts=4, state="pool")) == Complete(7)
    failed = asyncio.run(run_one(plain, order))
    assert isinstance(failed, Retry)
    assert failed.reason == "OSError: 7"


def test_one_handlers_policy_and_middleware_count_too() -> None:
    async def broken(_job: Job[Any]) -> None:
        raise OSError("disk full")

    async def busy(_job: Job[Any]) -> None:
        raise Abandon

    retry = asyncio.run(run_one(worker_of(broken, backoff=lambda _task: 7), "X", {}))
    assert isinstance(retry, Retry)
    assert (retry.delay, retry.reason) == (7, "OSError: disk full")
    fail = asyncio.run(run_one(worker_of(broken, permanent=(OSError,)), "X", {}))
    assert isinstance(fail, Fail)
    assert isinstance(asyncio.run(run_one(worker_of(busy), "X", {})), Abandon)
    worker = worker_of(broken)

    @worker.middleware
    async def instead(job: Job[Any], task: TaskContext, call_next: Next) -> str:
        with pytest.raises(OSError, match="disk full"):
            await call_next(job, task)
        return "instead"

    assert asyncio.run(run_one(worker, "X", {})) == Complete("instead")
    with pytest.raises(ConfigurationError):
        asyncio.run(run_one(worker, "Y", {}))


APP = """
from codeq_client import CodeQ, Worker

codeq = CodeQ.from_env()
worker = Worker(codeq, poll=1)
nothing = 3

async def make_later():
    return worker

@worker.handler("X")
async def work(job):
    return job.payload
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "some_app", raising=False)
    return tmp_path


def invoke(*arguments: str, **environ: str) -> tuple[int, str]:
    handlers, level = list(logging.root.handlers), logging.root.level
    try:
        result = CliRunner().invoke(cli.main, arguments, env=environ)
    finally:
        logging.root.handlers[:], logging.root.level = handlers, level
    return result.exit_code, result.output


@pytest.mark.port
@pytest.mark.usefixtures("folder")
def test_the_command_runs_a_burst_and_checks_the_server() -> None:
    with FakeCodeQ(clock="real") as fake, fake.serve():
        environ = {"CODEQ_BASE_URL": fake.url, "CODEQ_WORKER_TOKEN": "dev-token"}
        task = fake.enqueue("X", {"a": 1})
        options = ["--burst", "--health-port", "0", "--log", "json", "--concurrency", "2", "--grace", "1"]
        assert invoke("run", "some_app:worker", *options, **environ)[0] == 0
        assert fake.task(task.id).result == {"a": 1}
        code, output = invoke("check", **environ)
        assert (code, output.startswith(f"{fake.url} answered in ")) == (0, True)
        code, output = invoke("check", **{**environ, "CODEQ_WORKER_TOKEN": "wrong"})
        assert (code, "the server does not accept CODEQ_WORKER_TOKEN for a worker: invalid token" in output) == (
            1,
            True,
        )
        code, output = invoke("run", "some_app:worker", "--burst", **{**environ, "CODEQ_WORKER_TOKEN": "wrong"})


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("some_app", "does not have the form MODULE:OBJECT"),
        ("missing_app:worker", "there is no module 'missing_app' in this folder"),
        ("some_app:missing", "has no attribute 'missing'"),
        ("some_app:codeq.twin", "is not a Worker but a CodeQ"),
        ("some_app:nothing", "is not a Worker but a int"),
        ("some_app:make_later", "is asynchronous: create the worker in a plain function"),
        ("missing_app.inner:worker", "there is no module 'missing_app' in this folder"),
    ],
)
def test_the_command_reports_a_wrong_target(target: str, message: str) -> None:
    code, output = invoke("run", target, CODEQ_BASE_URL="http://a.test", CODEQ_WORKER_TOKEN="w")
    assert code == 2
    assert message in output


@pytest.mark.usefixtures("folder")
def test_the_command_names_a_missing_setting_without_a_traceback() -> None:
    for environ, message in (
        ({"CODEQ_BASE_URL": ""}, "CODEQ_BASE_URL is not set"),
        ({"CODEQ_BASE_URL": "http://a.test", "CODEQ_WORKER_TOKEN": ""}, "a worker needs a client with a worker token"),
    ):
        code, output = invoke("run", "some_app:worker", **environ)
        assert (code, output) == (1, f"Error: some_app: {output[17:]}")
        assert message in output


@pytest.mark.process
@pytest.mark.usefixtures("folder")
def test_the_command_reports_a_missing_import_of_the_module(folder: Path) -> None:
    (folder / "lacking_app.py").write_text("import not_installed_here\n")
    command = [sys.executable, "-m", "codeq_client.cli", "run", "lacking_app:worker"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 1
    assert "lacking_app.py" in done.stderr
    assert done.stderr.endswith("No module named 'not_installed_here'\n")


@pytest.mark.port
@pytest.mark.usefixtures("folder")
def test_a_port_in_use_is_reported_without_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, output = invoke(
            "run", "some_app:worker", "--health-port", port, CODEQ_BASE_URL="http://a.test", CODEQ_WORKER_TOKEN="w"
        )
    assert code == 1
    assert f"the probes cannot be served on 127.0.0.1:{port}: Address already in use" in output


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"CODEQ_BASE_URL": ""}, "CODEQ_BASE_URL is not set"),
        ({"CODEQ_BASE_URL": "http://a.test", "CODEQ_WORKER_TOKEN": ""}, "CODEQ_WORKER_TOKEN is not set"),
    ],
    ids=["url", "token"],
)
def test_the_check_names_the_missing_setting(environ: dict[str, str], message: str) -> None:
    code, output = invoke("check", **environ)
    assert code == 1
    assert message in output


def check_with(fake: FakeCodeQ, token: str) -> tuple[int, str]:
    return invoke("check", CODEQ_BASE_URL=fake.url, CODEQ_WORKER_TOKEN=token)


@pytest.mark.port
def test_the_check_reports_tokens_that_lack_scopes() -> None:
    narrow = {**CLAIMS, "scope": "codeq:heartbeat codeq:nack codeq:subscribe"}
    identities = {**IDENTITIES, "narrow": {"kind": "worker", "claims": narrow}}
    with FakeCodeQ(clock="real", identities=identities) as fake, fake.serve():
        task = fake.enqueue("X", {}, tenant="t")
        assert check_with(fake, "worker")[0] == 0
        code, output = check_with(fake, "producer")
        assert (code, "the server does not accept CODEQ_WORKER_TOKEN" in output) == (1, True)
        code, output = check_with(fake, "narrow")
        assert (code, output) == (
            1,
            "Error: ConfigurationError: the worker's token lacks codeq:claim, codeq:result, codeq:abandon\n",
        )
        assert fake.task(task.id).status == "PENDING", "nothing was claimed"


@pytest.mark.port
def test_the_check_reports_a_server_that_is_not_codeq() -> None:
    class Anything(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Anything) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        code, output = invoke("check", CODEQ_BASE_URL=url, CODEQ_WORKER_TOKEN="w")
        server.shutdown()
    assert (code, "not a reply of CodeQ" in output) == (1, True)


def test_json_log_lines_carry_the_task() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "hello %s", ("you",), None)
    token = current_task.set(Task(id="t-1", command="X", status="IN_PROGRESS", attempts=3))
    try:
        line = json.loads(cli.JsonLines().format(record))
    finally:
        current_task.reset(token)
    assert line.pop("time")
    assert line == {
        "level": "INFO",
        "logger": "a",
        "message": "hello you",
        "task_id": "t-1",
        "command": "X",
        "attempts": 3,
    }
