"""What a case says of itself: its group, the clauses it checks, and what it needs."""

from __future__ import annotations

import pytest

from codeq_contract.report.verdicts import InconclusiveError, Sighting

__all__ = ["InconclusiveError", "Sighting", "clause", "concurrent", "core", "needs", "timed", "webhooks"]

core = pytest.mark.core
timed = pytest.mark.timed
concurrent = pytest.mark.concurrent
webhooks = pytest.mark.webhooks


def clause(*ids: str) -> pytest.MarkDecorator:
    """The clauses of the contract that a case checks."""
    return pytest.mark.clause(*ids)


def needs(*features: str) -> pytest.MarkDecorator:
    """What a target must have for the case to say anything of it."""
    return pytest.mark.needs(*features)
