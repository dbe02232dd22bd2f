"""Clause coverage: each clause of the contract, whether this fake does the same, and how often traffic touched it.

The clauses are data, in `clauses.yaml`. Their facts are in `facts.json`, a copy of those of the contract suite. The
module `coverage` reads both, and is loaded only where it is asked.
"""

from __future__ import annotations

#: The operation under which faults are counted: `(FAULT, kind)`.
FAULT = "fault"
