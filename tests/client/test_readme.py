"""The README's snippets run, its tests pass, and type checkers check a user's handlers."""

from __future__ import annotations

import asyncio
import os
import re
import runpy
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from codeq_client import BlockingCodeQ, CodeQ, Complete, Fail, LeaseTerms, Retry, worker_cli
from codeq_client.health import HealthServer
from codeq_client.testing import run_one
from codeq_fake.testing import FakeCodeQ
from tests.client.programs import wait_until
from tests.docs.support import write_typed_examples
from tests.inner_pytest import plugin_options

pytestmark = pytest.mark.process

REPOSITORY = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("codeq-worker")
SNIPPETS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "client" / "README.md").read_text(), re.DOTALL)


def snippet(part: str) -> str:
    found: str
    (found,) = [snippet for snippet in SNIPPETS if part in snippet]
    return found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCodeQ]:
    """A server that the environment variables point to."""
    with FakeCodeQ(clock="real") as fake, fake.serve():
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The worker's snippet, as the file that the README names."""
    file = tmp_path / "app.py"
    file.write_text(snippet('@worker.handler("GENERATE_MASTER"'))
    return file


def test_the_blocking_snippet_creates_a_batch(server: FakeCodeQ, capsys: pytest.CaptureFixture[str]) -> None:
    exec(snippet("create_batch"), {})  # noqa: S102 - our own README
    assert len(server.tasks(command="GENERATE_MASTER")) == 250
    assert capsys.readouterr().out == "250 created, 0 refused\n"


def test_the_workers_snippet_handles_the_task_of_the_producers_snippet(server: FakeCodeQ, app: Path) -> None:
    producer = app.with_name("producer.py")
    producer.write_text(snippet("import asyncio\n\nfrom codeq_client import CodeQ\n"))
    check = subprocess.run([COMMAND, "check"], capture_output=True, text=True, check=True)
    assert check.stdout.startswith(f"{server.url} answered in ")
    with subprocess.Popen([sys.executable, producer], stdout=subprocess.PIPE, text=True) as producing:
        wait_until(lambda: bool(server.tasks()), 20)
        subprocess.run([COMMAND, "run", "app:worker", "--burst"], cwd=app.parent, stderr=subprocess.DEVNULL, check=True)
        printed, _ = producing.communicate(timeout=20)
    assert printed == "{'url': 'https://masters.example.com/42'}\n"


def test_the_workers_snippet_fails_and_retries_as_its_comments_say(server: FakeCodeQ, app: Path) -> None:
    assert server.url
    module = runpy.run_path(str(app))
    outcome = asyncio.run(run_one(module["worker"], "GENERATE_MASTER", {"jobId": "42"}))
    assert isinstance(outcome, Complete)
    assert outcome.result.url == "https://masters.example.com/42"
    failed = asyncio.run(run_one(module["worker"], "GENERATE_MASTER", {"jobId": ""}))
    assert isinstance(failed, Fail)
    assert failed.error == "there is no job"
    again = asyncio.run(run_one(module["worker"], "GENERATE_MASTER", {"jobId": "busy"}))
    assert isinstance(again, Retry)
    assert (again.delay, again.reason) == (30, "the studio is busy")


def test_the_documented_options_exist() -> None:
    text = (REPOSITORY / "client" / "README.md").read_text()
    shown = CliRunner().invoke(worker_cli.main, ["run", "--help"]).output
    options = set(re.findall(r"`(--[a-z-]+)", text))
    assert {"--health-port", "--log", "--burst", "--reload", "--concurrency", "--grace"} <= options
    assert all(option in shown for option in options)


def test_the_snippet_of_the_extras_makes_a_worker(server: FakeCodeQ) -> None:
    assert server.url
    names: dict[str, object] = {}
    exec(snippet("HealthServer(worker").replace("8081", "0"), names)  # noqa: S102 - our own README
    probes = names["probes"]
    assert isinstance(probes, HealthServer)
    with probes, urllib.request.urlopen(f"http://127.0.0.1:{probes.port}/live", timeout=5) as reply:
        assert reply.status == 200


def test_the_receivers_snippet_receives_a_result(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(snippet("WebhookReceiver("), names)  # noqa: S102 - our own README
    secret = {"WEBHOOK_HMAC_SECRET": "the server's WEBHOOK_HMAC_SECRET"}
    with FakeCodeQ(clock="real", settings=secret, webhooks={"http://app.test": names["app"]}) as fake, fake.serve():
        task = fake.enqueue("X", {}, webhook="http://app.test/webhooks/codeq/")
        with BlockingCodeQ.from_env(fake.env) as codeq:
            assert codeq.claim(["X"])
            codeq.complete(task.id, {"n": 1})
        wait_until(lambda: [callback["state"] for callback in fake.callbacks] == ["delivered"], 10)
    assert capsys.readouterr().out == f"{task.id} COMPLETED {{'n': 1}}\n"


@pytest.mark.parametrize("name", ["test_double", "test_a_long_task_survives_an_outage"])
def test_the_snippets_that_are_tests_pass(name: str, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(snippet(f"def {name}"))
    pytester.runpytest_subprocess(*plugin_options()).assert_outcomes(passed=1)


def test_the_documented_methods_exist() -> None:
    text = (REPOSITORY / "client" / "README.md").read_text()
    table = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", " ".join(table)):
        assert hasattr(CodeQ, name)
        assert hasattr(BlockingCodeQ, name)
    assert LeaseTerms(60, store="redis", max_runtime=600, stall=60).seconds == 60


TYPED = """
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

from codeq_client import (
    BlockingCodeQ, CodeQ, Command, Complete, Event, Fail, Job, Next, Outcome, Record, Registry, Retry, Settled, Task,
    TaskContext, TaskEnded, Worker,
)
from codeq_client.testing import run_one


@dataclass
class Order:
    number: int


@dataclass
class Master:
    url: str


class Size(TypedDict):
    width: int


codeq = CodeQ("http://localhost:8080", worker_token="w")
worker = Worker(codeq)


@worker.handler("A", payload=Order, result=Master)
async def full(job: Job[Order], task: TaskContext) -> Master | Retry:
    return Master(str(job.payload.number + task.remaining()))


@worker.handler("B", result=Master, permanent=(ValueError,), backoff=lambda task: 2.0 * task.attempts)
def plain(job: Job[dict[str, int]]) -> Master:
    return Master(str(job.payload["n"]))


@worker.handler("C")
async def loose(job: Job[object]) -> list[str]:
    return [job.id]


@worker.handler("U", payload=Order | None, result=str | None, permanent=ValueError)
async def union(job: Job[Order | None]) -> str | None:
    return str(job.payload.number) if job.payload else None


MASTER = Command("MASTER", payload=Order, result=Master)
SIZE = Command("SIZE", payload=Size, result=int)
registry = Registry()
worker.include(registry)


@registry.handler(MASTER)
async def master(job: Job[Order]) -> Master:
    return Master(str(job.payload.number))


@registry.handler(SIZE, permanent=ValueError)
def size(job: Job[Size]) -> int:
    return job.payload["width"]


@worker.middleware
async def around(job: Job[Any], task: TaskContext, call_next: Next) -> Any:
    return await call_next(job, task)


def watch(event: Event) -> None:
    match event:
        case TaskEnded(task=task, settled=Settled.LOST, loss=loss):
            print(task.id, loss)
        case _:
            pass


worker.hooks.append(watch)


def block() -> Master:
    with BlockingCodeQ.from_env() as blocking:
        return blocking.wait_for_result("x", 5, kind=Master)


async def use() -> None:
    created: Task = await codeq.create("A", Order(1))
    await codeq.create(MASTER, Order(1), priority=9)
    await codeq.create_batch([MASTER.task(Order(1)), SIZE.task({"width": 3}, delay=1)])
    wide: int = await codeq.wait_for_result(created.id, kind=SIZE.result)
    master: Master = await codeq.wait_for_result(created.id, kind=Master)
    perhaps: Master | None = await codeq.wait_for_result(created.id, kind=Master | None)
    record: Record = await codeq.complete(created, master)
    print(record.result_as(Master).url)
    said: Complete | Outcome = await run_one(plain, {"n": 1})
"""
WRONG = """

@worker.handler("D", payload=Order, result=Master)
async def wrong_result(job: Job[Order]) -> str:
    return ""


@worker.handler("E", payload=Order)
async def wrong_payload(job: Job[Master]) -> None:
    return None


async def misuse() -> None:
    await codeq.create("A", {}, priority="high")
    number: int = await codeq.wait_for_result("x", kind=Master)
    await codeq.create(MASTER, {"number": 1})
    MASTER.task(Master(""))
    SIZE.task({"width": "3"})


@registry.handler(MASTER)
async def wrong_command(job: Job[Order]) -> str:
    return ""
"""


def test_mypy_checks_a_users_typed_handlers_and_the_examples_of_the_pages_in_its_strict_mode(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    write_typed_examples(folder)
    (folder / "handlers.py").write_text(TYPED + WRONG)
    # What the types' check of this project has read is in its cache, and its settings are stricter than `--strict`.
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(folder)]
    environment = {**os.environ, "MYPYPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, check=False)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    first_wrong_line = TYPED.count("\n")
    # The cache keeps the messages of the run that first read a file, with the folder of that run.
    wrong = [line for line in errors if "/handlers.py:" in line and int(line.split(":")[1]) > first_wrong_line]
    assert errors == wrong
    assert len(errors) == 8, errors
