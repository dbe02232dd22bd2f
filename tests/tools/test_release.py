"""A release needs a tag that names the version, and a section of the changelog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.release import problems

if TYPE_CHECKING:
    from pathlib import Path


def repository(folder: Path, changelog: str, client: str = "1.2.0") -> Path:
    (folder / "client").mkdir()
    (folder / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n', encoding="utf-8")
    (folder / "client" / "pyproject.toml").write_text(f'[project]\nversion = "{client}"\n', encoding="utf-8")
    (folder / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    return folder


def test_a_tag_with_its_section_may_be_released(tmp_path: Path) -> None:
    assert list(problems("v1.2.0", repository(tmp_path, "# Changelog\n\n## [1.2.0] - 2026-12-01\n"))) == []


def test_a_tag_of_another_version_and_a_missing_section_are_named(tmp_path: Path) -> None:
    found = list(problems("v1.3.0", repository(tmp_path, "# Changelog\n\n## [Unreleased]\n")))
    assert found == [
        "the tag is 'v1.3.0', but pyproject.toml has version 1.2.0: it must be 'v1.2.0'",
        "CHANGELOG.md has no section '## [1.2.0] - YYYY-MM-DD'",
    ]


def test_two_distributions_with_different_versions_may_not_be_released(tmp_path: Path) -> None:
    changelog = "# Changelog\n\n## [1.2.0] - 2026-12-01\n"
    found = list(problems("v1.2.0", repository(tmp_path, changelog, client="1.1.0")))
    assert found == ["client/pyproject.toml has version 1.1.0, but pyproject.toml has 1.2.0"]
