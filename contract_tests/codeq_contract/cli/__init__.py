"""The command `codeq-contract`, one module for each subcommand."""

from __future__ import annotations

from typing import Any

import click

from .check import check_files
from .load import load_target
from .output import Program
from .record import record_session
from .replay import replay_files
from .run import diff_reports, run_suite

#: What the extra `contract` installs.
_EXTRA = ("docker", "hypothesis", "pytest", "testcontainers")


class _Commands(Program):
    """The subcommands. One that needs the extra `contract` says so where it is not installed."""

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


for _command in (run_suite, diff_reports, load_target, check_files, record_session, replay_files):
    main.add_command(_command)
