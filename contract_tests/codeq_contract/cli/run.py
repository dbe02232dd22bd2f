"""The commands `codeq-contract run` and `codeq-contract diff`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from codeq_contract.report.page import page
from codeq_contract.report.results import GROUPS, disparities
from codeq_contract.suite.options import Options, OptionsError, suite_options

from .garbage import GarbageOfCases, garbage_kept
from .output import background_output
from .report import read_report

if TYPE_CHECKING:
    from .progress import Display

CASES = Path(__file__).parents[1] / "cases"
HARNESS_ERROR = 2

#: pytest's exit codes of a run with a report: passed, failed, interrupted, and nothing selected.
_FINISHED = frozenset({0, 1, 2, 5})


@click.command("run")
@suite_options()
@click.option("-k", "keyword", metavar="EXPRESSION", help="Only cases whose names match; the levels are partial then.")
@click.option("--dry-run", is_flag=True, help="List the cases, and do nothing.")
@click.option("--yes", is_flag=True, help="Let cases delete old tasks of anyone on a deployment.")
@background_output(is_product=True)
def run_suite(*, keyword: str | None, dry_run: bool, yes: bool, **given: str | None) -> None:
    """Run the cases of the contract on a target, and report the results.

    On a deployment all names are unique to this run, its tasks are ended, and other queues are not touched. The cases
    go on while the output is not read.

    Exit status: 0 passed, 1 failed, 2 the suite could not be run, 3 partial: not all of the contract was checked.
    """
    yes = yes or (not dry_run and _allows_clean_up(given))
    chosen = [f"--codeq-{name.replace('_', '-')}={text}" for name, text in given.items() if text]
    flags = ["--codeq-dry-run"] * dry_run + ["--codeq-yes"] * yes + [f"-k={keyword}"] * bool(keyword)
    console = Console(soft_wrap=True)
    code, display = _pytest([*chosen, *flags], console)
    if dry_run:
        sys.exit(0 if code == 0 else HARNESS_ERROR)
    if code not in _FINISHED or display.outcome is None:
        sys.exit(HARNESS_ERROR)
    display.print_outcome(display.outcome)
    sys.exit(display.outcome.exit_code)


def _allows_clean_up(given: Mapping[str, str | None]) -> bool:
    """Ask the user at a terminal. Without a terminal nothing is deleted."""
    try:
        options = Options.read(given, os.environ)
    except OptionsError:
        return False
    admin = options.admin_token or options.token_command or options.tokens.get("admin")
    if options.target != "url" or options.yes or not admin or not sys.stdin.isatty():
        return False
    return click.confirm(
        "Cases about clean-up (R16) make the server delete all tasks without an update for 24 hours, of any owner. "
        "Run them too?"
    )


def _pytest(arguments: Sequence[str], console: Console) -> tuple[int, Display]:
    """Run all cases with pytest and our display. Returns pytest's exit code, and the display."""
    if find_spec("hypothesis") is None:
        # The cases need it, but are loaded only when a server has answered.
        raise ModuleNotFoundError(name="hypothesis")
    settings = ["-c", str(CASES.with_name("suite.ini")), f"--rootdir={CASES.parent}", "--capture=no"]
    # No other installed plugin of pytest or of Hypothesis takes part in the run.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"
    plugins = ["-p", "no:terminalreporter", "-p", "codeq_contract.plugin"]
    with garbage_kept():
        import pytest  # noqa: PLC0415 - slow to import, and only this command needs it

        from .progress import Display  # noqa: PLC0415 - imports pytest

        display = Display(console)
        return pytest.main([str(CASES), *settings, *plugins, *arguments], plugins=[display, GarbageOfCases()]), display


@click.command("diff")
@click.argument("ours", metavar="A.json", type=click.Path(path_type=Path))
@click.argument("theirs", metavar="B.json", type=click.Path(path_type=Path))
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with both runs side by side.")
def diff_reports(ours: Path, theirs: Path, html: Path | None) -> None:
    """Print the clauses on which two runs differ.

    Exit status: 0 no difference, 1 differences, 2 a file is not a report.
    """
    first, second = read_report(ours), read_report(theirs)
    if html is not None:
        html.write_text(page([first, second]), encoding="utf-8")
    differing = disparities(first, second)
    from rich.markup import escape  # noqa: PLC0415 - only this command needs it
    from rich.table import Column, Table  # noqa: PLC0415 - as above

    table = Table("Clause", "", first.target, second.target, Column("Cases", overflow="fold"))
    for each in differing:
        table.add_row(each.clause, escape(each.title), each.ours, each.theirs, escape("\n".join(each.cases)))
    if differing:
        Console().print(table)
    levels = ", ".join(f"{group} {first.levels[group]} and {second.levels[group]}" for group in GROUPS)
    click.echo(f"{len(differing)} of {len(first.clauses)} clauses differ; {levels}")
    sys.exit(1 if differing else 0)
