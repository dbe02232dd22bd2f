"""The image and the compose file: what is written there, and what becomes of it where an engine can be had."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from codeq_fake.testing import FakeCodeQ
from tests.contract.suite.test_suite_container import LACKING, PROBE, SERVER

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
PATH = "/usr/local/bin:/usr/bin:/bin"
PROFILES = {
    (): {"codeq"},
    ("real",): {"codeq", "kvrocks", "codeq-kvrocks"},
    ("redis",): {"codeq", "redis", "codeq-redis"},
    ("verify",): {"codeq", "verify"},
    ("verify-real",): {"codeq", "kvrocks", "codeq-kvrocks", "verify-kvrocks"},
    ("verify-redis",): {"codeq", "redis", "codeq-redis", "verify-redis"},
    ("report",): {"codeq", "report"},
}

needs_compose = pytest.mark.skipif(shutil.which("docker-compose") is None, reason="there is no docker-compose")
needs_engine = pytest.mark.skipif(bool(LACKING), reason=LACKING)


def chosen(profiles: tuple[str, ...]) -> list[str]:
    return [part for profile in profiles for part in ("--profile", profile)]


def compose(*arguments: str, **variables: str) -> str:
    command = ["docker-compose", "-p", "codeq-fake-compose", "-f", str(FILE), *arguments]
    environment = {"PATH": PATH, **variables}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.process
@pytest.mark.usefixtures("proxies")
def test_the_health_check_of_the_image_calls_the_server_directly(codeq_server: FakeCodeQ) -> None:
    [check] = re.findall(r"HEALTHCHECK [^\[]*CMD (\[.*\])", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    for port, code in ((codeq_server.url.rpartition(":")[2], 0), ("9", 1)):
        done = subprocess.run(json.loads(check), env={**os.environ, "PORT": port}, capture_output=True, check=False)
        assert done.returncode == code, done.stderr


def test_the_suite_calls_the_other_services_directly() -> None:
    services = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    for name in ("verify", "verify-kvrocks", "verify-redis"):
        assert (services[name]["environment"]["NO_PROXY"], services[name]["environment"]["no_proxy"]) == ("*", "*")


@pytest.mark.parametrize("profiles", PROFILES, ids=" ".join)
def test_each_profile_starts_its_services_and_all_that_they_need(profiles: tuple[str, ...]) -> None:
    services = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    started = {
        name: service
        for name, service in services.items()
        if "profiles" not in service or not {*service["profiles"]}.isdisjoint(profiles)
    }
    assert started.keys() == PROFILES[profiles]
    needed = {name for service in started.values() for name in service.get("depends_on", ())}
    assert needed <= PROFILES[profiles]


@pytest.mark.process
@needs_compose
@pytest.mark.parametrize("profiles", [(), tuple({profile for profiles in PROFILES for profile in profiles})], ids=len)
def test_the_file_is_valid(profiles: tuple[str, ...]) -> None:
    compose(*chosen(profiles), "config", "--quiet")


@pytest.mark.process
@needs_compose
def test_ports_tokens_and_images_are_the_users_to_choose() -> None:
    variables = {
        "CODEQ_PORT": "1",
        "CODEQ_KVROCKS_PORT": "2",
        "CODEQ_REDIS_PORT": "3",
        "CODEQ_FAKE_IMAGE": "my/fake",
        "CODEQ_SERVER_IMAGE": "my/server",
        "KVROCKS_IMAGE": "my/kvrocks",
        "REDIS_IMAGE": "my/redis",
        "CODEQ_PRODUCER_TOKEN": "my-producer",
        "CODEQ_WORKER_TOKEN": "my-worker",
        "CODEQ_CONTROL_TOKEN": "my-control",
        "CODEQ_WEBHOOK_SECRET": "my-secret",
    }
    profiles = ("real", "redis", "report", "verify", "verify-real", "verify-redis")
    shown = compose(*chosen(profiles), "config", **variables)
    assert "dev-token" not in shown
    services: dict[str, Any] = yaml.safe_load(shown)["services"]
    images = {name: service["image"] for name, service in services.items()}
    assert images == {
        **dict.fromkeys(["codeq", "report", "verify", "verify-kvrocks", "verify-redis"], "my/fake"),
        **dict.fromkeys(["codeq-kvrocks", "codeq-redis"], "my/server"),
        "kvrocks": "my/kvrocks",
        "redis": "my/redis",
    }
    ports = [service["ports"] for service in services.values() if "ports" in service]
    assert sorted(str(port) for [port] in ports) == [f"127.0.0.1:{number}:8080/tcp" for number in (1, 2, 3)]
    known = set(re.findall(r"\$\{(\w+)", FILE.read_text(encoding="utf-8")))
    assert known >= variables.keys()


def test_every_variable_has_a_default() -> None:
    assert re.findall(r"\$\{\w+\}|\$\{\w+[^\w:]", FILE.read_text(encoding="utf-8")) == []


def test_the_two_tokens_are_of_one_tenant() -> None:
    """Upstream's own file gets that wrong, so its worker never sees a task (A9)."""
    auth = yaml.safe_load(FILE.read_text(encoding="utf-8"))["x-auth"]
    tenants = {json.loads(auth[f"{side}_AUTH_CONFIG"])["raw"]["tenantId"] for side in ("PRODUCER", "WORKER")}
    assert tenants == {"dev"}


@contextmanager
def container(*options: str) -> Iterator[str]:
    started = docker("run", "-d", *options, SERVER)
    try:
        yield started
    finally:
        docker("rm", "-f", started)


@pytest.mark.process
@pytest.mark.container
@needs_engine
def test_the_image_runs_read_only_and_without_any_right() -> None:
    with container("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true") as fake:
        assert docker("exec", fake, "python3", "-c", PROBE) == "200"
        assert docker("exec", fake, "id", "-u") == "10001"
        assert docker("exec", fake, "codeq-contract", "--help").startswith("Usage")


@pytest.mark.slow(seconds=20)
@pytest.mark.process
@needs_compose
@pytest.mark.container
@needs_engine
@pytest.mark.timeout(600)
def test_the_suite_passes_on_the_fake_as_a_service() -> None:
    variables = {"CODEQ_FAKE_IMAGE": SERVER, "CODEQ_PORT": "0", "CODEQ_VERIFY_LEVEL": "concurrent"}
    try:
        told = compose("--profile", "verify", "run", "--rm", "verify", **variables)
        assert re.search(r"concurrent +passed", told), told
        report = ("--profile", "report", "run", "--rm", "-T", "report")
        assert "<h1>CodeQ contract v0.3.3 on url</h1>" in compose(*report, **variables)
        assert compose(*report, "junit.xml", **variables).startswith("<?xml")
    finally:
        compose("down", "--volumes", **variables)
