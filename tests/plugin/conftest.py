"""The fixture that runs a test file."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.inner_pytest import plugin_options
from tests.plugin.support import INI, Outcome, Run

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CI is set, pytest repeats whole messages in its summary."""
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def run(pytester: pytest.Pytester, loaded_modules: dict[str, ModuleType]) -> Run:
    """Runs a test file in a separate pytest: what it prints, and its exit code."""

    def run(test: str, ini: str = "", *arguments: str) -> Outcome:
        write(pytester.path, test, ini)
        done = pytester.runpytest_inprocess(*QUICKLY, *arguments, plugins=[NoteModules(loaded_modules)])
        return done.stdout.str() + done.stderr.str(), int(done.ret)

    return run


@pytest.fixture
def run_apart(tmp_path: Path) -> Run:
    """As `run`, in a separate process, which loads no plugins but ours and those in `arguments`."""

    def run(test: str, ini: str = "", *arguments: str) -> Outcome:
        write(tmp_path, test, ini)
        command = [sys.executable, "-m", "pytest", *plugin_options(), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr, done.returncode

    return run


class NoteModules:
    """A plugin that notes what the inner pytest has loaded at its end."""

    def __init__(self, modules: dict[str, ModuleType]) -> None:
        self._modules = modules

    def pytest_unconfigure(self) -> None:
        self._modules.update(sys.modules)


# The plugins of Schemathesis and respx take time to load, and are nothing that a user of the fake needs.
QUICKLY = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-p", "no:respx")


def write(folder: Path, test: str, ini: str) -> None:
    (folder / "test_example.py").write_text(test, encoding="utf-8")
    (folder / "pytest.ini").write_text(INI + ini, encoding="utf-8")
