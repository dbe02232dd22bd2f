"""The command `codeq-contract`, one module for each subcommand."""

from __future__ import annotations

import click

from .check import check_files
from .load import load_target
from .record import record_session
from .replay import replay_files
from .run import diff_reports, run_suite


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check a CodeQ server against its contract."""


for _command in (run_suite, diff_reports, load_target, check_files, record_session, replay_files):
    main.add_command(_command)
