"""The guides in docs/: each example runs as it stands, and what is made from the code is up to date."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner

from codeq_fake.cli import main
from codeq_fake.settings import Settings
from codeq_fake.settings.sources import camel
from docs import generate

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = ("testing", "other-languages", "laptop", "ci", "moving")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The first line of a block that is a file says its name.
NAMED = re.compile(r"(?:#|//) ([\w./-]+\.\w+)\n")
INI = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"


def blocks(guide: str, language: str) -> list[str]:
    text = (DOCS / "how-to" / f"{guide}.md").read_text(encoding="utf-8")
    return [block for found, block in FENCE.findall(text) if found == language]


def calls(guide: str) -> list[tuple[str, str]]:
    """Each command of a guide's console blocks, and what it is said to print."""
    found = [call for block in blocks(guide, "console") for call in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, printed) for command, _, printed in (call.partition("\n") for call in found)]


def environment(**variables: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin"
    # Schemathesis takes seconds to load, and is nothing that a user needs.
    quickly = {"COLUMNS": "80", "PYTEST_ADDOPTS": "-p no:schemathesis -p no:cacheprovider"}
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), **quickly, **variables}


def shell(command: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(  # noqa: S602 - the guides' own lines are shell
        command, shell=True, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All files that the guides show."""
    for guide in GUIDES:
        text = (DOCS / "how-to" / f"{guide}.md").read_text(encoding="utf-8")
        for _, block in FENCE.findall(text):
            if named := NAMED.match(block):
                file = tmp_path / named[1]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(INI, encoding="utf-8")
    return tmp_path


def test_each_python_example_passes(folder: Path) -> None:
    files = [NAMED.match(block) for guide in GUIDES for block in blocks(guide, "python")]
    assert all(files)
    told = shell("python -m pytest -q", folder)
    assert re.search(r"^\d+ passed in", told, re.MULTILINE), told
    assert len(files) == len(list(folder.glob("test_*.py")))


@pytest.mark.parametrize("tool", ["curl", "node", "go"])
def test_other_languages_find_the_fake(tool: str, folder: Path) -> None:
    if shutil.which(tool, path=environment()["PATH"]) is None:
        pytest.skip(f"there is no {tool}")
    if tool == "curl":
        [(command, printed)] = calls("other-languages")
        assert shell(command, folder) == printed.rstrip("\n") + "\n"
        return
    [command] = (block for block in blocks("other-languages", "sh") if f"-- {tool} " in block)
    shell(command, folder)


@pytest.fixture
def served(folder: Path) -> Iterator[str]:
    """The laptop guide's server on a free port: where it is."""
    (command, printed), *_ = calls("laptop")
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


def test_each_command_on_the_laptop_prints_what_is_shown(
    served: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for command, printed in calls("laptop")[1:]:
        name, *arguments = shlex.split(command)
        if name == "codeq-fake" and "|" not in command:
            # In this process, for each of its own would take half a second.
            told = CliRunner().invoke(main, arguments, env={"CODEQ_BASE_URL": served}).stdout
        else:
            told = shell(command, folder, CODEQ_BASE_URL=served)
        assert lines(told) == lines(printed), command


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_who_moves_keeps_settings_and_tokens(folder: Path) -> None:
    for command, printed in calls("moving"):
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


def test_the_pipelines_are_yaml_and_their_commands_work(folder: Path) -> None:
    run = [command for block in blocks("ci", "yaml") for command in commands(yaml.safe_load(block))]
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


@pytest.mark.parametrize("page", ["settings", "differences"])
def test_what_is_made_from_the_code_is_up_to_date(page: str) -> None:
    made = (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8")
    assert made == getattr(generate, page)(), "run `python -m docs.generate`"


def test_every_setting_is_told_of() -> None:
    told = generate.settings()
    for field in fields(Settings):
        if field.name not in ("auth_given", "artifacts_dir_given", "unread", "producer_auth", "worker_auth"):
            assert f"`{camel(field.name)}`" in told, field.name


def test_no_link_in_the_guides_leads_nowhere() -> None:
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).resolve().exists(), (page.name, target)
