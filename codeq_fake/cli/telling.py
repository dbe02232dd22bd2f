"""What a command says beside its result, and how it ends when it cannot have one."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

#: The machine, or the fake that was asked, says no.
FAILED = 1
#: The caller asked for what cannot be meant.
MISUSED = 2


def exit_with(reason: str, code: int) -> NoReturn:
    """Say on standard error why there is no result, in one line, and end."""
    tell(reason)
    sys.exit(code)


def tell(what: str) -> None:
    """Say a line on standard error."""
    click.echo(f"codeq-fake: {what}", err=True)
