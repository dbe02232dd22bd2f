"""Print the ledger's table for README.md."""

from __future__ import annotations

import sys

from .report import markdown

sys.stdout.write(markdown())
