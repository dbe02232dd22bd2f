"""Variables of the environment that nobody reads, though their names look as if somebody would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from codeq_fake.settings.model import VARIABLES
from codeq_fake.settings.sources import near_misses

from .output import tell

if TYPE_CHECKING:
    from collections.abc import Mapping


def without_slips(environ: Mapping[str, str]) -> Mapping[str, str]:
    """``environ`` without what is nearly a setting. Of that, and of what is nearly an option, it is told.

    Not refused: the environment is often not made for this command alone.
    """
    meant = near_misses(environ, VARIABLES) | near_misses(environ, _options())
    for name in sorted(meant):
        tell(f"{name} is not read; {meant[name]} is")
    return {name: value for name, value in environ.items() if name not in meant}


def _options() -> frozenset[str]:
    """The variables that are options, of whichever command."""
    root = click.get_current_context().find_root().command
    commands = root.commands.values() if isinstance(root, click.Group) else (root,)
    return frozenset(str(option.envvar) for command in commands for option in command.params if option.envvar)
