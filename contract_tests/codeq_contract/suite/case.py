"""The declarations of a case: its group, the facts that it checks, and the features that it needs."""

from __future__ import annotations

import pytest

from codeq_contract.report.results import InconclusiveError, Sighting

__all__ = [
    "InconclusiveError",
    "Sighting",
    "checks",
    "concurrent",
    "core",
    "needs",
    "only",
    "recorded",
    "shows",
    "timed",
    "unless",
    "webhooks",
]

core = pytest.mark.core
timed = pytest.mark.timed
concurrent = pytest.mark.concurrent
webhooks = pytest.mark.webhooks
recorded = pytest.mark.recorded


checks = pytest.mark.checks
"""The facts that a case checks: it fails if one of them is wrong."""

shows = pytest.mark.shows
"""The clauses that a recording shows. A recording names no facts: it is one of many observations."""

only = pytest.mark.only
"""The version that has the case, if its facts do not say so."""

unless = pytest.mark.unless
"""The store on which a case does not hold, if its facts do not say so."""

needs = pytest.mark.needs
"""The features that a case needs, besides those of its facts. On a target without them it is unsupported."""
