"""The suite in containers, for real: an image of the fake beside a Redis, where an engine can be had.

Here it runs its share of the cases. `codeq-contract run --target container --image codeq-fake:local --store
codeq-redis:local` runs all of it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codeq_contract.report import Report
from codeq_contract.report.results import Verdict

SERVER, STORE, PYTHON = "codeq-fake:local", "codeq-redis:local", "codeq-python:local"
#: Nothing listens there, so that no engine tries for long.
NOWHERE = "127.0.0.1:1/codeq-nowhere:local"
ROOT = Path(__file__).parents[3]
SHARE = ("-p", "tests.contract.suite.shares")


def lacking() -> str:
    """Why this cannot run here, or nothing."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    for image in (SERVER, STORE, PYTHON):
        found = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=False)
        if found.returncode:
            return f"no engine, or no image {image} ({found.stderr.strip()}); .ci/engine makes them"
    return ""


LACKING = lacking()
pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(bool(LACKING), reason=LACKING),
    pytest.mark.timeout(600),
]


def suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Schemathesis takes seconds to load.
    plugins = [
        part for name in ("codeq_contract.plugin", "no:cacheprovider", "no:schemathesis") for part in ("-p", name)
    ]
    command = [sys.executable, "-m", "pytest", *plugins, "-q"]
    options = ["--pyargs", "codeq_contract", "--codeq-target", "container", *arguments]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow(seconds=30)
def test_the_suite_passes_in_containers_from_start_to_report(tmp_path: Path) -> None:
    done = suite(*SHARE, "--codeq-image", SERVER, "--codeq-store", STORE, "--codeq-report", str(tmp_path))
    assert done.returncode == 0, done.stdout
    report = Report.from_json((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report.levels["core"] == "partial", "some cases were left out"
    assert sum(case.verdict is Verdict.PASSED for case in report.cases) > 50
    assert {file.name for file in tmp_path.iterdir()} >= {"report.json", "junit.xml", "report.html"}
    assert SERVER in report.about["server"]


@pytest.mark.slow(seconds=20)
def test_the_webhook_can_run_in_a_container(tmp_path: Path) -> None:
    cases = "sent_to_the_webhook or new_signature or keeps_the_post or follows_a_redirect"
    chosen = ("--codeq-receiver-image", PYTHON, "--codeq-level", "webhooks", "-k", cases)
    done = suite("--codeq-image", SERVER, "--codeq-store", STORE, "--codeq-report", str(tmp_path), *chosen)
    assert done.returncode == 0, done.stdout
    assert " failed" not in done.stdout


def test_the_ends_of_both_logs_are_in_a_failing_report(tmp_path: Path) -> None:
    known = tmp_path / "known.yaml"
    known.write_text("- {clause: C1, why: so that it fails for passing}\n")
    chosen = ("-k", "test_a_new_task_is_pending", "--codeq-known", str(known))
    done = suite("--codeq-image", SERVER, "--codeq-store", STORE, "--codeq-report", str(tmp_path), *chosen)
    assert done.returncode == 1, done.stdout
    logs = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["logs"]
    assert "8080" in logs["server"]
    assert "Ready to accept connections" in logs["store"]
    assert "The end of the store" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_missing_image_is_no_success() -> None:
    done = suite("--codeq-image", NOWHERE, "--codeq-store", STORE)
    assert done.returncode not in (0, 5)
    assert NOWHERE in done.stdout + done.stderr


def test_the_compose_file_starts_a_healthy_fake() -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("there is no docker-compose")
    compose = ["docker-compose", "-p", "codeq-fake-test", "-f", str(ROOT / "docker-compose.yml")]
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "CODEQ_FAKE_IMAGE": SERVER, "CODEQ_PORT": "0"}

    def run(*arguments: str) -> str:
        done = subprocess.run([*compose, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    run("config", "--quiet")
    try:
        run("up", "-d", "--no-build", "codeq")
        container = run("ps", "-q", "codeq")
        probe = ["docker", "exec", container, "python3", "-c", PROBE]
        asked = subprocess.run(probe, capture_output=True, text=True, check=False)
        assert asked.stdout.strip() == "200", asked.stderr
    finally:
        run("down")


#: Waits for the server inside its container, then reads its metrics.
PROBE = """
import time, urllib.request
for _ in range(100):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8080/metrics").status)
        break
    except OSError:
        time.sleep(0.1)
"""
