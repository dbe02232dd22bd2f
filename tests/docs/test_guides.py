"""The guides in docs/: each example runs as it stands, and what is made from the code is up to date."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from codeq_fake.cli import main
from codeq_fake.server_settings import Settings
from codeq_fake.server_settings.sources import camel
from docs import generate
from docs.settings_page import settings
from tests.inner_pytest import plugin_options

from .support import DOCS, ROOT, blocks, calls, environment, lines, shell, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = ROOT / "README.md"
FIRST_TEST = DOCS / "tutorial" / "first-test.md"
HOW_TO = DOCS / "how-to"
#: The pages whose files are tried together, in one folder.
GUIDES = (
    README,
    FIRST_TEST,
    *(
        HOW_TO / f"{name}.md"
        for name in ("testing", "receivers", "other-test-tools", "other-languages", "laptop", "ci", "moving", "workers")
    ),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All files that the guides show."""
    write_files(GUIDES, tmp_path)
    return tmp_path


@pytest.mark.slow(seconds=10)
@pytest.mark.process
def test_each_python_example_passes(folder: Path) -> None:
    run_tests(folder, "anyio.pytest_plugin")


@pytest.mark.slow(seconds=10)
@pytest.mark.process
def test_the_flows_in_web_applications_pass(tmp_path: Path) -> None:
    # In a folder and a process apart, because a process has only one set of Django's settings.
    write_files([HOW_TO / "web-frameworks.md"], tmp_path)
    run_tests(tmp_path)


def run_tests(folder: Path, *plugins: str) -> None:
    """Run the files in a folder as tests, with plugins that they need: each must pass."""
    told = shell("python -m pytest -q -rp", folder, PYTEST_ADDOPTS=" ".join(plugin_options(*plugins)))
    passed = {line.split()[1].partition("::")[0] for line in told.splitlines() if line.startswith("PASSED ")}
    assert re.search(r"^\d+ passed in", told, re.MULTILINE), told
    assert passed == {file.name for file in folder.glob("*.py")}


@pytest.mark.process
@pytest.mark.parametrize("tool", ["curl", "node", pytest.param("go", marks=pytest.mark.slow(seconds=20)), "java"])
def test_other_languages_find_the_fake(tool: str, folder: Path) -> None:
    if shutil.which(tool, path=environment()["PATH"]) is None:
        pytest.skip(f"there is no {tool}")
    if tool == "curl":
        [(command, printed)] = calls(HOW_TO / "other-languages.md")
        assert shell(command, folder) == printed.rstrip("\n") + "\n"
        return
    [command] = (block for block in blocks(HOW_TO / "other-languages.md", "sh") if f"-- {tool} " in block)
    shell(command, folder)


@pytest.fixture
def served(folder: Path) -> Iterator[str]:
    """The laptop guide's server on a free port: where it is."""
    (command, printed), *_ = calls(HOW_TO / "laptop.md")
    process = subprocess.Popen(
        [*command.split(), "--port", "0"], cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.split()[0]
    try:
        assert line.replace(url, "http://127.0.0.1:8080") == printed.rstrip("\n") + "\n"
        yield url
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.mark.process
def test_each_command_on_the_laptop_prints_what_is_shown(
    served: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for command, printed in calls(HOW_TO / "laptop.md")[1:]:
        name, *arguments = shlex.split(command)
        if name == "codeq-fake" and "|" not in command:
            # In this process, because a process for each would take half a second.
            told = CliRunner().invoke(main, arguments, env={"CODEQ_BASE_URL": served}).stdout
        else:
            told = shell(command, folder, CODEQ_BASE_URL=served)
        assert lines(told) == lines(printed), command


@pytest.mark.process
def test_who_moves_keeps_settings_and_tokens(folder: Path) -> None:
    for command, printed in calls(HOW_TO / "moving.md"):
        assert lines(shell(command, folder)) == lines(printed), command


def commands(found: Any) -> Iterator[str]:
    """All commands of a pipeline: GitHub's steps, GitLab's scripts."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name == "run":
                yield value
            elif name == "script":
                yield from value
            else:
                yield from commands(value)
    elif isinstance(found, list):
        for item in found:
            yield from commands(item)


@pytest.mark.process
@pytest.mark.slow(seconds=10)
def test_the_pipelines_are_yaml_and_their_commands_work(folder: Path) -> None:
    run = [command for block in blocks(HOW_TO / "ci.md", "yaml") for command in commands(yaml.safe_load(block))]
    installed = [command.split() for command in run if command.startswith("pip install")]
    assert {parts[2].strip("'").partition("[")[0] for parts in installed} == {"codeq-fake"}
    for test in folder.glob("test_*.py"):
        if test.name != "test_moved.py":
            test.unlink()
    github, contract, gitlab = (command for command in run if command.startswith("codeq-"))
    assert gitlab == f"{github} --junitxml=report.xml"
    assert "1 passed" in shell(gitlab, folder)
    assert (folder / "report.xml").exists()
    given = "STAGING=$CODEQ_BASE_URL PRODUCER=$CODEQ_PRODUCER_TOKEN WORKER=$CODEQ_WORKER_TOKEN"
    (folder / "staging.sh").write_text(f"export {given}\n{contract} --dry-run", encoding="utf-8")
    assert "callers: producer, worker" in shell("codeq-fake run -- sh staging.sh", folder)


@pytest.mark.parametrize("page", generate.PAGES)
def test_what_is_made_from_the_code_is_up_to_date(page: str) -> None:
    made = (DOCS / page).read_text(encoding="utf-8")
    assert made == generate.PAGES[page](), "run `python -m docs.generate`"


def test_every_setting_is_told_of() -> None:
    told = settings()
    for field in fields(Settings):
        if field.name not in ("auth_given", "artifacts_dir_given", "unread", "producer_auth", "worker_auth"):
            assert f"`{camel(field.name)}`" in told, field.name


@pytest.mark.process
def test_the_identities_of_the_example_are_taken(folder: Path) -> None:
    program = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('CODEQ_')}))"
    told = json.loads(shell(f'codeq-fake run --identities identities.yaml -- python -c "{program}"', folder))
    assert told["CODEQ_PRODUCER_TOKEN"] == "billing"
    assert told["CODEQ_ADMIN_TOKEN"] == "operator"
    assert told["CODEQ_WORKER_TOKEN"] == "worker-1"


@pytest.mark.process
def test_an_installation_is_checked_as_shown(folder: Path) -> None:
    for command, printed in calls(HOW_TO / "install.md"):
        assert lines(shell(command, folder)) == lines(printed), command


#: The folders of the repository, without those that the tools make.
FOLDERS = (".ci", ".github", "benchmarks", "client", "codeq_fake", "contract_tests", "docs", "tests", "tools")
FILES = [*ROOT.glob("*.*"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))]
PAGES = sorted(file for file in FILES if file.suffix == ".md")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_link_of_a_page_leads_nowhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).resolve().exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_each_make_target_that_a_page_names_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.slow
@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", DOCS / "architecture.md"], ids=name)
def test_each_path_that_a_page_names_exists(page: Path) -> None:
    made_by_a_target = {"build/site"}
    for path in re.findall(
        r"`([\w./*-]+\.(?:py|toml|ya?ml|md|txt)|[\w.-]+/[\w./-]+)`", page.read_text(encoding="utf-8")
    ):
        assert path in made_by_a_target or any(file.match(f"*/{path}") for file in FILES), path
