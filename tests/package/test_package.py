"""What is shipped: the wheel's contents, and the wheel at work with nothing but what it declares."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import httpx
import pytest

from codeq_fake import __version__
from codeq_fake.testing import FakeCodeQ
from tests.package.support import dependencies_of

pytestmark = pytest.mark.xdist_group("the built packages")

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "codeq-fake": "codeq_fake.__main__:main",
    "codeq-worker": "codeq_worker:main",
    "codeq": "codeq_worker:codeq",
    "codeq-contract": "codeq_contract.__main__:main",
}
PACKAGES = {"codeq_fake", "codeq_client", "codeq_contract"}
HANDLERS = """
from codeq_client import BlockingCodeQ, CodeQ, Command, Job, Registry
from codeq_client.health import HealthServer
from codeq_client.schedules import Schedule
from codeq_client.webhooks import WebhookReceiver

DOUBLE = Command("DOUBLE", payload=int, result=int)
registry = Registry()
schedules = [Schedule(name="s", command=DOUBLE, payload=1, cron="* * * * *", timezone="Europe/Berlin")]


@registry.handler(DOUBLE)
async def double(job: Job[int]) -> int:
    return 2 * job.payload
"""


@dataclass(frozen=True)
class Built:
    """What a build left behind."""

    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and what it declares."""

    root: Path
    dependencies: frozenset[str]

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of an installed script."""
        return [str(self.root / "bin" / name), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that keep the working tree out of sight."""
        return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CODEQ", "COV"))}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source archive and the wheel of the whole."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def built_client(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source archive and the wheel of the client alone."""
    return build(ROOT / "client", tmp_path_factory.mktemp("dist"))


def build(project: Path, folder: Path) -> Built:
    """Build the source archive and, from it, the wheel, offline."""
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(project)],
        check=True,
        capture_output=True,
    )
    (sdist,) = folder.glob("*.tar.gz")
    (wheel,) = folder.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the whole."""
    return install(built, tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="module")
def installed_client(built_client: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the client alone."""
    return install(built_client, tmp_path_factory.mktemp("environment"))


def install(built: Built, root: Path) -> Installed:
    """Install the wheel into a separate environment, offline.

    Of all that the tests' environment holds, only what the wheel declares is linked into the new one: a dependency
    that pyproject.toml forgot is missing there, and so is the working tree.
    """
    venv.create(root, with_pip=False, symlinks=True)
    python = str(root / "bin" / "python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", built.wheel],
        check=True,
    )
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(root)}))
    (ours,) = distributions(path=[str(site)])
    dependencies = dict(dependencies_of(ours))
    for dependency in dependencies.values():
        _link(dependency, site)
    return Installed(root, frozenset(dependencies))


def _link(dist: Distribution, site: Path) -> None:
    tops = {file.parts[0] for file in dist.files or ()} - {"..", "__pycache__"}
    for top in tops:
        if not (site / top).exists():
            (site / top).symlink_to(str(dist.locate_file(top)))


def test_the_wheel_holds_the_three_packages_with_their_types_an_entry_point_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} == {
        *PACKAGES,
        "codeq_worker.py",
        f"codeq_fake-{__version__}.dist-info",
    }
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_carries_its_licence_and_its_commands(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        licence = archive.read(f"codeq_fake-{__version__}.dist-info/licenses/LICENSE")
        entry_points = ConfigParser()
        entry_points.read_string(archive.read(f"codeq_fake-{__version__}.dist-info/entry_points.txt").decode())
        assert archive.read(f"codeq_fake-{__version__}.dist-info/sboms/sbom.cdx.json")
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert dict(entry_points["console_scripts"]) == COMMANDS


def test_the_source_archive_holds_what_a_packager_needs_to_build_and_test(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "LICENSE",
        "README.md",
        "sbom.cdx.json",
        "tests/conftest.py",
    } <= names
    assert not [name for name in names if name.startswith((".venv", ".git/")) or "__pycache__" in name]


def test_a_plain_install_brings_no_test_tools(installed: Installed) -> None:
    assert {"starlette", "uvicorn", "httpx"} <= installed.dependencies
    assert installed.dependencies.isdisjoint({"pytest", "hypothesis", "testcontainers"})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_installed_command_explains_itself(installed: Installed, command: str, tmp_path: Path) -> None:
    result = subprocess.run(
        installed.command(command, "--help"),
        cwd=tmp_path,
        env=installed.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: {command}")


def test_the_first_test_of_the_readme_passes_in_an_empty_project(installed: Installed, tmp_path: Path) -> None:
    example = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )[0]
    project, tools = tmp_path / "project", tmp_path / "tools"
    project.mkdir()
    tools.mkdir()
    (project / "test_first.py").write_text(example, encoding="utf-8")
    tester = distribution("pytest")
    for tool in (tester, *dict(dependencies_of(tester)).values()):
        _link(tool, tools)
    result = subprocess.run(
        [installed.root / "bin" / "python", "-W", "error", "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=project,
        env={**installed.environment, "PYTHONPATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"^=+ 1 passed in", result.stdout, re.MULTILINE), result.stdout + result.stderr
    assert re.search(r"^plugins: .*\bcodeq-fake-", result.stdout, re.MULTILINE)


def test_the_installed_fake_takes_a_task_from_create_to_complete(installed: Installed, tmp_path: Path) -> None:
    with subprocess.Popen(
        installed.command("codeq-fake", "serve", "--port", "0", "--json"),
        cwd=tmp_path,
        env=installed.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            _complete_a_task(ready["url"], ready["tokens"])
            _look_at_the_page(ready["url"])
        finally:
            server.terminate()
        assert server.wait(timeout=10) in {0, -signal.SIGTERM}


def test_the_client_alone_carries_no_server(built_client: Built, installed_client: Installed) -> None:
    with zipfile.ZipFile(built_client.wheel) as archive:
        names = set(archive.namelist())
        licence = archive.read(f"codeq_client-{__version__}.dist-info/licenses/LICENSE")
    assert {name.split("/")[0] for name in names} == {
        "codeq_client",
        "codeq_worker.py",
        f"codeq_client-{__version__}.dist-info",
    }
    assert "codeq_client/py.typed" in names
    assert licence == (ROOT / "LICENSE").read_bytes()
    server = {"starlette", "uvicorn", "jinja2", "joserfc", "cryptography", "rich", "pyyaml", "python-multipart"}
    assert {"aiohttp", "httpx", "click"} <= installed_client.dependencies
    assert installed_client.dependencies.isdisjoint(server)


def test_the_client_alone_needs_what_the_whole_needs_for_it() -> None:
    whole, client = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for folder in ("", "client")
    )
    assert client["version"] == whole["version"]
    assert set(client["dependencies"]) <= set(whole["dependencies"])
    assert set(client["optional-dependencies"]["metrics"]) <= set(whole["dependencies"])
    assert client["optional-dependencies"]["otel"] == whole["optional-dependencies"]["otel"]


def test_the_client_alone_runs_a_module_with_handlers(installed_client: Installed, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS, encoding="utf-8")
    with FakeCodeQ(clock="real") as fake, fake.serve():
        task = fake.enqueue("DOUBLE", 21)
        subprocess.run(
            installed_client.command("codeq-worker", "run", "handlers:registry", "--burst", "--health-port", "0"),
            cwd=tmp_path,
            env={**installed_client.environment, **fake.env},
            check=True,
        )
        assert fake.task(task.id).result == {"$value": 42}
    version = subprocess.run(
        installed_client.command("codeq-worker", "--version"), capture_output=True, text=True, check=True
    )
    assert version.stdout == f"codeq-worker, version {__version__}\n"


def _look_at_the_page(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as http:
        assert "PACK" in http.get("/_fake/").raise_for_status().text
        for path in ("/_fake/api", "/_fake/page/page.css", "/_fake/page/page.js", "/_fake/page/icon.svg"):
            http.get(path).raise_for_status()


def _complete_a_task(url: str, tokens: dict[str, str]) -> None:
    producer = {"Authorization": f"Bearer {tokens['producer']}"}
    worker = {"Authorization": f"Bearer {tokens['worker']}"}
    with httpx.Client(base_url=url, trust_env=False) as http:
        created = http.post("/v1/codeq/tasks", headers=producer, json={"command": "PACK", "payload": {"box": 1}})
        assert created.status_code == 202
        claimed = http.post("/v1/codeq/tasks/claim", headers=worker, json={"commands": ["PACK"]})
        assert claimed.json()["id"] == created.json()["id"]
        done = http.post(
            f"/v1/codeq/tasks/{created.json()['id']}/result",
            headers=worker,
            json={"status": "COMPLETED", "result": {"boxed": True}},
        )
        assert done.status_code == 200
        assert http.get(f"/v1/codeq/tasks/{created.json()['id']}", headers=producer).json()["status"] == "COMPLETED"
