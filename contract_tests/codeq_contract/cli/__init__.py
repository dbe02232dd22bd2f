"""The command `codeq-contract`, one module for each subcommand.

A subcommand is loaded when it is called, so that it does not wait for what only others need.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from types import MappingProxyType
from typing import Any

import click

from .output import Program

#: The module and the function of each subcommand, in alphabetical order as click lists them.
_SUBCOMMANDS = MappingProxyType(
    {
        "check": ("check", "check_files"),
        "compare": ("compare", "compare_targets"),
        "diff": ("run", "diff_reports"),
        "identities": ("identities", "identities"),
        "init": ("init", "write_configuration"),
        "load": ("load", "load_target"),
        "record": ("record", "record_session"),
        "replay": ("replay", "replay_files"),
        "report": ("report", "report_trends"),
        "run": ("run", "run_suite"),
    }
)

#: What the extra `contract` installs.
_EXTRA = ("docker", "hypothesis", "pytest", "testcontainers")


class _Commands(Program):
    """The subcommands. One that needs the extra `contract` says so where it is not installed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click declares it
        """Their names."""
        return list(_SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Load the subcommand of that name. None if there is no such name."""
        if cmd_name not in _SUBCOMMANDS:
            return None
        module, function = _SUBCOMMANDS[cmd_name]
        try:
            command: click.Command = getattr(import_module(f"{__name__}.{module}"), function)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)  # without a word, as anywhere during start-up
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click's
        """Call the subcommand."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            if (missing.name or "").partition(".")[0] not in _EXTRA:
                raise
            raise click.ClickException(
                f"this needs {missing.name}, which the extra `contract` brings: pip install 'codeq-fake[contract]'"
            ) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check a CodeQ server against its contract."""
