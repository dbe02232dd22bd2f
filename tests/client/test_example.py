"""The example application, end to end over HTTP: API and worker on a fake server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from codeq_client import CodeQ
from codeq_client.testing import ManualClock, run_one
from codeq_fake.testing import FakeCodeQ
from examples.starlette_app.api import make_api
from examples.starlette_app.settings import environment
from examples.starlette_app.worker import make

Client = httpx.AsyncClient
REPOSITORY = Path(__file__).parents[2]


class ExampleScenario:
    """The fake, the API with its worker, and a client of the API, on one clock."""

    def __init__(self) -> None:
        mounts: dict[str, Any] = {"http://api.test": self._api, "http://localhost:3000": self._api}
        self.fake = FakeCodeQ(settings={"WEBHOOK_HMAC_SECRET": "s", "BACKOFF_POLICY": "fixed"}, webhooks=mounts)
        self.clock = ManualClock(self.fake.aadvance)
        self.codeq = CodeQ(
            "http://codeq.test",
            producer_token="dev-token",
            worker_token="dev-token",
            transport=httpx.ASGITransport(self.fake.app),
            clock=self.clock,
        )
        self.api = make_api(self.codeq, None)
        self.first_id = ""
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.api), base_url="http://api.test")

    async def _api(self, scope: Any, receive: Any, send: Any) -> None:
        await self.api(scope, receive, send)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        worker = make(self.codeq)
        run = asyncio.create_task(worker.run(signals=False))
        try:
            yield
        finally:
            worker.stop()
            await self.clock.advance_until(run.done)
            await run

    async def post(self, path: str, body: Any, status: int = 202) -> Any:
        response = await self.http.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    async def curl(self, words: list[str]) -> httpx.Response:
        """Send the request of `curl -s localhost:3000/PATH [-d BODY]`."""
        url = f"http://{words[2]}".replace("5b2c...", self.first_id)
        body = words[words.index("-d") + 1] if "-d" in words else None
        answer = await self.http.request("POST" if body else "GET", url, content=body)
        self.first_id = self.first_id or answer.json()["id"]
        return answer

    async def show(self, task_id: str) -> Any:
        return (await self.http.get(f"/api/tasks/{task_id}")).json()


@pytest_asyncio.fixture
async def scenario() -> ExampleScenario:
    return ExampleScenario()


@pytest.mark.asyncio
async def test_masters_are_made_in_order_of_their_priority(scenario: ExampleScenario) -> None:
    low = await scenario.post("/api/tasks/master", {"jobId": "1", "priority": 1})
    high = await scenario.post("/api/tasks/master", {"jobId": "2", "priority": 9})
    assert (low["status"], low["command"]) == ("PENDING", "GENERATE_MASTER")
    async with scenario.working():
        await scenario.clock.advance(3)
    shown = await scenario.show(high["id"])
    assert shown["result"] == {"jobId": "2", "url": "https://masters.example.com/2.mp4"}
    started = [scenario.fake.task(task["id"]).history[1]["at"] for task in (high, low)]
    assert started == sorted(started)


@pytest.mark.asyncio
async def test_a_result_comes_back_by_webhook(scenario: ExampleScenario) -> None:
    body = {
        "command": "GENERATE_CREATIVE",
        "payload": {"template": "blue"},
        "webhook": "http://api.test/webhooks/codeq/",
    }
    created = await scenario.post("/api/tasks/with-webhook", body)
    async with scenario.working():
        await scenario.clock.advance(2)
    assert (await scenario.show(created["id"]))["result"] == {"creative": "blue in square"}
    assert (await scenario.http.get("/health")).json() == {"status": "ok", "results": 1}


@pytest.mark.asyncio
async def test_a_delayed_task_waits(scenario: ExampleScenario) -> None:
    created = await scenario.post("/api/tasks/delayed", {"jobId": "1", "delaySeconds": 60})
    async with scenario.working():
        await scenario.clock.advance(55)
        assert (await scenario.show(created["id"]))["status"] == "PENDING"
        await scenario.clock.advance(10)
        assert (await scenario.show(created["id"]))["status"] == "COMPLETED"


@pytest.mark.asyncio
async def test_temporary_failures_are_retried_and_permanent_ones_are_not(scenario: ExampleScenario) -> None:
    busy = await scenario.post("/api/tasks/master", {"jobId": "busy-1"})
    bad = await scenario.post("/api/tasks/master", {"jobId": "bad-1"})
    creative = {"command": "GENERATE_CREATIVE", "payload": {}, "webhook": "http://api.test/webhooks/codeq/"}
    broken = await scenario.post("/api/tasks/with-webhook", creative)
    async with scenario.working():
        await scenario.clock.advance(30)
    assert (await scenario.show(busy["id"]))["status"] == "COMPLETED"
    assert (await scenario.show(busy["id"]))["attempts"] == 5
    assert (await scenario.show(bad["id"]))["error"] == "there is no job bad-1"
    assert (await scenario.show(broken["id"]))["error"] == "KeyError: 'template'"


@pytest.mark.asyncio
async def test_a_stopping_worker_gives_its_task_back(scenario: ExampleScenario) -> None:
    created = await scenario.post("/api/tasks/master", {"jobId": "1"})
    run = asyncio.create_task(make(scenario.codeq).run(signals=False))
    await scenario.clock.advance(0.5)
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    assert (await scenario.show(created["id"]))["status"] == "PENDING"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body", "problems"),
    [
        ("master", {"priority": 10}, {"jobId": "is missing", "priority": "must be a whole number from 0 to 9"}),
        ("master", [], {"body": "must be a JSON object"}),
        (
            "with-webhook",
            {"command": "", "payload": 1, "webhook": "x"},
            {"command": "must", "payload": "must", "webhook": "must"},
        ),
        ("delayed", {"jobId": "1", "delaySeconds": -1}, {"delaySeconds": "must be a whole number of seconds"}),
    ],
    ids=["master", "no object", "with-webhook", "delayed"],
)
async def test_the_problems_of_a_request_are_reported_by_field(
    scenario: ExampleScenario, path: str, body: Any, problems: dict[str, str]
) -> None:
    answer = await scenario.post(f"/api/tasks/{path}", body, 400)
    assert answer["problems"].keys() == problems.keys()
    for name, text in problems.items():
        assert answer["problems"][name].startswith(text)


@pytest.mark.port
@pytest.mark.asyncio
async def test_a_missing_task_is_a_404_and_a_missing_server_a_503(
    scenario: ExampleScenario,
) -> None:
    assert (await scenario.http.get("/api/tasks/none")).status_code == 404
    assert (await scenario.http.post("/api/tasks/master", content=b"{")).status_code == 400
    nowhere = CodeQ("http://127.0.0.1:1", producer_token="p", retries=0)
    async with Client(transport=httpx.ASGITransport(make_api(nowhere)), base_url="http://api.test") as http:
        assert (await http.get("/api/tasks/1")).status_code == 503
    await nowhere.aclose()


README = Path(make.__code__.co_filename).with_name("README.md").read_text()
BLOCKS = re.findall(r"^```(sh|json)\n(.*?)^```", README.partition("## Use")[2], re.MULTILINE | re.DOTALL)


@pytest.mark.asyncio
async def test_each_curl_command_of_the_readme_has_the_documented_answer(scenario: ExampleScenario) -> None:
    answer = httpx.Response(500)
    compared = 0
    async with scenario.working():
        for kind, text in BLOCKS:
            if kind == "json":
                assert answer.json() == json.loads(text.replace("5b2c...", scenario.first_id))
                compared += 1
                continue
            for command in re.findall(r"curl .*?(?=\ncurl|\Z)", text.strip(), re.DOTALL):
                answer = await scenario.curl(shlex.split(command))
                await scenario.clock.advance(2)
    assert compared == 4


@pytest.mark.process
@pytest.mark.skipif(shutil.which("curl") is None, reason="the example is played with curl")
def test_the_example_starts_on_the_fake_and_makes_its_calls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    fake = str(Path(sys.executable).with_name("codeq-fake"))
    command = [fake, "run", "--", str(REPOSITORY / "client/examples/play.sh")]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PORT": port, "PATH": path}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    shown = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [answer["status"] for answer in shown if "result" in answer] == ["COMPLETED", "FAILED"]
    assert shown[-2]["problems"].keys() == {"jobId", "priority"}
    assert shown[-1] == {"status": "ok", "results": 1}


def play_on(port: str, folder: Path) -> tuple[int, list[str]]:
    """Start the example without a fake, which it does not reach; return its exit code and its error output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(folder), "PORT": port}
    script = str(REPOSITORY / "client/examples/play.sh")
    done = subprocess.run([script], env=environ, capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.process
@pytest.mark.skipif(shutil.which("curl") is None, reason="the example is played with curl")
def test_the_example_refuses_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert play_on(port, tmp_path) == (1, [f"port {port} is not free: set PORT to another"])
    code, complaints = play_on(port, tmp_path)
    assert (code, "the API did not start" in complaints) == (1, True), "because it has no settings"


@pytest.mark.process
def test_all_problems_of_the_settings_are_reported_together(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "PORT": "70000", "PYTHONPATH": str(REPOSITORY / "client/examples")}
    command = [sys.executable, "-m", "starlette_app"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "the settings are wrong, see .env.example:",
        "CODEQ_BASE_URL is missing: the CodeQ server's address, such as http://localhost:8080",
        "CODEQ_PRODUCER_TOKEN is missing: the token with which this API creates tasks",
        "PORT must be a number from 1 to 65535, not '70000'",
    ]


def test_run_one_calls_a_handler_without_a_worker() -> None:
    codeq = CodeQ("http://codeq.test", worker_token="w")
    outcome = asyncio.run(run_one(make(codeq), "GENERATE_CREATIVE", {"template": "red", "format": "tall"}))
    assert outcome.result == {"creative": "red in tall"}  # type: ignore[union-attr]  # it is completed


def test_settings_come_from_the_file_unless_the_environment_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text('# a comment\nPORT=4000\nCODEQ_BASE_URL="http://a.test"\n')
    monkeypatch.setenv("PORT", "5000")
    settings = environment(file)
    assert (settings["PORT"], settings["CODEQ_BASE_URL"]) == ("5000", "http://a.test")
    assert environment(tmp_path / "none")["PORT"] == "5000"
