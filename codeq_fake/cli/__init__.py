"""The command ``codeq-fake``: one module a group of its commands.

A module imports click at its top and what its commands need where they need it, so that ``--help`` answers at once.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
