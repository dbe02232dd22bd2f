"""The command `codeq-fake`: one module for each group of commands.

Modules import click at the top and everything slow inside of functions, so that `--help` is fast.
"""

from __future__ import annotations

from .main import main
