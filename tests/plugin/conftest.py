"""The fixture that runs a test file."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.plugin.outer import INI, Outcome, Run

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CI is set, pytest repeats whole messages in its summary."""
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Runs a test file in a pytest of its own: what it prints, and its exit code."""

    def run(test: str, ini: str = "", *arguments: str) -> Outcome:
        write(pytester.path, test, ini)
        modules = KeepModules()
        done = pytester.runpytest_inprocess(*QUICKLY, *arguments, plugins=[modules])
        modules.restore()
        return done.stdout.str() + done.stderr.str(), int(done.ret)

    return run


@pytest.fixture
def run_apart(tmp_path: Path) -> Run:
    """As ``run``, in a process of its own."""

    def run(test: str, ini: str = "", *arguments: str) -> Outcome:
        write(tmp_path, test, ini)
        command = [sys.executable, "-m", "pytest", *QUICKLY, *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr, done.returncode

    return run


class KeepModules:
    """A plugin that keeps what the inner pytest imports.

    pytester forgets it at the end, and a module that is loaded twice in one process has two of each class.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, ModuleType] = {}

    def pytest_unconfigure(self) -> None:
        self._loaded = dict(sys.modules)

    def restore(self) -> None:
        for name, module in self._loaded.items():
            if name not in ("test_example", "conftest"):
                sys.modules.setdefault(name, module)


# Schemathesis takes seconds to load, and is nothing that a user needs.
QUICKLY = ("-p", "no:cacheprovider", "-p", "no:schemathesis")


def write(folder: Path, test: str, ini: str) -> None:
    (folder / "test_example.py").write_text(test, encoding="utf-8")
    (folder / "pytest.ini").write_text(INI + ini, encoding="utf-8")
