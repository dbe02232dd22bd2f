"""Runs the suite on a fake with a defect, in this process.

As a program (`make mutants`) it prints which cases and laws catch each defect, and what a clean fake is blamed for.
"""

from __future__ import annotations

import io
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.table import Table

import codeq_contract
from codeq_contract.report import Report
from codeq_contract.report.results import Verdict
from tests.mutants.defects import DEFECTS, named
from tests.mutants.histories import laws_broken

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.mutants.defects import Defect

SUITE = Path(codeq_contract.__file__).parent
CASES = SUITE / "cases"
_CLEAN_HISTORIES, _HISTORIES, _AT_ONCE = 1000, 6, 50


@contextmanager
def built_in(defect: Defect) -> Iterator[None]:
    """The fake has this defect until the context ends."""
    with pytest.MonkeyPatch.context() as patch:
        defect.apply(patch)
        yield


def failed_cases(*names: str) -> list[str]:
    """The cases of the suite that fail on a fake in process, each once. `names` runs only these cases.

    A case that ends in an error is not a failure: it says nothing about the fake. Raises RuntimeError when the suite
    did not run.
    """
    printed = io.StringIO()
    options = ["-c", str(SUITE / "suite.ini"), "-q", "--tb=no", "--capture=no"]
    for name in ("codeq_contract.plugin", "no:cacheprovider", "no:faulthandler", "no:unraisableexception"):
        options += ["-p", name]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        # The plugins of the run around this one (timeouts, workers, Hypothesis) take no part. The one for unraisable
        # exceptions would collect the garbage of all earlier tests five times.
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.delenv("PYTEST_ADDOPTS", raising=False)
        places = [_place(name) for name in names] or [str(CASES)]
        pytest.main([*places, *options, f"--codeq-report={folder}"])
        report = Path(folder, "report.json")
        if not report.exists():
            raise RuntimeError(printed.getvalue())
        cases = Report.from_json(report.read_text(encoding="utf-8")).cases
    return list(dict.fromkeys(case.name.partition("[")[0] for case in cases if case.verdict is Verdict.FAILED))


def _place(case: str) -> str:
    """What pytest calls a case."""
    [file] = (file for file in CASES.glob("test_*.py") if f"def {case}(" in file.read_text(encoding="utf-8"))
    return f"{file}::{case}"


def _catch(name: str) -> tuple[list[str], list[str]]:
    """The cases and the laws that catch a defect."""
    with built_in(named(name)):
        return failed_cases(), list(laws_broken(range(_HISTORIES)))


def main() -> None:
    """Print the table; the exit code is 1 when a defect is not caught or the clean fake is blamed."""
    table = Table("defect", "clause", "caught by", "and others", "laws")
    seeds = [range(first, first + _AT_ONCE) for first in range(0, _CLEAN_HISTORIES, _AT_ONCE)]
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        blamed_by = processes.submit(failed_cases)
        broken = processes.map(laws_broken, seeds)
        caught = processes.map(_catch, [defect.name for defect in DEFECTS])
        cases, laws = blamed_by.result(), sorted({law for found in broken for law in found})
        wrong = len(cases) + len(laws)
        said = f"{', '.join(laws) or 'none'} in {_CLEAN_HISTORIES:,} histories"
        table.add_row("none", "", ", ".join(cases) or "nothing", "", said)
        for defect, (cases, laws) in zip(DEFECTS, caught, strict=True):
            is_caught = defect.case in cases
            wrong += not is_caught
            by, others = defect.case if is_caught else "NOTHING", str(len(cases) - is_caught)
            table.add_row(defect.name, defect.clause, by, others, ", ".join(laws))
    Console(width=200).print(table)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
