"""Runs the suite, and random histories, on a fake with a defect.

As a program it prints which cases and laws catch which defect, and whether a clean fake is blamed (``make mutants``).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from codeq_contract.report import Report
from codeq_contract.report.verdicts import Verdict
from tests.mutants.defects import DEFECTS

if TYPE_CHECKING:
    from tests.mutants.defects import Defect

ROOT = Path(__file__).parents[2]
_CLEAN_HISTORIES, _HISTORIES = 1000, 6
_PLUGINS = ("codeq_contract.plugin", "tests.mutants.plugin", "no:cacheprovider", "no:schemathesis")


def caught_by(defect: Defect | None, *, only: str = "") -> list[str]:
    """The cases of the suite that fail in process on a fake with this defect, each once; None is the clean fake.

    A case that ends in an error caught nothing: a defect that itself breaks is none. ``only`` runs the cases of that
    name alone. Raises RuntimeError when the suite did not run.
    """
    plugins = [argument for name in _PLUGINS for argument in ("-p", name)]
    command = [sys.executable, "-m", "pytest", *plugins, "--pyargs", "codeq_contract", "-q", "--tb=no"]
    command += ["--mutant", defect.name] if defect is not None else []
    command += ["-k", only] if only else []
    with TemporaryDirectory() as folder:
        command += ["--codeq-report", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        told = Path(folder, "report.json")
        if not told.exists():
            raise RuntimeError(done.stdout + done.stderr)
        cases = Report.from_json(told.read_text(encoding="utf-8")).cases
    return list(dict.fromkeys(case.name.partition("[")[0] for case in cases if case.verdict is Verdict.FAILED))


def laws_broken_on(defect: Defect | None, *, histories: int) -> list[str]:
    """The checker's laws that some of so many random histories break on a fake with this defect; None is the clean one.

    Raises subprocess.CalledProcessError when they could not be had.
    """
    command = [sys.executable, "-m", "tests.mutants.histories", str(histories)]
    command += [defect.name] if defect is not None else []
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [line.partition(" ")[0] for line in done.stdout.splitlines()]


def main() -> None:
    """Print the table; the exit code is 1 when a defect got away or the clean fake was blamed."""
    table = Table("defect", "clause", "caught by", "and others", "laws")
    got_away = 0
    for defect in (None, *DEFECTS):
        cases = caught_by(defect)
        laws = laws_broken_on(defect, histories=_CLEAN_HISTORIES if defect is None else _HISTORIES)
        if defect is None:
            got_away += len(cases) + len(laws)
            said = f"{', '.join(laws) or 'none'} in {_CLEAN_HISTORIES:,} histories"
            table.add_row("none", "", ", ".join(cases) or "nothing", "", said)
            continue
        caught = defect.case in cases
        got_away += not caught
        others = str(len(cases) - caught)
        table.add_row(defect.name, defect.clause, defect.case if caught else "NOTHING", others, ", ".join(laws))
    Console(width=200).print(table)
    sys.exit(1 if got_away else 0)


if __name__ == "__main__":
    main()
