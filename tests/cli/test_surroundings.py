"""The command in odd surroundings: output that is not read, and signals that end a session."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from codeq_fake.serving.server import listen
from tests.cli.support import COMMAND, Served, environment, serving
from tests.surroundings import full_pipe

TASKS = "/v1/codeq/tasks"
#: As long as an end may take on a busy machine.
SOON = 8


def unread_pipe() -> int:
    """The writing end of a full pipe, whose reading end stays open."""
    _, writer = full_pipe()
    return writer


def closed_pipe() -> int:
    """The writing end of a pipe whose reading end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@contextmanager
def serving_with_errors_to(output: int, *arguments: str, **variables: str) -> Iterator[Served]:
    command = [*COMMAND, "serve", "--port", "0", "--json", *arguments]
    environ = environment(**variables)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=output, text=True, env=environ) as process:
        try:
            yield Served(process)
        finally:
            process.kill()


@pytest.mark.process
@pytest.mark.parametrize("output", [unread_pipe, closed_pipe])
@pytest.mark.parametrize("log", ["json", "none"])
def test_a_log_that_nobody_reads_neither_stops_nor_breaks_the_server(output: Callable[[], int], log: str) -> None:
    with listen("127.0.0.1", 0) as closed:
        webhook = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    settings = {"RESULT_WEBHOOK_MAX_ATTEMPTS": "3"}
    with serving_with_errors_to(output(), "--clock", "manual", "--log", log, **settings) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        for _ in range(3):
            with socket.create_connection(address, timeout=5) as client:
                client.sendall(b"nonsense\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 400 ")
        task = server.post(TASKS, {"command": "A", "payload": 1, "webhook": webhook}).json()["id"]
        server.post(f"{TASKS}/claim", {"commands": ["A"]})
        server.post(f"{TASKS}/{task}/result", {"status": "COMPLETED", "result": {}})
        server.post("/_fake/clock/advance", {"seconds": 60})
        [callback] = server.get("/_fake/callbacks").json()["callbacks"]
        assert len(callback["tries"]) == 3
        server.process.terminate()
        assert server.process.wait(SOON) == 0


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_the_state_is_kept_at_every_signal_that_ends_a_session(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "state.json"
    with serving("--json", "--persist", str(file)) as server:
        task = server.post(TASKS, {"command": "A", "payload": 1}).json()["id"]
        assert server.stop(number) == (0, "")
    assert task in file.read_text(encoding="utf-8")


@pytest.mark.process
def test_nohup_keeps_a_server_alive_when_the_session_ends() -> None:
    command = ["nohup", *COMMAND, "serve", "--port", "0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        server = Served(process)
        process.send_signal(signal.SIGHUP)
        assert server.get("/metrics").status_code == 200
        assert server.stop() == (0, "")


COMMAND_OF_RUN = """
import os, signal, sys, time
count = 0
def end(number, frame):
    global count
    count += 1
    print("signal", number, flush=True)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, end)
print("ready", flush=True)
while not count:
    time.sleep(0.01)  # a signal just before `signal.pause()` would not end it
time.sleep(0.5)  # it has something to finish
sys.exit(10 + count)
"""


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_the_group", [False, True], ids=["the process", "its group"])
def test_the_command_of_run_gets_a_signal_once_and_its_exit_code_is_passed_on(
    number: signal.Signals, *, to_the_group: bool
) -> None:
    command = [*COMMAND, "run", "--", sys.executable, "-c", COMMAND_OF_RUN]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        (os.killpg if to_the_group else os.kill)(process.pid, number)
        said, errors = process.communicate(timeout=SOON)
    assert (process.returncode, said, errors) == (11, f"signal {int(number)}\n", "")


# All three commands.

HERE = Path(sys.executable).parent
#: Each with its exit code where nothing is odd.
COMMANDS = (
    (3, "codeq-fake run -- sh -c 'exit 3'"),
    (1, "codeq-worker check"),
    (3, "codeq-contract run -k replacement_character"),
)
#: What the shell does to a command, and whether its output is lost, which may be an error.
SURROUNDINGS = {
    "no streams": ("{} <&- >&- 2>&-", False),
    "a full disk": ("{} >/dev/full", True),
    "a closed pipe": ("{{ {}; echo $? >code; }} | true; exit $(cat code)", True),
    "ascii, tiny, dumb, no home": ("unset HOME; PYTHONIOENCODING=ascii COLUMNS=1 TERM=dumb NO_COLOR=1 {}", False),
}


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_no_command_prints_a_traceback_in_odd_surroundings(tmp_path: Path, surroundings: str) -> None:
    template, is_lost = SURROUNDINGS[surroundings]
    environ = environment(CODEQ_BASE_URL="http://127.0.0.1:1", CODEQ_WORKER_TOKEN="w", CODEQ_CONTRACT_TARGET="asgi")
    for code, command in COMMANDS:
        done = subprocess.run(
            ["sh", "-c", template.format(f"{HERE}/{command}")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environ,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        assert not re.search("Traceback|Exception ignored|INTERNALERROR", said), said
        assert done.returncode in ({code, 1, 2} if is_lost else {code}), (command, said)
