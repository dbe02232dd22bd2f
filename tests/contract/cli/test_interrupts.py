"""The command `codeq-contract` is interrupted."""

from __future__ import annotations

import subprocess
import sys
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

    monkeypatch.setattr(Path, "read_text", interrupt)
    done = CliRunner().invoke(main, ["diff", "a.json", "b.json"])
    assert (done.exit_code, done.stderr) == (2, "Error: interrupted\n")  # 1 says that there are differences
