"""Tries changes at large: `python -m tests.mutants.at_large.run [BEGINNING OF A NAME]...` prints those that survive.

The order is drawn by the commit. A run goes on where the last one ended.
"""

from __future__ import annotations

import sys

import click

from codeq_contract.driver.clocks import RealClock
from codeq_contract.recordings.times import SECOND
from tests.mutants import children
from tests.mutants.at_large.cases import SURVIVES
from tests.mutants.at_large.changes import changes
from tests.mutants.at_large.results import Results
from tests.mutants.at_large.survivors import reason_of
from tests.mutants.at_large.trials import Limits, run

#: So many changes are tried before it is known which of them survive.
_AT_A_TIME = 500


@click.command()
@click.argument("names", metavar="[BEGINNING OF A NAME]...", nargs=-1)
@click.option("--minutes", type=float, default=float("inf"), help="Begin no trial after this time.")
@click.option("--processes", type=int, help="How many trials run at once.  [the number of cores]")
@click.option("--sample", is_flag=True, help="Begin at once: no record of which case reaches what, no earlier results.")
@click.option("--listed", is_flag=True, help="Try what is listed as a survivor, too.")
def main(names: tuple[str, ...], minutes: float, processes: int | None, *, sample: bool, listed: bool) -> None:
    """Print the changes that survive; the exit code is 1 if there is one that is not listed."""
    results = Results(keeps=not sample)
    chosen = [
        name
        for name, change in changes().items()
        if name.startswith(names or "") and name not in results.verdicts and (listed or not reason_of(change))
    ]
    files = children.drawn({change.file for change in changes().values()})
    order = sorted((changes()[name] for name in children.drawn(chosen)), key=lambda change: files.index(change.file))
    limits = Limits(RealClock().steady() + 60 * minutes * SECOND, processes, records=not sample)
    for first in range(0, len(order), _AT_A_TIME):
        run(order[first : first + _AT_A_TIME], limits, results.add)
    results.print_summary()
    survivors = [name for name, verdict in results.verdicts.items() if verdict == SURVIVES]
    sys.exit(any(not reason_of(changes()[name]) for name in survivors))


if __name__ == "__main__":
    main()
