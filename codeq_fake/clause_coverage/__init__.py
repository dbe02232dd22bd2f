"""The ledger: each clause of the contract, how sure it is, and whether this fake does the same.

``python -m codeq_fake.ledger`` prints the table that README.md shows.
"""

from __future__ import annotations

from .report import ledger, markdown

__all__ = ["ledger", "markdown"]
