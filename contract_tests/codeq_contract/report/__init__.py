"""What a run found: as data, as a page to read, and as the difference from another run."""

from __future__ import annotations

from codeq_contract.report.results import CaseResult, Report, Shown

__all__ = ["CaseResult", "Report", "Shown"]
