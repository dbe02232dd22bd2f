"""What a command prints: its answer as a table, lines or JSON, and the reason why it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from codeq_fake.serving.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

#: Exit code: the command failed, here or in the fake.
FAILED = 1
#: Exit code: the command was called with invalid arguments.
MISUSED = 2

#: The width of a table in a pipe: no line is broken.
_NO_LIMIT = 10_000


class _Failed(click.ClickException):
    """The command failed. Click shows it after everything is unwound, when no drawing covers the terminal."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - as click declares it
        """Print the reason."""
        tell(self.message)


class _Misused(_Failed):
    """The arguments are invalid."""

    exit_code = MISUSED


def exit_with(reason: str, code: int) -> NoReturn:
    """End the command, with the reason as a line on standard error."""
    raise (_Misused if code == MISUSED else _Failed)(reason)


def tell(what: str) -> None:
    """Print a line on standard error."""
    click.echo(f"codeq-fake: {what}", err=True)


class Answer(NamedTuple):
    """The reply of a fake, and a function that shows it to a person."""

    reply: dict[str, Any]
    show: Callable[[], None]


def say(*lines: str) -> Callable[[], None]:
    """A function that prints lines."""
    return lambda: click.echo("\n".join(map(printable, lines)))


def show_table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, empty: str) -> Callable[[], None]:
    """A function that prints a `table`, or the line `empty` if there are no rows."""

    def show() -> None:
        known = list(rows)
        if not known:
            click.echo(empty)
        else:
            console().print(table(columns, known))

    return show


def console() -> Console:
    """Standard output; in a pipe, lines are not broken."""
    from rich.console import Console  # noqa: PLC0415 - --help needs no tables

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_NO_LIMIT)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Any:  # noqa: ANN401 - a rich Table
    """A table; None is an empty cell. A column with a name that ends with `#` holds numbers."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.rstrip("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        # As Text, so that brackets are not markup.
        made.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    return made
