"""Runs of the suite, or of cases made for a test, and what they reported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codeq_contract.report import CaseResult, Report

HEAD = """
from __future__ import annotations
import pytest
from codeq_contract.suite.case import *
from codeq_contract.suite.case import InconclusiveError
"""


@dataclass(frozen=True)
class Run:
    """A run that is over: its exit code, what it printed, and the folder of its report."""

    code: int
    output: str
    folder: Path

    @property
    def report(self) -> Report:
        return Report.from_json((self.folder / "report.json").read_text(encoding="utf-8"))

    def case(self, name: str) -> CaseResult:
        [found] = [case for case in self.report.cases if case.name == name]
        return found


def run_suite(folder: Path, *arguments: str) -> Run:
    """`codeq-contract run`."""
    command = [str(Path(sys.executable).with_name("codeq-contract")), "run", "--report", str(folder), *arguments]
    return _run(command, folder)


def run_cases(folder: Path, cases: str, *arguments: str) -> Run:
    """Pytest with the suite's plugin on cases of our own, in process."""
    file = folder / "test_made_up.py"
    file.write_text(HEAD + cases, encoding="utf-8")
    options = [
        "-c",
        str(folder / "none.ini"),
        "-p",
        "no:cacheprovider",
        "-p",
        "codeq_contract.plugin",
        "-p",
        "no:asyncio",
    ]
    (folder / "none.ini").write_text("[pytest]\n", encoding="utf-8")
    return _run([sys.executable, "-m", "pytest", str(file), *options, f"--codeq-report={folder}", *arguments], folder)


def _run(command: Sequence[str], folder: Path) -> Run:
    # Schemathesis takes seconds to load into each pytest.
    environment = {**os.environ, "PYTEST_ADDOPTS": "-p no:schemathesis"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return Run(done.returncode, done.stdout + done.stderr, folder)
