"""Print the table of clauses for README.md."""

from __future__ import annotations

import sys

from .coverage import markdown

sys.stdout.write(markdown())
