"""Tries changes at large: `python -m tests.mutants.at_large.run [BEGINNING OF A NAME]...` prints those that survive.

The order is drawn by the commit. A run goes on where the last one ended, as long as no source has changed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import click

from tests.mutants import children, suite
from tests.mutants.at_large.changes import Change, changes
from tests.mutants.at_large.survivors import REASONS, reason_of
from tests.mutants.at_large.trials import SURVIVES, Limits, run
from tests.mutants.building import FAKE

#: The results so far, a line each. The first line has the hash of the sources that they are about.
_RESULTS = Path("build", "changes-at-large.jsonl")


class Results:
    """What killed each change. With `keeps` they are those of earlier runs, too, and kept for the next."""

    def __init__(self, *, keeps: bool) -> None:
        self.verdicts: dict[str, str] = {}
        self._keeps = keeps
        if not keeps:
            return
        sources = [*sorted(FAKE.rglob("*.py")), *suite.CASES]
        title = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
        lines = _RESULTS.read_text(encoding="utf-8").splitlines() if _RESULTS.exists() else []
        if lines[:1] == [title]:
            self.verdicts.update(map(json.loads, lines[1:]))
        else:
            _RESULTS.parent.mkdir(exist_ok=True)
            _RESULTS.write_text(f"{title}\n", encoding="utf-8")

    def add(self, change: Change, killer: str) -> None:
        """Note what killed a change, and print it if that was nothing."""
        self.verdicts[change.name] = killer
        if killer == SURVIVES:
            click.echo(change.name)
        if self._keeps:
            with _RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps([change.name, killer]) + "\n")

    def print_summary(self) -> None:
        """Print for each package how many changes were killed, survived and were set aside, with the reasons."""
        click.echo(f"\n{'package':18}{'changes':>8}{'killed':>8}{'survive':>8}" + "".join(f"{r:>14}" for r in REASONS))
        rows: dict[str, Counter[str]] = {}
        for name, change in changes().items():
            row = rows.setdefault(change.file.partition("/")[0], Counter())
            verdict = self.verdicts.get(name, "")
            row["changes"] += 1
            row[reason_of(change)] += 1
            row["survive" if verdict == SURVIVES else "killed"] += bool(verdict)
        for package, row in rows.items():
            columns = "".join(f"{row[reason]:14}" for reason in REASONS)
            click.echo(f"{package:18}{row['changes']:8}{row['killed']:8}{row['survive']:8}{columns}")


@click.command()
@click.argument("names", metavar="[BEGINNING OF A NAME]...", nargs=-1)
@click.option("--minutes", type=float, default=float("inf"), help="Begin no trial after this time.")
@click.option("--processes", type=int, help="How many trials run at once.  [the number of cores]")
@click.option("--sample", is_flag=True, help="Begin at once: no record of which case reaches what, no earlier results.")
@click.option("--listed", is_flag=True, help="Try what is listed as a survivor, too.")
def main(names: tuple[str, ...], minutes: float, processes: int | None, *, sample: bool, listed: bool) -> None:
    """Print the changes that survive; the exit code is 1 if there is one that is not listed."""
    results = Results(keeps=not (sample or names))
    chosen = [
        name
        for name, change in changes().items()
        if name.startswith(names or "") and name not in results.verdicts and (listed or not reason_of(change))
    ]
    limits = Limits(seconds=60 * minutes, processes=processes, records=not sample)
    files = children.drawn({change.file for change in changes().values()})
    order = sorted((changes()[name] for name in children.drawn(chosen)), key=lambda change: files.index(change.file))
    run(order, limits, results.add)
    results.print_summary()
    survivors = [name for name, verdict in results.verdicts.items() if verdict == SURVIVES]
    sys.exit(any(not reason_of(changes()[name]) for name in survivors))


if __name__ == "__main__":
    main()
