"""The command `codeq-contract report`, and the reports that commands read from files."""

from __future__ import annotations

from pathlib import Path

import click

from codeq_contract.recordings.format import UNREADABLE
from codeq_contract.report import Report
from codeq_contract.report.trends import Trends, trends_page

from .output import CannotRunError, counted


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), default="trends.html", show_default=True, help="The page."
)
def report_trends(runs: tuple[Path, ...], out: Path) -> None:
    """Write a page with the trends of several runs: verdicts, rates of races, latencies and durations.

    RUN is a folder of `run --report`, or a report.json. The page needs no script and no other file.

    Exit status: 0 written, 2 a RUN is not a report, or the page cannot be written.
    """
    reports = [read_report(run / "report.json" if run.is_dir() else run) for run in runs]
    try:
        out.write_text(trends_page(reports), encoding="utf-8")
    except OSError as error:
        raise CannotRunError(str(error)) from None
    changed = len(Trends.of(reports).changed_facts)
    click.echo(f"{out}: {counted(len(reports), 'run')}, {counted(changed, 'fact')} with different verdicts")


def read_report(path: Path) -> Report:
    """The report in a `report.json`. Raises CannotRunError."""
    try:
        return Report.from_json(path.read_text(encoding="utf-8"))
    except (OSError, *UNREADABLE) as error:
        raise CannotRunError(f"{path} is not a report: {error}") from None
