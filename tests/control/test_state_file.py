"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from codeq_fake.control.state_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_a_file_holds_the_new_text(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    for text in ("one\n", "\u00e4\n"):
        write_whole(file, text)
        assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_when_a_step_fails_the_file_is_as_it_was_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "state.json"
    file.write_text("old", encoding="utf-8")

    def full(*_: object) -> None:
        assert file.read_text(encoding="utf-8") == "old"
        raise OSError("no space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="no space left"):
        write_whole(file, "new")
    assert [found.name for found in tmp_path.iterdir()] == ["state.json"]
    assert file.read_text(encoding="utf-8") == "old"


def test_what_is_written_is_on_the_disk_before_it_takes_the_files_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def noted(step: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*given: object) -> None:
            steps.append(step)
            real(*given)

        return call

    for step in ("fsync", "replace"):
        monkeypatch.setattr(os, step, noted(step, getattr(os, step)))
    write_whole(tmp_path / "state.json", "new")
    assert steps == ["fsync", "replace"]


KILLED = """
import os, signal
from pathlib import Path
from codeq_fake.control.state_file import write_whole
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_whole(Path("state.json"), "new")
"""


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_the_file_of_a_writer_that_was_killed_is_removed_by_the_next_one(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    file.write_text("old", encoding="utf-8")
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False)
    assert len([*tmp_path.iterdir()]) == 2  # the second one has removed what the first one left
    assert file.read_text(encoding="utf-8") == "old"
    write_whole(file, "newest")
    assert [found.name for found in tmp_path.iterdir()] == ["state.json"]


def test_the_files_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "state.json"
    others = [".state.json.settings", ".state.json.lock", ".state.jsonx.abc.unfinished", "state.json.x.unfinished"]
    for name in others:
        (tmp_path / name).touch()

    def meanwhile(_: int) -> None:
        monkeypatch.undo()
        write_whole(file, "second")

    monkeypatch.setattr(os, "fsync", meanwhile)
    write_whole(file, "first")
    assert file.read_text(encoding="utf-8") == "first"
    assert sorted(found.name for found in tmp_path.iterdir()) == sorted([*others, "state.json"])


def test_a_link_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "link.json", tmp_path / "target.json"
    target.touch()
    link.symlink_to(target)
    write_whole(link, "new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"
