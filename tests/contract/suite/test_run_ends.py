"""A `codeq-contract run` that ends early reports what it found, never as passed."""

from __future__ import annotations

import gc
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contract.suite.support import Run, run_suite_here

pytestmark = pytest.mark.process

BESIDE = Path(sys.executable).parent


@contextmanager
def a_server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [str(BESIDE / "codeq-fake"), "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"], server
        server.kill()


@contextmanager
def a_run(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has begun."""
    command = [str(BESIDE / "codeq-contract"), "run", "--report", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("target ")
        yield running


def end_of(running: subprocess.Popen[str], folder: Path) -> Run:
    output, _ = running.communicate(timeout=60)
    return Run(running.returncode, output, folder)


def on(url: str, *, token: str = "dev-token") -> tuple[str, ...]:
    return ("--target", "url", "--url", url, "--producer-token", token, "--worker-token", token)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_after_an_interrupt_there_is_a_partial_report(tmp_path: Path, number: signal.Signals) -> None:
    chosen = ("--level", "timed", "-k", "repairs or protects or delayed")
    with a_server() as (url, _), a_run(tmp_path, *on(url), *chosen) as running:
        running.send_signal(number)
        run = end_of(running, tmp_path)
    assert run.code == 3, run.output
    assert "interrupted; the running cases are being ended" in run.output
    assert run.report.levels["timed"] == "partial"
    assert {"not reached", "not selected"} <= {case.reason for case in run.report.cases}
    assert {file.name for file in tmp_path.iterdir()} == {"report.json", "report.html", "report.md", "junit.xml"}


def test_a_server_that_stops_ends_the_run_with_an_error_and_fails_no_case(tmp_path: Path) -> None:
    with a_server() as (url, server), a_run(tmp_path, *on(url), "--level", "core") as running:
        server.kill()
        run = end_of(running, tmp_path)
    assert run.code == 2, run.output
    assert "the server no longer answers" in run.output.splitlines()
    verdicts = [case.verdict.value for case in run.report.cases]
    assert "fail" not in verdicts
    assert (verdicts.count("error"), verdicts.count("skipped") > 50) == (1, True)
    assert run.report.levels["core"] == "error"


def test_without_a_server_every_report_contains_the_reason(tmp_path: Path) -> None:
    run = run_suite_here(tmp_path, *on("http://127.0.0.1:1"))
    assert run.code == 2
    reason = "http://127.0.0.1:1: no server answers: ConnectError: [Errno 111] Connection refused; check --url"
    assert run.output == f"not run: {reason}\n"
    assert (run.report.not_run, run.report.exit_code, set(run.report.levels.values())) == (reason, 2, {"not run"})
    junit = (tmp_path / "junit.xml").read_text(encoding="utf-8")
    assert ('errors="1" failures="0" skipped="0" tests="1"' in junit, reason in junit) == (True, True)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (reason in page, "Nothing was run." in page) == (True, True)
    assert gc.isenabled()  # it rests only while the cases are loaded, which they never were


def test_the_report_is_written_where_a_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEQ_CONTRACT_REPORT", str(tmp_path))
    (tmp_path / "report.json").write_text("of an older run", encoding="utf-8")
    run = run_suite_here(tmp_path, "--report", "", *on("http://127.0.0.1:1"))
    assert (run.code, "no server answers" in run.report.not_run) == (2, True)


def test_a_wrong_token_is_named_and_nothing_is_run(tmp_path: Path) -> None:
    with a_server() as (url, _):
        run = run_suite_here(tmp_path, *on(url, token="wrong"))
    assert run.code == 2
    refusal = 'is refused: 401 {"error":"invalid token"} (pass a token that this server accepts)'
    assert run.output == f"not run: {url}: the token of producer {refusal}; the token of worker {refusal}\n"
