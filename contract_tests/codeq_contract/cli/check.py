"""The command `codeq-contract check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from codeq_contract.checker.judgements import Report, Verdict, check
from codeq_contract.checker.timeline import timeline
from codeq_contract.recordings.format import RecordingError, read_recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_contract.checker.judgements import Judgement
    from codeq_contract.checker.laws import Breach

_EXIT_CODES = {Verdict.VALID: 0, Verdict.VIOLATED: 1, Verdict.UNKNOWN: 3}
_COLOURS = {Verdict.VALID: "green", Verdict.VIOLATED: "red", Verdict.UNKNOWN: "yellow"}
_CANNOT_RUN = 2
_SHOWN = 3


@click.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help=f"Draw every breach of a law, not just the first {_SHOWN}.")
def check_files(files: tuple[Path, ...], *, every: bool) -> None:
    """Hold recorded histories to the contract's laws, and draw what breaks one.

    FILE is a recording in which many may have called at once, as it is or with gzip (*.gz). It is judged as if nobody
    else had called the server meanwhile. A law is valid unless something breaks it, whatever the timing; unknown when
    a call without a reply may explain what would break it.

    Exit status: 0 valid, 1 violated, 2 a file cannot be read, 3 unknown.
    """
    console = Console(highlight=False, soft_wrap=True)
    verdicts = [_check(file, console, shown=None if every else _SHOWN) for file in files]
    worst = (Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.VALID)
    sys.exit(next(_EXIT_CODES[verdict] for verdict in worst if verdict in verdicts))


def _check(file: Path, console: Console, *, shown: int | None) -> Verdict:
    try:
        report = check(read_recording(file))
    except (OSError, RecordingError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(_CANNOT_RUN)
    _print(report, console, shown)
    return report.verdict


def _print(report: Report, console: Console, shown: int | None) -> None:
    header = report.recording.header
    counts = {"call": len(report.recording.calls), "callback": len(report.recording.callbacks), "task": report.tasks}
    size = ", ".join(_count(number, noun) for noun, number in counts.items())
    console.print(f"{header.profile}/{header.name}: {size}: {_coloured(report.verdict)}")
    if report.verdict is Verdict.VALID:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for judgement in report.judgements:
        law = judgement.law
        table.add_row(f"  {_coloured(judgement.verdict)}", law.name, law.clauses, _summary(judgement))
    console.print(table)
    for judgement in report.judgements:
        _draw(judgement, console, header.epoch, shown)


def _summary(judgement: Judgement) -> str:
    races: dict[str, int] = {}
    for breach in judgement.breaches:
        races[breach.race] = races.get(breach.race, 0) + 1
    parts = [
        f"{_count(count, 'task')}{f', looks like {race}' if race else ''}" for race, count in sorted(races.items())
    ]
    if judgement.doubtful:
        parts.append(f"{_count(len(judgement.doubtful), 'task')} in doubt")
    return "; ".join(parts)


def _draw(judgement: Judgement, console: Console, epoch: int, shown: int | None) -> None:
    breaches: Sequence[Breach] = judgement.breaches or judgement.doubtful
    for breach in breaches[:shown]:
        race = f" Looks like {breach.race}." if breach.race else ""
        says = escape(f"{breach.task_id} {breach.says}.{race}")
        console.print(f"\n[bold]{judgement.law.says}[/] ({judgement.law.clauses}): {says}")
        console.print(timeline(breach, epoch=epoch))
    more = len(breaches) - len(breaches[:shown])
    if more:
        console.print(f"\n{judgement.law.name}: {more} more; --all draws them.")


def _coloured(verdict: Verdict) -> str:
    return f"[{_COLOURS[verdict]}]{verdict.value}[/]"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
