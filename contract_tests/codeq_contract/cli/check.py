"""The command `codeq-contract check`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from codeq_contract.checker import CheckResult, Judgement, Validity, check_file
from codeq_contract.checker.timeline import timeline
from codeq_contract.recordings.format import UNREADABLE, RecordingError

from .garbage import garbage_kept
from .output import CannotRunError, counted, printable

_EXIT_CODES = {Validity.VALID: 0, Validity.VIOLATED: 1, Validity.UNKNOWN: 3}
_COLOURS = {Validity.VALID: "green", Validity.VIOLATED: "red", Validity.UNKNOWN: "yellow"}
_SHOWN = 3


@click.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help=f"Print every violation of a law, not only the first {_SHOWN}.")
def check_files(files: tuple[Path, ...], *, every: bool) -> None:
    """Check recorded histories against the contract's laws, and print the violations as timelines.

    FILE is a recording, plain or with gzip (*.gz). Its calls may overlap. The check assumes that no other client called
    the server meanwhile. A law counts as violated only if every possible timing of the calls violates it. It is
    unknown if a call without a reply may explain the violation.

    Exit status: 0 valid, 1 violated, 2 a file cannot be read, 3 unknown.
    """
    console = Console(highlight=False, soft_wrap=True)
    # A history has millions of objects and no cycles. To look for cycles would take a quarter of the time.
    with garbage_kept():
        validities = [_check(file, console, most=None if every else _SHOWN) for file in files]
    worst = (Validity.VIOLATED, Validity.UNKNOWN, Validity.VALID)
    sys.exit(next(_EXIT_CODES[validity] for validity in worst if validity in validities))


def _check(file: Path, console: Console, *, most: int | None) -> Validity:
    """Check a file and print the result. Raises CannotRunError if it cannot be read."""
    try:
        result = check_file(file)
    except (OSError, RecordingError) as error:
        raise CannotRunError(str(error)) from None
    except UNREADABLE as error:
        raise CannotRunError(f"{file}: not a recording that this release reads: {error!r:.200}") from None
    _print(result, console, most)
    return result.validity


def _print(result: CheckResult, console: Console, most: int | None) -> None:
    """Print the size of a history, its validity, and a row for each law unless all of them hold."""
    header = result.header
    counts = {"call": result.calls, "callback": result.callbacks, "task": result.tasks}
    size = ", ".join(counted(number, noun) for noun, number in counts.items())
    console.print(f"{header.profile}/{header.name}: {size}: {_coloured(result.validity)}")
    if result.validity is Validity.VALID:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for judgement in result.judgements:
        law = judgement.law
        table.add_row(f"  {_coloured(judgement.validity)}", law.name, law.clauses, _summary(judgement))
    console.print(table)
    for judgement in result.judgements:
        _print_violations(judgement, console, header.epoch, most)


def _summary(judgement: Judgement) -> str:
    races = Counter(violation.race for violation in judgement.violations)
    parts = [
        f"{counted(number, 'task')}{f', looks like {race}' if race else ''}" for race, number in sorted(races.items())
    ]
    if judgement.doubtful:
        parts.append(f"{counted(len(judgement.doubtful), 'task')} in doubt")
    return "; ".join(parts)


def _print_violations(judgement: Judgement, console: Console, epoch: int, most: int | None) -> None:
    """Print at most `most` violations with their timelines, or the doubtful ones of a law without violations."""
    violations = judgement.violations or judgement.doubtful
    for violation in violations[:most]:
        race = f" Looks like {violation.race}." if violation.race else ""
        text = escape(printable(f"{violation.task_id} {violation.message}.{race}"))
        console.print(f"\n[bold]{judgement.law.title}[/] ({judgement.law.clauses}): {text}")
        console.print(timeline(violation, epoch=epoch))
    more = len(violations) - len(violations[:most])
    if more:
        console.print(f"\n{judgement.law.name}: {more} more; --all prints them.")


def _coloured(validity: Validity) -> str:
    return f"[{_COLOURS[validity]}]{validity.value}[/]"
