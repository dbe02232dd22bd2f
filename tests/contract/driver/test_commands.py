"""Servers that the suite starts as programs: what they are given, what is wrong with some, and that they end."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from codeq_contract.driver import Setup, UnsupportedError, processes
from codeq_contract.driver.commands import Command
from codeq_contract.driver.processes import Program
from codeq_contract.driver.servers import NotRunError, Served
from codeq_contract.driver.store_processes import StoreAddress, StoreProgram
from codeq_contract.driver.targets import InProcessTarget
from codeq_contract.suite.case_context import CaseContext
from codeq_fake.testing import FakeCodeQ
from tests.contract.suite.support import run_suite

FAKE = str(Path(sys.executable).with_name("codeq-fake"))

#: A server that answers every request with its environment.
SERVER = f"""#!{sys.executable}
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

print("listening", flush=True)
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

#: A store that says of itself what its first argument contains.
STORE = f"""#!{sys.executable}
import os, socketserver, sys

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while (line := self.rfile.readline().strip()) not in (b"", b"QUIT"):
            if line == b"INFO server":
                self.wfile.write(b"$9\\r\\n# Server\\r\\n" + sys.argv[1].encode() + b"\\r\\n\\r\\n")

port = int(sys.argv[sys.argv.index("--port") + 1])
print("Ready", flush=True)
socketserver.TCPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def program(folder: Path, text: str, name: str = "server") -> str:
    file = folder / name
    file.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


def store(folder: Path, says: str = "redis_version:7.2.1") -> StoreProgram:
    return StoreProgram(Program.of(f"{program(folder, STORE, 'store')} {says}", "--store"))


def environment_of(served: Served) -> dict[str, str]:
    found: dict[str, str] = httpx.get(served.url, trust_env=False).json()
    return found


def have_ended(pids: Path) -> bool:
    """Whether each process that wrote its id into the file is over, or will be within seconds."""
    return all(map(has_ended, map(int, pids.read_text().split())))


def has_ended(pid: int) -> bool:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended, _, _ = select.select([process], [], [], 5)
    os.close(process)
    return bool(ended)


@pytest.mark.process
def test_a_server_gets_its_settings_and_nothing_else_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKOFF_POLICY", "of the user")
    monkeypatch.setenv("GOCOVERDIR", "/coverage")
    command = Command(Program.of(program(tmp_path, SERVER), "--server"), store(tmp_path))
    with command.serve(Setup({"MAX_ATTEMPTS_DEFAULT": "3"}, yaml="env: prod")) as served:
        given = environment_of(served)
        assert Path(given["CODEQ_CONFIG_PATH"]).read_text() == "env: prod"
        assert (served.profile, served.about["store"]) == ("redis", "Redis 7.2.1")
        assert {name: log.splitlines()[0] for name, log in served.logs().items()} == {
            "server": "listening",
            "store": "Ready",
        }
    assert (given["MAX_ATTEMPTS_DEFAULT"], given["GOCOVERDIR"]) == ("3", "/coverage")
    assert given["REDIS_ADDR"].startswith("127.0.0.1:")
    assert "BACKOFF_POLICY" not in given
    assert not Path(given["LOCAL_ARTIFACTS_DIR"]).parent.exists()


@pytest.mark.process
@pytest.mark.parametrize(
    ("says", "profile"),
    [
        ("redis_version:6.2.0", "redis"),
        ("kvrocks_version:2.8.0", "kvrocks-2.8"),
        ("version:2.10.1", "kvrocks-2.9"),
    ],
)
def test_the_profile_is_that_of_the_store(tmp_path: Path, says: str, profile: str) -> None:
    with store(tmp_path, says).serve(tmp_path) as served:
        assert served.profile == profile


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("./nowhere", "--server ./nowhere: there is no such file; give the path of the program"),
        ("nowhere-at-all", "--server nowhere-at-all: no folder of PATH has it; give the path of the program"),
        ("'", "--server ': No closing quotation"),
        ("FOLDER", "it is not a file"),
        ("FOLDER/plain", "FOLDER/plain: it is not executable; `chmod +x FOLDER/plain` changes that"),
    ],
)
def test_what_is_no_program_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "plain").write_text("no program")
    with pytest.raises(NotRunError) as refused:
        Program.of(text.replace("FOLDER", str(tmp_path)), "--server")
    assert reason.replace("FOLDER", str(tmp_path)) in str(refused.value)


@pytest.mark.process
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo no database; exit 7", "it ended at once, with exit code 7\nno database"),
        ("exit 7", "it ended at once, with exit code 7\nIt printed nothing."),
        ("echo listen: address already in use; exit 1", "it ended at once, since its port is taken; it must listen"),
        ("echo slow; exec sleep 60", "in time; it must listen on the port in the variable PORT\nslow"),
        ("#!/no/interpreter", "it cannot be started: No such file or directory"),
    ],
)
def test_a_server_that_cannot_be_used_is_told_with_the_end_of_its_log(tmp_path: Path, text: str, reason: str) -> None:
    command = Command(Program.of(program(tmp_path, text), "--server"), patience=0.5)
    with pytest.raises(NotRunError) as refused:
        command.serve(Setup()).__enter__()
    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"--server {tmp_path}/server: ")


@pytest.mark.process
def test_a_port_that_someone_takes_first_costs_only_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    with socket.socket() as taken:
        taken.bind(("", 0))
        ports = iter([taken.getsockname()[1], port])
        monkeypatch.setattr(processes, "free_port", lambda: next(ports))
        with Command(Program.of(program(tmp_path, SERVER), "--server")).serve(Setup()) as served:
            assert environment_of(served)


@pytest.mark.process
def test_programs_that_start_at_the_same_time_have_different_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine may offer a port again before the first program listens on it."""
    offered = iter([1, 1, 2])
    listener = SimpleNamespace(getsockname=lambda: ("", next(offered)))
    monkeypatch.setattr(socket, "create_server", lambda _: nullcontext(listener))
    sleeping = Program.of(program(tmp_path, "exec sleep 60"), "--server")
    launch = processes.Launch(sleeping, tmp_path, answers=lambda _: True, remedy="")
    with processes.running(launch) as one, processes.running(launch) as other:
        assert (one.port, other.port) == (1, 2)


@pytest.mark.port
def test_a_store_that_does_not_answer_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NotRunError) as refused:
        StoreAddress("127.0.0.1:1").serve(tmp_path).__enter__()
    for text in ("--store-addr 127.0.0.1:1: no store answers: ", "Connection refused", "--store redis-server"):
        assert text in str(refused.value)


@pytest.mark.port
def test_a_server_that_is_no_store_is_no_store(codeq_server: FakeCodeQ, tmp_path: Path) -> None:
    address = codeq_server.url.removeprefix("http://")
    with pytest.raises(NotRunError, match=r"no store answers: HTTP/1\.1 400 Bad Request"):
        StoreAddress(address).serve(tmp_path).__enter__()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[str]:
    """A server with a child. Both write down their ids, and neither ends on SIGTERM."""
    pids = tmp_path / "pids"
    yield program(tmp_path, f"trap '' TERM; sleep 60 & echo $$ $! >>{pids}; {FAKE} serve --no-control", "family")
    for pid in map(int, pids.read_text().split()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.process
def test_a_server_ends_with_its_children(tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.1)
    with pytest.raises(KeyError), Command(Program.of(family, "--server")).serve(Setup()):
        raise KeyError
    assert have_ended(tmp_path / "pids")


@pytest.mark.process
@pytest.mark.slow(seconds=6)
def test_a_signal_to_the_suite_ends_the_server_its_children_and_its_store(tmp_path: Path, family: str) -> None:
    tell = program(tmp_path, f'echo $$ >>{tmp_path}/pids; exec "$@"', "tell")
    stored = f"{tell} {program(tmp_path, STORE, 'store')} redis_version:7.0.0"
    options = ["--server", family, "--store", stored, "--report", str(tmp_path)]
    command = [
        str(Path(sys.executable).with_name("codeq-contract")),
        "run",
        "--target",
        "command",
        "--level",
        "timed",
        *options,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("target command: server family (sha256 ")
        running.terminate()
        running.communicate(timeout=60)
    assert running.returncode == 3
    assert have_ended(tmp_path / "pids")


@pytest.mark.process
@pytest.mark.slow(seconds=5)
def test_the_suite_runs_on_a_program_with_its_settings_tokens_and_webhook(tmp_path: Path) -> None:
    stored = f"{program(tmp_path, STORE, 'store')} kvrocks_version:2.9.0"
    chosen = ("--server", f"{FAKE} serve --no-control", "--store", stored, "--fact", "W1.1,L1.2")
    run = run_suite(tmp_path, "--target", "command", *chosen)
    assert run.code == 3, run.output
    assert {case.verdict for case in run.report.cases if case.reason != "not selected"} == {"pass"}
    assert (run.report.about["store"], run.report.about["store profile"]) == ("KVRocks 2.9.0", "kvrocks-2.9")


@pytest.mark.process
@pytest.mark.slow(seconds=5)
def test_a_failure_is_exit_1_with_the_ends_of_both_logs(tmp_path: Path) -> None:
    (tmp_path / "known.yaml").write_text("- {clause: C1, why: so that it fails for passing}\n")
    stored = f"{program(tmp_path, STORE, 'store')} redis_version:7.0.0"
    chosen = ("--server", f"{FAKE} serve --no-control", "--store", stored, "--known", str(tmp_path / "known.yaml"))
    run = run_suite(tmp_path, "--target", "command", *chosen, "-k", "test_a_new_task_is_pending")
    assert run.code == 1, run.output
    assert "http://127.0.0.1:" in run.report.logs["server"]
    assert run.report.logs["store"].splitlines()[0] == "Ready"


def test_the_tasks_of_others_in_a_shared_store_are_not_deleted() -> None:
    with InProcessTarget("redis").start(Setup()) as driver:
        contract = CaseContext(replace(driver, features=driver.features - {"clean_up"}))
        with pytest.raises(UnsupportedError, match="the target has no clean_up: tasks of others"):
            contract.admin.clean_up(before="2000-01-01T00:00:00Z")
        assert contract.anonymous.clean_up().status == contract.producer.clean_up().status == 401
