"""Runs of the suite, or of cases made for a test, and their reports."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from codeq_contract.cli import main
from codeq_contract.report import CaseResult, Report

HEAD = """
from __future__ import annotations
import pytest
from codeq_contract.suite.case import *
from codeq_contract.suite.case import InconclusiveError
"""
BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[3]

#: Variables that load a plugin for pytest into a run of the suite: it runs its share of the cases.
SHARE = MappingProxyType({"PYTEST_ADDOPTS": "-p tests.contract.suite.shares", "PYTHONPATH": str(ROOT)})


@dataclass(frozen=True)
class Run:
    """A finished run: its exit code, its output, and the folder of its report."""

    code: int
    output: str
    folder: Path

    @property
    def report(self) -> Report:
        return Report.from_json((self.folder / "report.json").read_text(encoding="utf-8"))

    def case(self, name: str) -> CaseResult:
        [found] = [case for case in self.report.cases if case.name == name]
        return found


def run_suite(folder: Path, *arguments: str, **variables: str) -> Run:
    """`codeq-contract run` in another process."""
    return run_command([str(BIN / "codeq-contract"), "run", "--report", str(folder), *arguments], folder, **variables)


def run_suite_here(folder: Path, *arguments: str) -> Run:
    """`codeq-contract run` in this process: more than half of a short run would be the start of another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # as the command sets it, for good
        patch.setenv("PYTEST_ADDOPTS", "-p no:faulthandler -p no:unraisableexception")  # those around are at work
        done = CliRunner().invoke(main, ["run", "--report", str(folder), *arguments], catch_exceptions=False)
    return Run(done.exit_code, done.output, folder)


def run_command(command: Sequence[str], folder: Path, **variables: str) -> Run:
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return Run(done.returncode, done.stdout + done.stderr, folder)


def run_cases(folder: Path, cases: str, *arguments: str) -> Run:
    """A pytest in this process, with the suite's plugin, on cases written for a test."""
    # Python keeps a module by its name, so each run has its own.
    file, configuration, printed = folder / f"test_of_{folder.name}.py", folder / "none.ini", io.StringIO()
    file.write_text(HEAD + cases, encoding="utf-8")
    configuration.write_text("[pytest]\n", encoding="utf-8")
    options = ["-c", str(configuration), "--import-mode=importlib", "--capture=no", f"--codeq-report={folder}"]
    for name in ("codeq_contract.plugin", "no:cacheprovider", "no:faulthandler", "no:unraisableexception"):
        options += ["-p", name]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        # The plugins of the run around this one (timeouts, workers, Hypothesis) take no part.
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        code = pytest.main([str(file), *options, *arguments])
    return Run(int(code), printed.getvalue(), folder)
