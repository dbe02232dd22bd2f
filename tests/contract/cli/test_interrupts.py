"""The command `codeq-contract` is interrupted, or no one reads what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner

from codeq_contract.cli import main


@pytest.mark.process
@pytest.mark.parametrize("module", ["click", "rich.table", "codeq_contract.checker"])
def test_an_interrupt_while_it_is_loaded_ends_it_without_a_traceback(module: str) -> None:
    (command,) = entry_points(group="console_scripts", name="codeq-contract")
    program = f"""
import os, signal, sys
from contextlib import suppress
from importlib.metadata import EntryPoint

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
sys.argv = ["codeq-contract", "--help"]
EntryPoint("codeq-contract", {command.value!r}, "console_scripts").load()()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupted_command_has_neither_succeeded_nor_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_path: Path, **_: object) -> str:
        raise KeyboardInterrupt

    CliRunner().invoke(main, ["diff", "--help"])  # is loaded before it is interrupted
    monkeypatch.setattr(Path, "read_text", interrupt)
    done = CliRunner().invoke(main, ["diff", "a.json", "b.json"])
    assert (done.exit_code, done.stderr) == (2, "Error: interrupted\n")  # 1 says that there are differences


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """The writing end of a pipe that has no room left. Its reading end stays open."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with open(writer, "wb", buffering=0, closefd=False) as file:
        while file.write(bytes(4096)):
            pass
    os.set_blocking(writer, True)
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
    tmp_path: Path, full_pipe: int, arguments: str, code: int
) -> None:
    out = tmp_path / "out.jsonl"
    command = [COMMAND, *arguments.replace("OUT", str(out)).split()]
    done = subprocess.run(command, stdout=full_pipe, stderr=full_pipe, timeout=60, check=False)
    assert (done.returncode, out.exists()) == (code, code == 0)


@pytest.mark.process
def test_a_run_does_its_work_although_nobody_reads_and_a_signal_ends_its_wait_for_a_reader(
    tmp_path: Path, full_pipe: int
) -> None:
    command = [COMMAND, "run", "-k", "replacement_character", "--report", str(tmp_path)]
    report = tmp_path / "report.html"
    with subprocess.Popen(command, stdout=full_pipe, stderr=subprocess.PIPE, text=True) as process:
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
