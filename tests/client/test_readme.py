"""The README's snippets run, and its tests pass; types of a user's handlers are checked as it says."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codeq_client import BlockingCodeQ, CodeQ, Complete, Fail, LeaseTerms
from codeq_client.testing import run_one
from codeq_fake.testing import FakeCodeQ

REPOSITORY = Path(__file__).parents[2]
SNIPPETS = re.findall(r"```python\n(.*?)```", (REPOSITORY / "client" / "README.md").read_text(), re.DOTALL)


def snippet(part: str) -> str:
    found: str
    (found,) = [snippet for snippet in SNIPPETS if part in snippet]
    return found


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeCodeQ:
    fake = FakeCodeQ(clock="real")
    for name in ("PRODUCER", "WORKER", "ADMIN"):
        monkeypatch.setenv(f"CODEQ_{name}_TOKEN", "dev-token")
    return fake


def test_the_producers_snippets_create_tasks(
    server: FakeCodeQ, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with server, server.serve():
        monkeypatch.setenv("CODEQ_BASE_URL", server.url)
        exec(snippet("create_batch"), {})  # noqa: S102  # our own README
        names: dict[str, object] = {"__name__": "readme"}
        exec(snippet("import asyncio\n\nfrom codeq_client import CodeQ\n"), names)  # noqa: S102
        assert "main" in names
        assert len(server.tasks(command="GENERATE_MASTER")) == 250
    assert capsys.readouterr().out == "250 created, 0 refused\n"


def test_the_workers_snippet_is_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEQ_BASE_URL", "http://codeq.test")
    monkeypatch.setenv("CODEQ_WORKER_TOKEN", "w")
    module = type(sys)("readme_worker")
    monkeypatch.setitem(sys.modules, "readme_worker", module)
    exec(snippet('@worker.handler("GENERATE_MASTER"'), module.__dict__)  # noqa: S102  # our own README
    outcome = asyncio.run(run_one(module.worker, "GENERATE_MASTER", {"jobId": "42"}))
    assert isinstance(outcome, Complete)
    assert outcome.result.url == "https://masters.example.com/42"
    assert isinstance(asyncio.run(run_one(module.worker, "GENERATE_MASTER", {"jobId": ""})), Fail)


def test_the_receivers_snippet_is_an_application() -> None:
    names: dict[str, object] = {}
    exec(snippet("WebhookReceiver("), names)  # noqa: S102  # our own README
    assert callable(names["app"])


@pytest.mark.parametrize("name", ["test_double", "test_a_long_task_keeps_its_lease"])
def test_the_snippets_that_are_tests_pass(name: str) -> None:
    names: dict[str, object] = {}
    exec(snippet(f"def {name}"), names)  # noqa: S102  # our own README
    test = names[name]
    assert callable(test)
    test()


def test_what_the_readme_names_is_there() -> None:
    text = (REPOSITORY / "client" / "README.md").read_text()
    table = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    for name in re.findall(r"`(\w+)`", " ".join(table)):
        assert hasattr(CodeQ, name)
        assert hasattr(BlockingCodeQ, name)
    assert LeaseTerms(60, store="redis", max_runtime=600, stall=60).seconds == 60


TYPED = """
from __future__ import annotations

from dataclasses import dataclass

from codeq_client import CodeQ, Job, Record, Retry, Task, TaskContext, Worker


@dataclass
class Order:
    number: int


@dataclass
class Master:
    url: str


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


async def use() -> None:
    created: Task = await codeq.create("A", Order(1))
    master: Master = await codeq.wait_for_result(created.id, kind=Master)
    record: Record = await codeq.complete(created, master)
    print(record.result_as(Master).url)
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
"""


def test_a_users_typed_handlers_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "handlers.py"
    file.write_text(TYPED + WRONG)
    options = ["--strict", "--config-file", "", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    first_wrong_line = TYPED.count("\n")
    assert all(int(line.split(":")[1]) > first_wrong_line for line in errors), errors
    assert len(errors) == 4, errors
