"""The declarations of a case: its group, the clauses that it checks, and the features that it needs."""

from __future__ import annotations

import pytest

from codeq_contract.report.results import InconclusiveError, Sighting

__all__ = ["InconclusiveError", "Sighting", "clause", "concurrent", "core", "needs", "timed", "webhooks"]

core = pytest.mark.core
timed = pytest.mark.timed
concurrent = pytest.mark.concurrent
webhooks = pytest.mark.webhooks


clause = pytest.mark.clause
"""The clauses of the contract that a case checks."""

needs = pytest.mark.needs
"""The features that a case needs. On a target without them it is unsupported."""
