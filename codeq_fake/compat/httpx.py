"""Insides of httpx: its command, which it loads with the library."""

from __future__ import annotations

import sys
from importlib import import_module

_COMMAND = "httpx._main"


def load() -> None:
    """Load httpx without its command, which loads rich and pygments: a third of the time that the import takes.

    Only for our own programs: `httpx.main` says afterwards that it is not installed.
    """
    if "httpx" in sys.modules:
        return
    sys.modules[_COMMAND] = None  # type: ignore[assignment] # so Python notes that a module must not be imported
    try:
        _ = import_module("httpx")
    finally:
        del sys.modules[_COMMAND]
