"""Workers as processes against a server on a port: one is killed, one is stopped, and no task is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from codeq_client import BlockingCodeQ, NewTask, SystemClock
from codeq_fake.testing import FakeCodeQ
from tests.client.programs import REPOSITORY, program, wait_until

pytestmark = pytest.mark.process

CODEQ_WORKER = [sys.executable, "-m", "codeq_client.worker_cli"]


def run_worker(
    environ: dict[str, str], *options: str, log: str = os.devnull
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return program([*CODEQ_WORKER, "run", "tests.client.worker.app:make", *options], env=environ, log=log)


@pytest.fixture
def fake() -> Iterator[FakeCodeQ]:
    settings = {"BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "1"}
    with FakeCodeQ(clock="real", settings=settings) as fake, fake.serve():
        yield fake


@pytest.fixture
def environ(fake: FakeCodeQ, tmp_path: Path) -> dict[str, str]:
    tokens = dict.fromkeys(["CODEQ_PRODUCER_TOKEN", "CODEQ_WORKER_TOKEN", "CODEQ_ADMIN_TOKEN"], "dev-token")
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "client")])
    started = {"STARTED": str(tmp_path / "started")}
    return {**os.environ, **tokens, **started, "CODEQ_BASE_URL": fake.url, "PYTHONPATH": path}


@pytest.mark.differs_on("main/pebble", "P6")
def test_no_task_is_lost_when_one_worker_is_killed_and_another_stopped(
    fake: FakeCodeQ, environ: dict[str, str]
) -> None:
    count = 200
    with BlockingCodeQ.from_env(environ) as codeq:
        new = [NewTask(command="X", payload={"n": n, "seconds": 0.005 if n % 20 else 0.5}) for n in range(count)]
        ids = [task.id for task in codeq.create_batch(new).all()]
        started = Path(environ["STARTED"])
        with run_worker(environ) as killed, run_worker(environ) as stopped:
            wait_until(lambda: started.exists() and len(started.read_text().splitlines()) > 40, 20)
            killed.send_signal(signal.SIGKILL)
            wait_until(lambda: len(started.read_text().splitlines()) > 100, 20)
            stopped.send_signal(signal.SIGTERM)
            assert stopped.wait(15) == 0
        in_progress = [codeq.get(task_id) for task_id in ids]
        left = [task for task in in_progress if task.status == "IN_PROGRESS"]
        assert len(left) <= 4, "only the tasks of the killed worker are still leased"
        fake.advance(6)  # the leases of the killed worker end
        with run_worker(environ):
            wait_until(lambda: codeq.queue_stats("X").ready == 0, 30)
            results = [codeq.wait_for_result(task_id, 60) for task_id in ids]
        assert results == [{"n": n} for n in range(count)]


@pytest.mark.parametrize("signals", [[signal.SIGHUP, signal.SIGHUP], [signal.SIGTERM]], ids=str)
@pytest.mark.parametrize("is_read", [True, False], ids=["log", "full log"])
def test_a_worker_whose_terminal_closes_ends_its_task_first(
    environ: dict[str, str], signals: list[signal.Signals], *, is_read: bool
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while not is_read:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    with BlockingCodeQ.from_env(environ) as codeq, run_worker(environ, log=f"/dev/fd/{writer}") as process:
        task = codeq.create("X", {"n": 1, "seconds": 1})
        wait_until(Path(environ["STARTED"]).exists, 20)
        for number in signals:
            process.send_signal(number)
            SystemClock().sleep_blocking(0.1)  # two signals at once are one
        assert process.wait(15) == 0
        assert codeq.get(task.id).status == "COMPLETED"
    os.close(reader)
    os.close(writer)


def test_a_worker_in_the_lifespan_of_a_web_server_leaves_it_its_signals(
    environ: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "uvicorn", "tests.client.worker.lifespan_app:app", "--port", "0"]
    log = tmp_path / "log"
    with BlockingCodeQ.from_env(environ) as codeq, program(command, env=environ, log=log) as server:
        task = codeq.create("X", {"n": 1, "seconds": 1})
        wait_until(Path(environ["STARTED"]).exists, 20)
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) in {0, -signal.SIGTERM}
        assert codeq.get(task.id).status == "COMPLETED"
    assert "Application shutdown complete" in log.read_text()


def test_a_second_signal_ends_a_worker_at_once(environ: dict[str, str]) -> None:
    with BlockingCodeQ.from_env(environ) as codeq, run_worker(environ, "--grace", "60") as process:
        codeq.create("X", {"n": 0, "seconds": 60})
        wait_until(lambda: Path(environ["STARTED"]).exists(), 20)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 128 + signal.SIGTERM


def test_a_handler_that_blocks_the_loop_keeps_its_lease_and_is_logged(environ: dict[str, str]) -> None:
    with BlockingCodeQ.from_env(environ) as codeq:
        task = codeq.create("X", {"n": 1, "seconds": 0, "blocks": 6})
        with run_worker(environ, "--log-level", "WARNING", log=environ["STARTED"] + ".log"):
            assert codeq.wait_for_result(task.id, 30) == {"n": 1}
        assert codeq.get(task.id).attempts == 1, "the lease of 5 s was renewed meanwhile"
        assert "sleep_blocking(job.payload" in Path(environ["STARTED"] + ".log").read_text()


def test_reload_restarts_the_worker_when_a_file_changes(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tests.client.worker.app import make\n")
    command = [*CODEQ_WORKER, "run", "mine:make", "--reload"]
    log = tmp_path / "log"
    with BlockingCodeQ.from_env(environ) as codeq, program(command, env=environ, log=log, cwd=tmp_path) as process:
        first = codeq.create("X", {"n": 1, "seconds": 0})
        codeq.wait_for_result(first.id, 20)
        (tmp_path / "mine.py").write_text("from tests.client.worker.app import\n")  # a syntax error
        wait_until(lambda: "SyntaxError" in log.read_text(), 20)
        (tmp_path / "mine.py").write_text("from tests.client.worker.app import make\n\n")
        wait_until(lambda: _is_restarted(codeq, environ), 20)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


@pytest.mark.parametrize("signals", [[signal.SIGHUP], [signal.SIGTERM, signal.SIGTERM]], ids=str)
def test_a_draining_reload_obeys_signals(
    environ: dict[str, str], tmp_path: Path, signals: list[signal.Signals]
) -> None:
    (tmp_path / "mine.py").write_text("from tests.client.worker.app import make\n")
    command = [*CODEQ_WORKER, "run", "mine:make", "--reload"]
    log, started = tmp_path / "log", Path(environ["STARTED"])
    with BlockingCodeQ.from_env(environ) as codeq, program(command, env=environ, log=log, cwd=tmp_path) as process:
        at_once = len(signals) == 2
        task = codeq.create("X", {"n": 1, "seconds": 60 if at_once else 2})
        wait_until(started.exists, 20)
        (tmp_path / "mine.py").write_text("from tests.client.worker.app import make\n\n")
        wait_until(lambda: "a file changed" in log.read_text(), 20)
        for number in signals:
            process.send_signal(number)
            SystemClock().sleep_blocking(0.1)  # two signals at once are one
        assert process.wait(10) == (128 + signal.SIGTERM if at_once else 0)
        assert codeq.get(task.id).status == ("IN_PROGRESS" if at_once else "COMPLETED"), "it drained, or was killed"
    assert len({line.split()[0] for line in started.read_text().splitlines()}) == 1, "no worker was restarted"


def _is_restarted(codeq: BlockingCodeQ, environ: dict[str, str]) -> bool:
    codeq.wait_for_result(codeq.create("X", {"n": 2, "seconds": 0}).id, 20)
    workers = {line.split()[0] for line in Path(environ["STARTED"]).read_text().splitlines()}
    return len(workers) == 2
