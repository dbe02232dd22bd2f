"""Searches the gallery: how many runs find each broken program, and how many the right ones survive.

Run `make gallery`.
"""

from __future__ import annotations

import sys
from math import inf
from time import monotonic

import click

from codeq_fake.cli.search_display import progress_console

from .scenarios import SCENARIOS
from .survey import Survey

_SECONDS_PER_MINUTE = 60
#: How many seeds of failed runs are printed.
_SEEDS = 5


@click.command()
@click.option("--searches", default=10, show_default=True, help="Searches for each broken program.")
@click.option("--most", default=200, show_default=True, help="Runs of a search.")
@click.option("--right", default=2000, show_default=True, help="Runs of each right program.")
@click.option("--minutes", default=inf, help="Begin no run of a right program after so many minutes.")
@click.option("--processes", type=click.IntRange(min=1), help="How many processes run. The default is all cores.")
@click.option("--first-seed", default=0, show_default=True, help="The seed of the first run.")
@click.option("--only", default="", help="The name of one program.")
def main(
    *, searches: int, most: int, right: int, minutes: float, processes: int | None, first_seed: int, only: str
) -> None:
    """Search all programs, print a table, and exit with 1 if a broken one was not found or a right one has failed."""
    until = monotonic() + minutes * _SECONDS_PER_MINUTE
    survey = Survey(searches=searches, most=most, right=right, until=until, first_seed=first_seed)
    programs = [index for index, scenario in enumerate(SCENARIOS) if only in ("", scenario.name)]
    console = progress_console(quiet=False)
    findings = list(survey.findings(programs, processes, console))
    print(f"{'program':26}{'runs needed (median, most)':>28}{'runs of the right one':>24}  failed seeds")
    is_well = True
    for finding in findings:
        is_well = is_well and finding.is_well
        failed = ", ".join(map(str, finding.right.failed[:_SEEDS])) or "none"
        print(f"{finding.name:26}{finding.needed_text:>28}{finding.right.runs:>24}  {failed}")
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
