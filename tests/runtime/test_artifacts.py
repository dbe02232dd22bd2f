"""The folder of artifacts: files are written inside of it, and nowhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from codeq_fake.runtime.artifacts import ArtifactFolder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside the folder."""
    file = tmp_path / "outside"
    file.write_text("untouched")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder, which exists."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return folder


def test_a_file_is_written_with_its_folders_and_replaced(folder: Path) -> None:
    for content in (b"first", b"second"):
        ArtifactFolder(str(folder)).write(f"{folder}/results/t-1/a/b.txt", content)
    assert (folder / "results/t-1/a/b.txt").read_bytes() == b"second"


@pytest.mark.parametrize(
    "path", ["{}/../outside", "{}/x/../../outside", "/etc/codeq-artifact", "{}", "{}/a\0b", "{}/\ud800"]
)
def test_a_path_that_leads_elsewhere_or_cannot_be_a_file_is_not_written(folder: Path, outside: Path, path: str) -> None:
    ArtifactFolder(str(folder)).write(path.format(folder), b"evil")
    assert outside.read_text() == "untouched"
    assert list(folder.iterdir()) == []


def test_a_link_to_the_outside_is_not_followed(folder: Path, outside: Path) -> None:
    (folder / "to-file").symlink_to(outside)
    (folder / "to-folder").symlink_to(outside.parent)
    for path in ("to-file", "to-folder/outside", "to-folder/new", "to-folder/new/file"):
        ArtifactFolder(str(folder)).write(f"{folder}/{path}", b"evil")
    assert outside.read_text() == "untouched"
    assert sorted(path.name for path in outside.parent.iterdir()) == ["artifacts", "outside"]


def test_a_link_that_takes_the_place_of_the_folder_is_not_followed(folder: Path, outside: Path) -> None:
    artifacts = ArtifactFolder(str(folder))
    folder.rmdir()
    folder.symlink_to(outside.parent)
    artifacts.write(f"{folder}/outside", b"evil")
    assert outside.read_text() == "untouched"


def test_a_hard_link_is_replaced_and_not_written_to(folder: Path, outside: Path) -> None:
    os.link(outside, folder / "a")
    ArtifactFolder(str(folder)).write(f"{folder}/a", b"new")
    assert (outside.read_text(), (folder / "a").read_text()) == ("untouched", "new")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_does_not_hold_the_fake_up(folder: Path) -> None:
    os.mkfifo(folder / "a")
    ArtifactFolder(str(folder)).write(f"{folder}/a", b"new")
    assert (folder / "a").read_text() == "new"
