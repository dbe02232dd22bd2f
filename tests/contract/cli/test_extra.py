"""The command without the extra that most of its subcommands need."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.process
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("pytest", ["run"]),
        ("hypothesis", ["run", "--target", "asgi"]),
        ("testcontainers", ["load", "--target", "container", "--out", "history"]),
    ],
)
def test_a_command_says_which_extra_it_needs(module: str, arguments: list[str]) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from codeq_contract.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: this needs ")
    assert done.stderr.endswith("which the extra `contract` brings: pip install 'codeq-fake[contract]'\n")
