"""The workflows of the public forge: they call make targets that exist, and their actions are pinned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from .support import ROOT

FORGE = ROOT / ".github"
WORKFLOWS = sorted((FORGE / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def steps(workflow: Any) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_has_no_logic_and_pins_its_actions(file: Any) -> None:
    workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    for step in steps(workflow):
        if "run" in step:
            called = re.fullmatch(r'make ([a-z-]+)( TAG="\$GITHUB_REF_NAME")?|sudo [\w=,-]+ \.ci/run', step["run"])
            assert called, step
            assert called[1] is None or called[1] in TARGETS, step
        else:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step


def test_every_supported_python_is_tested() -> None:
    check = yaml.safe_load((FORGE / "workflows" / "check.yml").read_text(encoding="utf-8"))
    assert check["jobs"]["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]


def test_a_release_is_built_then_attested_then_published() -> None:
    release = yaml.safe_load((FORGE / "workflows" / "release.yml").read_text(encoding="utf-8"))
    jobs = release["jobs"]
    assert (jobs["attest"]["needs"], jobs["publish"]["needs"]) == ("build", "attest")
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert [step["run"] for step in jobs["build"]["steps"] if "run" in step] == [
        "make audit",
        "make test",
        'make release TAG="$GITHUB_REF_NAME"',
    ]


def test_known_weaknesses_are_looked_up_each_week_and_before_a_release() -> None:
    weekly = yaml.safe_load((FORGE / "workflows" / "newest.yml").read_text(encoding="utf-8"))
    assert weekly[True]["schedule"]  # YAML reads `on` as true
    assert {"make audit", "make lowest", "make newest"} <= {step.get("run") for step in steps(weekly)}
    release = yaml.safe_load((FORGE / "workflows" / "release.yml").read_text(encoding="utf-8"))
    assert "make audit" in {step.get("run") for step in steps(release)}


def test_each_template_and_configuration_is_yaml() -> None:
    files = [*FORGE.rglob("*.yml"), ROOT / ".pre-commit-config.yaml", ROOT / "docker-compose.yml"]
    assert all(isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict) for file in files)
    forms = [file for file in (FORGE / "ISSUE_TEMPLATE").glob("*.yml") if file.stem != "config"]
    assert all(
        {"name", "description", "body"} <= yaml.safe_load(form.read_text(encoding="utf-8")).keys() for form in forms
    )


def test_the_hooks_before_a_commit_are_those_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for hook in hooks:
        tool = hook["entry"].removeprefix(".venv/bin/").removeprefix("python -m ").split()[0]
        assert tool in makefile, hook
