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


@pytest.mark.process
def test_a_subcommand_loads_nothing_that_only_others_need() -> None:
    code = (
        "import sys\nfrom codeq_contract.cli import main\n"
        "try: main(['check', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'httpx', 'uvicorn', 'joserfc', 'jinja2', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
