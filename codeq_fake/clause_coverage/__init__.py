"""Clause coverage: each clause of the contract, whether this fake does the same, and how often traffic touched it.

The clauses are data, in `clauses.yaml`.
"""

from __future__ import annotations

from .coverage import coverage, markdown
