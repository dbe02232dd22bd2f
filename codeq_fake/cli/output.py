"""What a command says beside its result, and how it ends when it cannot have one."""

from __future__ import annotations

from typing import IO, Any, NoReturn

import click

#: The machine, or the fake that was asked, says no.
FAILED = 1
#: The caller asked for what cannot be meant.
MISUSED = 2


class _Failed(click.ClickException):
    """There is no result. Shown once everything is unwound: what draws on the screen has left it then."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - as click declares it
        """Say why."""
        tell(self.message)


class _Misused(_Failed):
    """There can be no result of what was asked for."""

    exit_code = MISUSED


def exit_with(reason: str, code: int) -> NoReturn:
    """End the command; on standard error one line says why there is no result."""
    raise (_Misused if code == MISUSED else _Failed)(reason)


def tell(what: str) -> None:
    """Say a line on standard error."""
    click.echo(f"codeq-fake: {what}", err=True)
