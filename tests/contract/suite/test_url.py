"""The suite on a deployment, of which it knows the URL, three tokens and a webhook."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from codeq_contract.driver.identities import WORKER_SCOPES
from codeq_contract.driver.server_settings import SUITE_SETTINGS
from tests.contract.suite.support import SHARE, run_suite, run_suite_here

CALLERS = {
    "producer": {"kind": "producer", "claims": {"sub": "p", "tenantId": "t"}},
    "worker": {"kind": "worker", "claims": {"sub": "w", "tenantId": "t", "scope": WORKER_SCOPES, "eventTypes": ["*"]}},
    "admin": {"kind": "producer", "claims": {"sub": "a", "tenantId": "t", "scope": "codeq:admin"}},
}


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[str]:
    identities = tmp_path / "identities.json"
    identities.write_text(json.dumps(CALLERS))
    fake = str(Path(sys.executable).with_name("codeq-fake"))
    command = [fake, "serve", "--port", "0", "--json", "--identities", str(identities)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(SUITE_SETTINGS), text=True) as server:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
        server.terminate()


@pytest.mark.process
def test_a_dry_run_changes_nothing_at_a_deployment(tmp_path: Path, deployment: str) -> None:
    tokens = ("--producer-token", "producer", "--worker-token", "worker", "--admin-token", "admin")
    run = run_suite_here(tmp_path, "--target", "url", "--url", deployment, *tokens, "--dry-run", "--level", "webhooks")
    assert run.code == 0, run.output
    assert "contract v0.3.3, since a dry run changes nothing" in run.output
    requests = httpx.get(f"{deployment}/_fake/requests").json()["requests"]
    # Tokens are tried with a body that no server takes.
    assert {request["status"] for request in requests if request["method"] != "GET"} == {400}


@pytest.mark.process
@pytest.mark.slow(seconds=15)
def test_a_deployment_is_verified_by_one_command_and_left_as_it_was(tmp_path: Path, deployment: str) -> None:
    with _free_port() as port:
        hooks = f"127.0.0.1:{port}"
    settings = "\n".join(f"  {name}: {value!r}" for name, value in SUITE_SETTINGS.items())
    (tmp_path / "suite.yaml").write_text(f"settings:\n{settings}\n")
    run = run_suite(
        tmp_path,
        *("--target", "url", "--url", deployment, "--config", str(tmp_path / "suite.yaml")),
        *("--producer-token", "producer", "--worker-token", "worker", "--admin-token", "admin"),
        *("--webhook-bind", hooks, "--webhook-advertise", f"http://{hooks}", "--level", "core,webhooks"),
        **SHARE,
    )
    failed = {case.name: case.reason for case in run.report.cases if case.verdict in ("fail", "error")}
    assert failed == {}
    assert run.code == 3, run.output
    lacking = "the target has no minting (only servers that the suite starts accept its tokens)"
    assert f"cases, {lacking}" in run.output
    shown = httpx.get(f"{deployment}/_fake/tasks?limit=5000").json()["tasks"]
    live = [task for task in shown if task["status"] in ("PENDING", "IN_PROGRESS")]
    assert [task for task in live if task["lastKnownLocation"] != "DELAYED_ZSET"] == []
    assert {task["id"]: task["command"] for task in live} == run.report.left_behind
    assert (f"left behind: {len(live)} delayed task" in run.output) is bool(live), "few cases leave one"
    assert (run.report.settings["backoff_base"], run.report.settings["max_attempts"]) == ("1", "5 (assumed)")


@contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]
