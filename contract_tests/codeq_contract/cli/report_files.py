"""Reports that commands read from files."""

from __future__ import annotations

from pathlib import Path

from codeq_contract.recordings.format import UNREADABLE
from codeq_contract.report import Report

from .output import CannotRunError


def read_report(path: Path) -> Report:
    """The report in a `report.json`. Raises CannotRunError."""
    try:
        return Report.from_json(path.read_text(encoding="utf-8"))
    except (OSError, *UNREADABLE) as error:
        raise CannotRunError(f"{path} is not a report: {error}") from None
