"""Private names of httpx: the module of its command, which the package imports.

That module loads libraries for a coloured terminal, and takes longer than all the rest of httpx.
"""

from __future__ import annotations

import sys


def import_without_command() -> None:
    """Let this process import httpx as if the libraries of its command were not installed."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as Python's manual has it
