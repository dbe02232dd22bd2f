"""What the project is made of: pinned, hashed, listed, and without known weaknesses at its lower bounds."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.package.support import dependencies_of

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")

#: The first version without the advisories that were known when a bound was last raised.
FIRST_SOUND = {
    "anyio": "4.14.2",  # CVE-2026-63374, CVE-2026-64847
    "click": "8.3.3",  # CVE-2026-7246
    "jinja2": "3.1.6",  # CVE-2025-27516
    "joserfc": "1.7.2",  # CVE-2026-27932, CVE-2026-48990, CVE-2026-49852, GHSA-5jhw-7jv7-qcqq
    "pytest": "9.0.3",  # CVE-2025-71176
    "python-dotenv": "1.2.2",  # CVE-2026-28684
    "python-multipart": "0.0.31",  # CVE-2026-40347, CVE-2026-42561, CVE-2026-53538 to 53540
    "starlette": "1.3.1",  # CVE-2026-48710, CVE-2026-48817, CVE-2026-48818, CVE-2026-54282, CVE-2026-54283
}


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pinned = (re.match(r"([\w.-]+)==([^ ;]+)", line) for line in lines)
    return {canonicalize_name(found[1]): found[2] for found in pinned if found}


def needed(*extras: str) -> dict[str, str]:
    """What this project needs here, with its versions."""
    found = dependencies_of(distribution("codeq-fake"), frozenset(extras))
    return {canonicalize_name(name): dist.version for name, dist in found}


@pytest.mark.parametrize(("name", "version"), FIRST_SOUND.items())
def test_no_lower_bound_has_a_known_weakness(name: str, version: str) -> None:
    stated = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["contract"]]
    [bound] = [requirement for requirement in map(Requirement, stated) if requirement.name == name]
    lowest = [part.version for part in bound.specifier if part.operator == ">="]
    assert [Version(version) <= Version(low) for low in lowest] == [True]


def test_the_base_image_is_pinned_where_the_update_bot_looks() -> None:
    bases = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE)
    stages = {name for _, name in bases if name}
    foreign = [image for image, _ in bases if image not in stages]
    assert [bool(re.fullmatch(r"python:3\.\d+-slim@sha256:[0-9a-f]{64}", image)) for image in foreign] == [True]
    bot = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))
    assert "docker" in {update["package-ecosystem"] for update in bot["updates"]}


def test_the_image_installs_nothing_without_a_known_hash() -> None:
    commands = re.findall(r"bin/pip (install|wheel) (.*?)(?= \\| &&|$)", DOCKERFILE, re.MULTILINE)
    assert len(commands) == 4
    for _, options in commands:
        assert "--require-hashes" in options or {"--no-index", "--no-deps"} <= set(options.split()), options


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-build.txt"])
def test_each_requirement_of_the_image_is_hashed_and_as_in_the_tests(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    requirements = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[\w.-]+==", each) and "--hash=sha256:" in each for each in requirements)
    tested = pins("constraints.txt")
    here = {name: version for name, version in pins(file).items() if name in tested}
    assert here == {name: tested[name] for name in here}
    assert set(pins(file)) - set(here) <= {"colorama", "pywin32"}, "only Windows needs what the tests do not have"


def test_the_image_gets_all_that_the_project_needs() -> None:
    assert needed("contract").keys() <= pins("requirements.txt").keys()


def test_the_list_of_components_is_what_the_wheel_needs() -> None:
    listed = json.loads((ROOT / "sbom.cdx.json").read_text(encoding="utf-8"))
    root: dict[str, Any] = listed["metadata"]["component"]
    assert (root["name"], root["version"]) == ("codeq-fake", PROJECT["version"])
    tested = pins("constraints.txt")
    components = {canonicalize_name(each["name"]): each["version"] for each in listed["components"]}
    assert components == {name: tested[name] for name in needed()}
