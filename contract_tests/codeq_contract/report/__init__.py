"""The results of a run: as data, as a page, and as the difference from another run."""

from __future__ import annotations

from .results import CaseResult, Report, ShownExchange
