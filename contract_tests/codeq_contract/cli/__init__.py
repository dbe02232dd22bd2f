"""The command `codeq-contract`, one module for each subcommand.

A subcommand is loaded when it is called, so that it does not wait for what only others need. The list of all loads
none.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

import click

from .garbage import garbage_kept
from .output import Program


class _Subcommand(NamedTuple):
    """The module and the function of a subcommand, and the first sentence of its help."""

    module: str
    function: str
    help: str


#: In alphabetical order, as click lists them.
_SUBCOMMANDS = MappingProxyType(
    {
        "check": _Subcommand(
            "check",
            "check_files",
            "Check recorded histories against the contract's laws, and print the violations as timelines.",
        ),
        "compare": _Subcommand(
            "compare",
            "compare_targets",
            "Send the same odd requests to two servers, and print each kind of difference.",
        ),
        "diff": _Subcommand("run", "diff_reports", "Print the clauses on which two runs differ."),
        "identities": _Subcommand(
            "identities", "identities", "Make the tokens that the suite needs, for a deployment of yours."
        ),
        "init": _Subcommand(
            "init",
            "write_configuration",
            "Write a configuration of the suite for a deployment, with comments, into FILE [suite.yaml].",
        ),
        "load": _Subcommand(
            "load",
            "load_target",
            "Run producers and workers on a target, drain it, and write the history, for `codeq-contract check`.",
        ),
        "record": _Subcommand(
            "record", "record_session", "Record the traffic between clients and a server, for `codeq-contract replay`."
        ),
        "replay": _Subcommand(
            "replay",
            "replay_files",
            "Replay recordings on a fake and print the differences, at most 20 for each call or callback.",
        ),
        "report": _Subcommand(
            "report",
            "report_trends",
            "Write a page with the trends of several runs: verdicts, rates of races, latencies and durations.",
        ),
        "run": _Subcommand("run", "run_suite", "Run the cases of the contract on a target, and report the results."),
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
        chosen = _SUBCOMMANDS[cmd_name]
        try:
            with garbage_kept():
                command: click.Command = getattr(import_module(f"{__name__}.{chosen.module}"), chosen.function)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)  # without a word, as anywhere during start-up
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands."""
        listed = {name: click.Command(name, help=each.help) for name, each in _SUBCOMMANDS.items()}
        click.Group(commands=listed).format_commands(ctx, formatter)

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
