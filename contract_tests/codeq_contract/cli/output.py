"""What all commands share: the error that ends one, and counts in their output."""

from __future__ import annotations

import click


class CannotRunError(click.ClickException):
    """The command could not do its work, so that its outcome is neither success nor failure."""

    exit_code = 2


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or the plural."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
