"""The request log: one line for each request, as text or JSON, without secrets."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.control.argument_readers import instant
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.server_settings import Settings
from codeq_fake.serving.application import application
from codeq_fake.serving.request_log import RequestLog
from tests.cli.support import run, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import ASGIApp, Message

    Traffic = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]

START = "2026-01-31T12:00:00.25Z"
ID = "6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01"
TASKS = "/v1/codeq/tasks"


def log_of(traffic: Traffic, *, as_json: bool = False, config: Config | None = None) -> list[str]:
    """The lines of the log, with all durations replaced."""
    lines: list[str] = []
    runtime = FakeServer(config or Config(), WallClock("manual", start=instant(START)))
    runtime.source.queue(ids=[ID])
    app = RequestLog(application(runtime), runtime, lines.append, as_json=as_json)
    app.log_settings()

    async def play() -> None:
        headers = {"authorization": "Bearer dev-token"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://fake", headers=headers) as http:
            await traffic(http)

    asyncio.run(play())
    return [re.sub(r"\d+\.\d ms", "0.1 ms", line) for line in lines]


async def life_of_a_task(http: httpx.AsyncClient) -> None:
    """Create, claim and heartbeat a task, send a bad result, and complete it."""
    await http.post(TASKS, json={"command": "RENDER", "payload": {"secret": "hush"}})
    await http.post(f"{TASKS}/claim?trace=hush", json={"commands": ["RENDER"]})
    await http.post(f"{TASKS}/{ID}/heartbeat", json={"extendSeconds": 600})
    await http.post(f"{TASKS}/{ID}/result", json={"status": "DONE"})
    await http.post(f"{TASKS}/{ID}/result", json={"status": "COMPLETED", "result": {"secret": "hush"}})
    await http.post(f"{TASKS}/claim", json={"commands": ["RENDER"]})


def test_a_text_line_shows_the_outcome_of_a_request() -> None:
    why = "The status of a result is neither COMPLETED nor FAILED (S1). It is IN_PROGRESS, held by you."
    assert log_of(life_of_a_task) == [
        f"12:00:00.250 POST {TASKS} 202 0.1 ms  {ID} RENDER  by producer-dev",
        f"12:00:00.250 POST {TASKS}/claim 200 0.1 ms  {ID} RENDER  by worker-dev",
        f"12:00:00.250 POST {TASKS}/{ID}/heartbeat 200 0.1 ms  RENDER  by worker-dev",
        f"12:00:00.250 POST {TASKS}/{ID}/result 400 0.1 ms  RENDER  by worker-dev  invalid status: {why}",
        f"12:00:00.250 POST {TASKS}/{ID}/result 200 0.1 ms  RENDER  by worker-dev",
        f"12:00:00.250 POST {TASKS}/claim 204 0.1 ms  by worker-dev  no RENDER for dev",
    ]


def test_a_json_line_shows_the_same() -> None:
    lines = [json.loads(line) for line in log_of(life_of_a_task, as_json=True)]
    assert all(isinstance(line.pop("ms"), float) for line in lines)
    task = {"id": ID, "command": "RENDER"}
    assert lines[0] == {
        "at": START,
        "method": "POST",
        "path": TASKS,
        "status": 202,
        "as": "producer-dev",
        "tasks": [task],
    }
    assert (lines[3]["tasks"], lines[3]["error"]) == ([task], "invalid status")
    assert lines[3]["reason"].endswith("It is IN_PROGRESS, held by you.")
    assert (lines[5]["reason"], "tasks" in lines[5]) == ("no RENDER for dev", False)


@pytest.mark.parametrize("as_json", [False, True])
def test_no_token_and_no_payload_is_in_it(as_json: bool) -> None:  # noqa: FBT001 - pytest passes it by name
    async def traffic(http: httpx.AsyncClient) -> None:
        await life_of_a_task(http)
        await http.post(f"{TASKS}/claim", headers={"authorization": "Bearer hush"})
        await http.post(f"{TASKS}/claim", headers={"authorization": "hush"})
        await http.get("/v1/codeq/nowhere?token=hush")

    lines = log_of(traffic, as_json=as_json)
    assert len(lines) == 9
    assert not any("hush" in line or "dev-token" in line for line in lines)


async def a_callback(http: httpx.AsyncClient) -> None:
    """Complete a task whose webhook fails twice."""
    hook = "http://user:hush@127.0.0.1:1/done?token=hush"
    await http.post(TASKS, json={"command": "RENDER", "payload": 1, "webhook": hook})
    await http.post(f"{TASKS}/claim", json={"commands": ["RENDER"]})
    await http.post(f"{TASKS}/{ID}/result", json={"status": "FAILED", "error": "torn"})
    await http.post("/_fake/clock/advance", json={"seconds": 2})


@pytest.mark.port
def test_each_try_of_a_callback_is_logged_without_secrets() -> None:
    lines = [line for line in log_of(a_callback) if "task_result" in line]
    tail = f"  {ID} RENDER"
    assert [line.partition(" task_result")[0] for line in lines] == ["12:00:00.250", "12:00:02.250"]
    assert all(line.partition(" to ")[2].startswith("http://127.0.0.1:1/done ") for line in lines)
    assert [line.endswith(f", try {n}{tail}") for n, line in enumerate(lines, 1)] == [True, True]
    assert not any("hush" in line for line in lines)
    one, two = (json.loads(line) for line in log_of(a_callback, as_json=True) if "task_result" in line)
    assert (one["try"], two["try"], one["task"], one["command"]) == (1, 2, ID, "RENDER")


def test_several_tasks_are_counted() -> None:
    async def traffic(http: httpx.AsyncClient) -> None:
        tasks = [{"command": "A", "payload": '{"id":"x","command":"y"'}, {"command": "\u00e4\n", "payload": 2}]
        await http.post(f"{TASKS}/batch", json={"tasks": tasks})

    assert log_of(traffic) == [f"12:00:00.250 POST {TASKS}/batch 200 0.1 ms  2 tasks  by producer-dev"]
    [line] = log_of(traffic, as_json=True)
    assert [task["command"] for task in json.loads(line)["tasks"]] == ["A", "\u00e4\n"]


def test_batches_of_claims_and_results_count_the_tasks_that_exist() -> None:
    async def traffic(http: httpx.AsyncClient) -> None:
        await http.post(f"{TASKS}/batch", json={"tasks": [{"command": "A", "payload": 1}] * 2})
        claimed = (await http.post(f"{TASKS}/claim/batch", json={"commands": ["A"], "count": 5})).json()["tasks"]
        results = [
            {"taskId": task["id"], "status": "COMPLETED", "result": {}} for task in [*claimed, {"id": "unknown"}]
        ]
        await http.post(f"{TASKS}/batch/results", json={"results": results})
        await http.post(f"{TASKS}/unknown/heartbeat", json={})

    gone = "No task has this id: it never existed, or a clean-up has deleted it (M3)."
    assert log_of(traffic)[1:] == [
        f"12:00:00.250 POST {TASKS}/claim/batch 200 0.1 ms  2 tasks  by worker-dev",
        f"12:00:00.250 POST {TASKS}/batch/results 200 0.1 ms  2 tasks  by worker-dev  item 3: {gone}",
        f"12:00:00.250 POST {TASKS}/unknown/heartbeat 500 0.1 ms  by worker-dev  not-found: {gone}",
    ]


def test_text_from_clients_starts_no_new_line() -> None:
    async def traffic(http: httpx.AsyncClient) -> None:
        await http.get("/x%0Aforged%1B[2J")
        await http.post(TASKS, json={"command": "A\nforged", "payload": 1})

    assert log_of(traffic) == [
        "12:00:00.250 GET /x\ufffdforged\ufffd[2J 404 0.1 ms  CodeQ has no such method and path (R18)",
        f"12:00:00.250 POST {TASKS} 202 0.1 ms  {ID} A\ufffdforged  by producer-dev",
    ]


def test_control_calls_that_only_read_are_not_logged() -> None:
    async def traffic(http: httpx.AsyncClient) -> None:
        await http.get("/_fake/tasks")
        await http.get("/metrics")
        await http.post("/_fake/reset")

    assert log_of(traffic) == ["12:00:00.250 POST /_fake/reset 200 0.1 ms"]


def test_the_log_needs_no_journal() -> None:
    assert log_of(life_of_a_task, config=Config(journal_size=0)) == log_of(life_of_a_task)


def test_a_surprise_is_logged_once_with_its_clause() -> None:
    async def traffic(http: httpx.AsyncClient) -> None:
        for _ in range(2):
            await http.get("/healthz")

    config = Config(settings=Settings.from_env({"TIMEZONE": "UTC"}))
    assert [line for line in log_of(traffic, config=config) if "0.1 ms" not in line] == [
        "surprise: documented: the environment may set TIMEZONE; done: it is not read from there (settings)",
        "surprise: documented: GET /healthz reports that the server runs; done: there is no such path (R18)",
    ]
    lines = [json.loads(line) for line in log_of(traffic, config=config, as_json=True)]
    assert [line["clause"] for line in lines if "surprise" in line] == ["settings", "R18"]


HEALTHZ = "surprise: documented: GET /healthz reports that the server runs; done: there is no such path (R18)"


async def _get(app: ASGIApp, path: str, *, may_send: asyncio.Event) -> None:
    """Call a path, and take no byte of the reply before `may_send` is set."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        await may_send.wait()

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [(b"host", b"localhost")]}
    await app(scope, receive, send)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, 10])
async def test_a_slow_reader_hides_no_surprise(size: int) -> None:
    """A request is numbered before its reply is sent and logged after it, so a later one may be logged first."""
    lines: list[str] = []
    runtime = FakeServer(Config(journal_size=size), WallClock("manual", start=instant(START)))
    app = RequestLog(application(runtime), runtime, lines.append, as_json=False)
    may_send, at_once = asyncio.Event(), asyncio.Event()
    at_once.set()
    slow = asyncio.create_task(_get(app, "/healthz", may_send=may_send))
    await asyncio.sleep(0)
    await _get(app, "/metrics", may_send=at_once)
    await _get(app, "/nowhere", may_send=at_once)
    may_send.set()
    await slow
    assert lines.count(HEALTHZ) == 1


@pytest.mark.asyncio
async def test_a_surprise_that_was_already_asked_for_is_logged_too() -> None:
    lines: list[str] = []
    runtime = FakeServer(Config(), WallClock("manual", start=instant(START)))
    app = RequestLog(application(runtime), runtime, lines.append, as_json=False)
    may_send = asyncio.Event()
    request = asyncio.create_task(_get(app, "/healthz", may_send=may_send))
    await asyncio.sleep(0)
    assert [surprise.rule for surprise in runtime.surprises.so_far()] == ["healthz"]
    may_send.set()
    await request
    assert lines.count(HEALTHZ) == 1


@pytest.mark.asyncio
async def test_a_request_from_before_a_reset_hides_no_surprise() -> None:
    lines: list[str] = []
    runtime = FakeServer(Config(), WallClock("manual", start=instant(START)))
    app = RequestLog(application(runtime), runtime, lines.append, as_json=False)
    may_send, at_once = asyncio.Event(), asyncio.Event()
    at_once.set()
    for _ in range(3):
        await _get(app, "/nowhere", may_send=at_once)
    before = asyncio.create_task(_get(app, "/nowhere", may_send=may_send))
    await asyncio.sleep(0)
    runtime.reset()
    may_send.set()
    await before
    await _get(app, "/healthz", may_send=at_once)
    assert lines.count(HEALTHZ) == 1


# The command.


@pytest.mark.process
def test_serve_logs_to_standard_error_if_asked() -> None:
    with serving("--log", "json", "--json", "--clock", "manual") as server:
        server.post(TASKS, {"command": "A", "payload": 1})
        code, said = server.stop()
    [line] = said.splitlines()
    assert (code, json.loads(line)["path"]) == (0, TASKS)


@pytest.mark.process
@pytest.mark.parametrize("arguments", [(), ("--log", "text", "--quiet")])
def test_serve_is_quiet_without_a_terminal_and_with_quiet(arguments: tuple[str, ...]) -> None:
    with serving(*arguments) as server:
        server.get("/nowhere")
        # A library warns of a form that is damaged.
        form = {"content-type": "multipart/form-data; boundary=x", "origin": server.url}
        httpx.post(f"{server.url}/_fake/page/create", content=b"a", headers=form, trust_env=False)
        assert server.stop() == (0, "")


@pytest.mark.process
def test_run_is_quiet_by_default() -> None:
    program = "import os, urllib.request; urllib.request.urlopen(os.environ['CODEQ_BASE_URL'] + '/_fake/reset', b'')"
    for arguments, lines in (((), 0), (("--log", "text"), 1)):
        done = run("run", *arguments, "--", "python3", "-c", program)
        assert (done.returncode, len(done.stderr.splitlines())) == (0, lines)


async def faulty_requests(http: httpx.AsyncClient) -> None:
    """A refused request, and one whose reply is lost."""
    await http.post("/_fake/faults", json={"faults": [{"do": "refuse", "nth": 1}, {"do": "drop_reply", "nth": 1}]})
    for path in (TASKS, f"{TASKS}/claim"):
        with suppress(httpx.RemoteProtocolError):
            await http.post(path, json={"command": "RENDER", "payload": 1})


def test_a_fault_is_logged_with_its_request() -> None:
    refused = "refused with 503 by a fault rule: a fault rule refuses the request"
    nothing = "no GENERATE_MASTER for dev. no GENERATE_CREATIVE for dev"
    assert log_of(faulty_requests)[1:] == [
        f"12:00:00.250 POST {TASKS} 503 0.1 ms  by producer-dev  {refused}  fault: refuse",
        f"12:00:00.250 POST {TASKS}/claim no reply 0.1 ms  by worker-dev  {nothing}  fault: drop_reply",
    ]
    lines = [json.loads(line) for line in log_of(faulty_requests, as_json=True)]
    assert [(line["status"], line.get("faults")) for line in lines] == [
        (200, None),
        (503, ["refuse"]),
        (None, ["drop_reply"]),
    ]
