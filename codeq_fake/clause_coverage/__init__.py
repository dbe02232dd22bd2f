"""Clause coverage: each clause of the contract, whether this fake does the same, and how often traffic touched it.

The clauses are data, in `clauses.yaml`. Their facts are in `facts.json`, a copy of those of the contract suite.
"""

from __future__ import annotations

from .coverage import coverage, markdown
