"""The command `codeq-worker`: run, check, and log lines."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from codeq_client import (
    CodeQ,
    Task,
    Worker,
    current_task,
    health,
    worker_cli,
)
from codeq_client._worker.log_output import JsonLines, TextLines
from codeq_client.health import HealthServer
from codeq_fake.testing import FakeCodeQ
from tests.client.programs import program, wait_until
from tests.client.support import CLAIMS, IDENTITIES
from tests.surroundings import interrupted_at_import

APP = """
import asyncio
from codeq_client import CodeQ, Worker

codeq = CodeQ.from_env()
worker = Worker(codeq, poll=1)
nothing = 3

async def make_later():
    return worker

@worker.handler("X")
async def work(job):
    return job.payload

@worker.handler("LOOP")
async def loop(job):
    return type(asyncio.get_running_loop()).__module__
"""


HANDLERS = """
from codeq_client import Registry
from codeq_client.schedules import Schedule

schedules = [Schedule(name="often", command="X", every=1)]

registry = Registry()

@registry.handler("X")
async def work(job):
    return job.payload

@registry.handler("Y")
async def other(job):
    return job.payload

def make():
    return registry
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_app.py").write_text(APP)
    (tmp_path / "some_handlers.py").write_text(HANDLERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "some_app", raising=False)
    monkeypatch.delitem(sys.modules, "some_handlers", raising=False)
    return tmp_path


def invoke(*arguments: str, **environ: str) -> tuple[int, str]:
    handlers, level = list(logging.root.handlers), logging.root.level
    try:
        result = CliRunner().invoke(worker_cli.main, arguments, env=environ)
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


@pytest.mark.port
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("has_uvloop", [True, False])
def test_the_command_runs_on_uvloop_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, *, has_uvloop: bool) -> None:
    if has_uvloop:
        pytest.importorskip("uvloop")
    else:
        monkeypatch.setitem(sys.modules, "uvloop", None)
    with FakeCodeQ(clock="real") as fake, fake.serve():
        task = fake.enqueue("LOOP", {})
        environ = {"CODEQ_BASE_URL": fake.url, "CODEQ_WORKER_TOKEN": "dev-token"}
        assert invoke("run", "some_app:worker", "--burst", **environ)[0] == 0
        assert fake.task(task.id).result == {"$value": "uvloop" if has_uvloop else "asyncio.unix_events"}


@pytest.mark.port
@pytest.mark.usefixtures("folder")
def test_the_command_runs_the_chosen_handlers_of_a_registry() -> None:
    with FakeCodeQ(clock="real") as fake, fake.serve():
        environ = {"CODEQ_BASE_URL": fake.url, "CODEQ_WORKER_TOKEN": "dev-token"}
        tasks = [fake.enqueue(command, {}) for command in ("X", "Y")]
        assert invoke("run", "some_handlers:registry", "--command", "y", "--burst", **environ)[0] == 0
        assert [fake.task(task.id).status for task in tasks] == ["PENDING", "COMPLETED"]
        assert invoke("run", "some_handlers:make", "--burst", **environ)[0] == 0
        assert fake.task(tasks[0].id).status == "COMPLETED"
        code, output = invoke("run", "some_handlers:registry", "--command", "Z", **environ)
        assert (code, output) == (1, "Error: there is no handler for 'Z', only for: X, Y\n")


@pytest.mark.process
@pytest.mark.port
def test_the_command_creates_the_tasks_of_schedules_until_a_signal(folder: Path) -> None:
    with FakeCodeQ(clock="real") as fake, fake.serve():
        command = [sys.executable, "-m", "codeq_worker", "schedule", "some_handlers:schedules", "--delay", "0"]
        with program(command, cwd=folder, env={**os.environ, **fake.env}) as process:
            wait_until(lambda: len(fake.tasks(command="X")) >= 2, 30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@pytest.mark.usefixtures("folder")
def test_the_command_refuses_what_is_no_list_of_schedules() -> None:
    code, output = invoke("schedule", "some_handlers:registry", CODEQ_BASE_URL="http://a.test")
    assert code == 1
    assert "a scheduler needs a list of schedules, not <" in output


@pytest.mark.usefixtures("folder")
def test_the_command_says_how_far_back_schedules_reach() -> None:
    arguments = ["schedule", "some_handlers:schedules", "--catch-up", "90000"]
    code, output = invoke(*arguments, CODEQ_BASE_URL="http://a.test", CODEQ_PRODUCER_TOKEN="p")
    assert (code, output) == (1, "Error: catch_up can be at most 82800 s: the server forgets keys\n")


@pytest.mark.usefixtures("folder")
def test_a_module_with_a_registry_needs_no_settings_until_it_is_run() -> None:
    code, output = invoke("run", "some_handlers:registry", CODEQ_BASE_URL="")
    assert (code, output) == (1, "Error: CODEQ_BASE_URL is not set; an example: http://localhost:8080\n")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("some_app", "does not have the form MODULE:OBJECT"),
        ("missing_app:worker", "there is no module 'missing_app' in this folder"),
        ("some_app:missing", "has no attribute 'missing'"),
        ("some_app:codeq.twin", "is neither a Worker nor a Registry but a CodeQ"),
        ("some_app:nothing", "is neither a Worker nor a Registry but a int"),
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
    command = [sys.executable, "-m", "codeq_client.worker_cli", "run", "lacking_app:worker"]
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
        task = fake.enqueue("X", {}, tenant="acme")
        assert check_with(fake, "worker")[0] == 0
        code, output = check_with(fake, "producer")
        assert (code, "the server does not accept CODEQ_WORKER_TOKEN" in output) == (1, True)
        code, output = check_with(fake, "narrow")
        assert (code, output) == (
            1,
            "Error: ConfigurationError: the worker's token lacks codeq:claim, codeq:result, codeq:abandon\n",
        )
        assert fake.task(task.id).status == "PENDING", "nothing was claimed"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """The URL of a server that answers each POST like that."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.port
def test_the_check_reports_a_server_that_is_not_codeq() -> None:
    with answering(200, b"{}") as url:
        code, output = invoke("check", CODEQ_BASE_URL=url, CODEQ_WORKER_TOKEN="w")
    assert (code, "not a reply of CodeQ" in output) == (1, True)


def test_json_log_lines_carry_the_fields_of_extra_and_the_time_zone() -> None:
    fields = {"msg": "hello", "order": 7, "level": "mine", "created": 1.5, "command": "X", "name": "a"}
    record = logging.makeLogRecord(fields)
    assert json.loads(JsonLines().format(record)) == {
        "time": "1970-01-01T00:00:01.500+00:00",
        "level": record.levelname,
        "logger": "a",
        "message": "hello",
        "order": 7,
        "command": "X",
    }


class WithoutText:
    """A value whose text cannot be read."""

    def __str__(self) -> str:
        raise ValueError


def itself() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (itself(), "{'self': {...}}"),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (math.nan, "nan"),
        (WithoutText(), "(no text: ValueError)"),
    ],
    ids=["contains itself", "key", "NaN", "no text"],
)
def test_a_value_that_json_cannot_represent_costs_no_record(value: Any, shown: str) -> None:
    record = logging.makeLogRecord({"name": "a", "levelname": "INFO", "msg": "m", "odd": value, "sound": 1})
    line = json.loads(JsonLines().format(record))
    assert (line["odd"], line["sound"], line["message"]) == (shown, 1, "m")


def test_json_log_lines_carry_the_stack() -> None:
    record = logging.makeLogRecord({"msg": "m", "stack_info": "Stack (most recent call last):\n  here"})
    assert "here" in json.loads(JsonLines().format(record))["stack"]


def test_json_log_lines_carry_the_task() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "hello %s", ("you",), None)
    token = current_task.set(Task(id="t-1", command="X", status="IN_PROGRESS", attempts=3))
    try:
        line = json.loads(JsonLines().format(record))
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


def test_a_text_log_line_cannot_be_forged_and_controls_no_terminal() -> None:
    record = logging.LogRecord("a", logging.INFO, "", 0, "no\x1b[2J\n2026 INFO forged", (), None)
    assert TextLines().format(record).endswith("INFO    a: no\ufffd[2J\n    2026 INFO forged")


@pytest.mark.parametrize("formatter", [TextLines(), JsonLines()], ids=["text", "json"])
def test_a_log_line_has_the_beginning_and_the_end_of_an_enormous_text(formatter: logging.Formatter) -> None:
    error = ValueError(f"begin {'x' * 1_000_000} end")
    record = logging.LogRecord("a", logging.INFO, "", 0, "failed: %s", (error,), (ValueError, error, None))
    line = formatter.format(record)
    assert len(line) < 100_000
    assert "failed: begin xxx" in line
    assert "xxx end" in line


@pytest.mark.parametrize("token", ["é", "a\nb"])
def test_a_token_that_a_header_cannot_carry_is_refused_without_showing_it(token: str) -> None:
    code, output = invoke("check", CODEQ_BASE_URL="http://me:hidden@127.0.0.1:1", CODEQ_WORKER_TOKEN=f"secret{token}")
    assert (code, output) == (
        1,
        "Error: ConfigurationError: a token has a character that is not printable ASCII\n",
    )


@pytest.mark.port
def test_the_check_shows_neither_the_password_of_a_url_nor_escape_sequences_of_a_server() -> None:
    with answering(401, json.dumps({"error": "no\x1b[2J"}).encode()) as url:
        code, output = invoke("check", CODEQ_BASE_URL=url, CODEQ_WORKER_TOKEN="w")
    assert (code, "for a worker: no\ufffd[2J" in output) == (1, True)
    for wrong in ("ftp://me:secret@a", "http://me:secret@a:x", "me:secret@a"):
        code, output = invoke("check", CODEQ_BASE_URL=wrong, CODEQ_WORKER_TOKEN="w")
        assert (code, "secret" in output) == (1, False)
    assert "secret" not in repr(CodeQ("http://me:secret@a.test"))


@pytest.mark.process
@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("codeq_client", ("codeq-worker", "check")),
        ("httpx", ("codeq-worker", "check")),
        ("click", ("codeq", "get", "x")),
    ],
    ids=["codeq_client", "httpx", "click"],
)
def test_an_interrupt_while_the_command_is_loaded_ends_it_without_a_traceback(
    module: str, command: tuple[str, ...]
) -> None:
    done = interrupted_at_import(module, *command)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.port
def test_the_status_of_a_running_worker_is_shown() -> None:
    worker = Worker(CodeQ("http://codeq.test", worker_token="w"), concurrency=3)
    with HealthServer(worker, port=0) as probes:
        code, output = invoke("status", "--port", str(probes.port))
        shown = json.loads(invoke("status", "--port", str(probes.port), "--json")[1])
    assert (code, output) == (
        1,
        "not ready: stopped, 0 of 3 slots busy\noldest task 0.0 s, 0 stuck, no claim was answered\n",
    )
    assert (shown["ok"], shown["slots"], shown["paused"]) == (False, 3, False)
    code, output = invoke("status", "--port", str(probes.port))
    assert code == 1
    assert output.startswith(f"Error: no worker answers at http://127.0.0.1:{probes.port}/ready: ")


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("answer", ["[]", "7", "{}"])
def test_the_status_of_another_program_is_no_workers(
    monkeypatch: pytest.MonkeyPatch, options: list[str], answer: str
) -> None:
    monkeypatch.setattr(httpx, "get", lambda *_, **__: httpx.Response(200, text=answer))
    code, output = invoke("status", *options)
    assert (code, output.startswith("Error: no worker answers at http://127.0.0.1:8081/ready: ")) == (1, True)


@pytest.mark.port
@pytest.mark.usefixtures("folder")
def test_the_metrics_of_queues_need_a_health_port_and_an_administrators_client() -> None:
    environ = {"CODEQ_BASE_URL": "http://a.test", "CODEQ_WORKER_TOKEN": "w"}
    code, output = invoke("run", "some_app:worker", "--queue-metrics", **environ)
    assert (code, "--queue-metrics needs --health-port" in output) == (2, True)
    code, output = invoke("run", "some_app:worker", "--queue-metrics", "--health-port", "0", **environ)
    assert (code, "--queue-metrics needs CODEQ_ADMIN_TOKEN" in output) == (1, True)


@pytest.mark.port
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("installed", [True, False])
def test_the_health_port_of_the_command_has_metrics_where_the_library_is_installed(
    monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    served: list[bytes | None] = []
    if not installed:
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        for name in [name for name in sys.modules if name.startswith("codeq_client.metrics")]:
            monkeypatch.delitem(sys.modules, name)

    class Watched(HealthServer):
        def __init__(self, *arguments: Any, metrics: Any) -> None:
            super().__init__(*arguments, metrics=metrics)
            served.append(metrics and metrics())

    monkeypatch.setattr(health, "HealthServer", Watched)
    with FakeCodeQ(clock="real") as fake, fake.serve():
        fake.enqueue("LOOP", {}, delay=600)
        options = ["--burst", "--health-port", "0", *(["--queue-metrics"] if installed else [])]
        assert invoke("run", "some_app:worker", *options, **fake.env)[0] == 0
    (text,) = served
    assert (text is not None) == installed
    assert text is None or b'codeq_queue_tasks{command="LOOP",state="delayed"} 1.0' in text
