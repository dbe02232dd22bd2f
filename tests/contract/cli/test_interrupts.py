"""The command `codeq-contract` is interrupted, or no one reads what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from codeq_contract.cli import main
from tests.surroundings import full_pipe, interrupted_at_import


@pytest.mark.process
@pytest.mark.parametrize("module", ["click", "rich.table", "codeq_contract.checker"])
def test_an_interrupt_while_it_is_loaded_ends_it_without_a_traceback(module: str) -> None:
    done = interrupted_at_import(module, "codeq-contract", "check", "--help")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupted_command_has_neither_succeeded_nor_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_path: Path, **_: object) -> str:
        raise KeyboardInterrupt

    CliRunner().invoke(main, ["diff", "--help"])  # is loaded before it is interrupted
    monkeypatch.setattr(Path, "read_text", interrupt)
    done = CliRunner().invoke(main, ["diff", "a.json", "b.json"])
    assert (done.exit_code, done.stderr) == (2, "Error: interrupted\n")  # 1 says that there are differences


@pytest.fixture
def unread() -> Iterator[int]:
    """The writing end of a full pipe that no one reads."""
    reader, writer = full_pipe()
    yield writer
    os.close(reader)
    os.close(writer)


COMMAND = str(Path(sys.executable).with_name("codeq-contract"))


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("load --out OUT --producers 1 --workers 1 --tasks 2 --seconds 1", 0),
        ("record --out OUT --url http://127.0.0.1:1 --seconds 0.1", 0),
        ("record --out OUT --url http://127.0.0.1:1 --seconds 0.1 --listen nowhere", 2),
    ],
)
def test_a_command_does_its_work_although_nobody_reads_what_it_prints(
    tmp_path: Path, unread: int, arguments: str, code: int
) -> None:
    out = tmp_path / "out.jsonl"
    command = [COMMAND, *arguments.replace("OUT", str(out)).split()]
    done = subprocess.run(command, stdout=unread, stderr=unread, timeout=60, check=False)
    assert (done.returncode, out.exists()) == (code, code == 0)


@pytest.mark.process
def test_a_run_does_its_work_although_nobody_reads_and_a_signal_ends_its_wait_for_a_reader(
    tmp_path: Path, unread: int
) -> None:
    command = [COMMAND, "run", "-k", "replacement_character", "--report", str(tmp_path)]
    report = tmp_path / "report.html"
    with subprocess.Popen(command, stdout=unread, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(600):
            if not report.exists():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        written = report.exists()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)  # its output is what it is run for
        process.terminate()
        _, said = process.communicate(timeout=20)
    assert written
    assert (process.returncode, said) == (2, "Error: interrupted\n")
    assert json.loads((tmp_path / "report.json").read_text())
