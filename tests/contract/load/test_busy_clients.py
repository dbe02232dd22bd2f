"""Busy clients create, claim and complete as fast as the server answers, in one process or several."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from codeq_contract.checker import Validity, check_file
from codeq_contract.cli import main
from codeq_contract.driver import Reply
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.plain_connection import PlainConnection
from codeq_contract.load.actors import Actor, TaskLog
from codeq_contract.load.busy_clients import BusyClients, BusyProcess
from codeq_contract.load.real_time import RealTimeScheduler
from codeq_contract.recorder import Tape
from codeq_contract.recordings.files import read_recording
from codeq_fake.testing import FakeCodeQ

TOKENS = {"producer": "dev-token", "worker": "dev-token"}
TOKEN_OPTIONS = [f"--{name}-token={token}" for name, token in TOKENS.items()]


@pytest.mark.port
@pytest.mark.parametrize(
    ("batch", "paths"), [(1, {"/tasks": 40, "/claim": 40}), (12, {"/batch": 4, "/claim/batch": 8})]
)
def test_a_busy_client_completes_what_it_creates(codeq_server: FakeCodeQ, batch: int, paths: dict[str, int]) -> None:
    numbers, log, tape = count(), TaskLog(), Tape(RealClock().now)
    rounds = 4 if batch > 1 else 40
    clients = BusyClients("A", [("producer", "worker")], batch)
    scheduler = RealTimeScheduler(partial(PlainConnection, codeq_server.url, RealClock().now), TOKENS, tape, "")
    scheduler.run([*clients.actors(log, lambda: next(numbers) < rounds)])
    assert set(log.created) == log.with_result
    assert len(log.created) == rounds * batch
    assert not log.open
    sent = Counter(call.path.removeprefix("/v1/codeq").removeprefix("/tasks") or "/tasks" for call in tape.calls)
    assert paths.items() <= sent.items()


def busy_client() -> tuple[Actor, TaskLog]:
    log = TaskLog()
    [actor] = BusyClients("A", [("producer", "worker")], 1).actors(log, lambda: True)
    next(actor)
    return actor, log


def answered(actor: Actor, status: int, body: bytes) -> str:
    """The path of the request that follows this reply."""
    return actor.send(Reply(1, 2, status, {}, body)).request.path.rpartition("/tasks")[2]


@pytest.mark.parametrize("task", [b'{"id":"a-1","command":"A"}', b'{"command": "A", "id": "a-1"}'])
def test_a_busy_client_finds_the_task_wherever_its_id_stands(task: bytes) -> None:
    actor, log = busy_client()
    assert [answered(actor, 202, task), answered(actor, 200, task)] == ["/claim", "/a-1/result"]
    assert (answered(actor, 200, b"{}"), log.with_result, log.complete) == ("", {"a-1"}, True)


@pytest.mark.parametrize(
    ("status", "body", "complete"),
    [(0, b"", False), (202, b'{"id', False), (202, b"[]", False), (202, b"{}", False), (429, b"{}", True)],
)
def test_a_busy_client_goes_on_after_a_reply_that_names_no_task(status: int, body: bytes, complete: bool) -> None:  # noqa: FBT001 - a parameter
    actor, log = busy_client()
    assert [answered(actor, status, body), answered(actor, status, body)] == ["/claim", ""]
    assert (log.created, log.complete) == ({}, complete)


@pytest.mark.parametrize("batch", [1, 12])
@pytest.mark.parametrize(("status", "pauses"), [(0, True), (429, False)])
def test_a_busy_client_calls_a_server_that_does_not_answer_a_few_times_a_second(
    batch: int, status: int, *, pauses: bool
) -> None:
    [actor] = BusyClients("A", [("producer", "worker")], batch).actors(TaskLog(), lambda: True)
    first, reply = next(actor), Reply(1, 2, status, {}, b"{}")
    claim, again = actor.send(reply), actor.send(reply)
    assert (again.request.path, first.pause, claim.pause) == (first.request.path, 0, 0)
    assert (again.pause > 0.1) is pauses


@pytest.mark.process
@pytest.mark.port
@pytest.mark.slow(seconds=15)
def test_the_calls_of_several_processes_are_one_history(codeq_server: FakeCodeQ, tmp_path: Path) -> None:
    out = tmp_path / "history.jsonl"
    sizes = ["--tasks=6", "--producers=1", "--workers=1", "--seconds=1", "--busy=4", "--processes=2", "--batch=3"]
    arguments = ["load", "--target=url", f"--url={codeq_server.url}", "--out", str(out), *TOKEN_OPTIONS, *sizes]
    ran = CliRunner().invoke(main, arguments)
    assert ran.exit_code == 0, ran.output
    calls = read_recording(out).calls
    assert len({call.number for call in calls}) == len(calls)
    clients = {
        json.loads(call.body or "")["tasks"][0]["command"] for call in calls if call.path.endswith("/tasks/batch")
    }
    assert len(clients) == 1, "all clients share a queue"
    report = check_file(out)
    assert report.validity is Validity.VALID, report.violations
    assert f"{report.calls} calls" in ran.output


@pytest.mark.process
@pytest.mark.port
def test_no_history_is_written_without_the_calls_of_a_process_that_was_killed(
    codeq_server: FakeCodeQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In such a history tasks are delivered that no one created."""
    monkeypatch.setattr(BusyProcess, "begin", lambda self, _: self._process.kill())
    out = tmp_path / "history.jsonl"
    sizes = ["--tasks=6", "--producers=1", "--workers=1", "--seconds=1", "--busy=2", "--processes=2"]
    ran = CliRunner().invoke(
        main, ["load", "--target=url", f"--url={codeq_server.url}", "--out", str(out), *TOKEN_OPTIONS, *sizes]
    )
    assert (ran.exit_code, out.exists()) == (2, False), ran.output
    assert "a process of busy clients was ended" in ran.output


def test_busy_clients_need_real_time(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["load", "--busy=1", "--out", str(tmp_path / "history.jsonl")])
    assert ran.exit_code == 2
    assert "--busy needs a target in real time" in ran.output
