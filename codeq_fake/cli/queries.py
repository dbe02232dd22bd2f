"""The commands that ask a running fake: the options that they share, and the two ways to show what it answers."""

from __future__ import annotations

import json
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from codeq_fake.serving.terminal_text import printable

from .options import flag
from .remote import Fake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

_NO_LIMIT = 10_000


class Asked(NamedTuple):
    """Which fake is asked, and whether a machine reads the answer."""

    fake: Fake
    as_json: bool


class Answer(NamedTuple):
    """What the fake has answered, and how to show it to a person."""

    reply: dict[str, Any]
    show: Callable[[], None]


def fake_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options ``--url``, ``--control-token`` and ``--json``; it gets what they mean as Asked."""

    @click.option(
        "--url", envvar="CODEQ_BASE_URL", default="http://127.0.0.1:8080", show_default=True, help="Where the fake is."
    )
    @flag("control-token", metavar="TEXT", help="Bearer token for its control API.")
    @click.option("--json", "as_json", is_flag=True, help="Print the answer as one line of JSON.")
    @wraps(command)
    def with_options(*, url: str, control_token: str | None, as_json: bool, **arguments: Any) -> None:
        command(Asked(Fake(url, control_token), as_json), **arguments)

    return with_options


def asking(command: Callable[..., Answer]) -> Callable[..., None]:
    """A command that asks the ``fake`` that its options mean, and shows the answer, or prints it as JSON."""

    @fake_options
    @wraps(command)
    def asked(where: Asked, **arguments: Any) -> None:
        answer = command(where.fake, **arguments)
        if where.as_json:
            click.echo(json.dumps(answer.reply))
        else:
            answer.show()

    return asked


def say(*lines: str) -> Callable[[], None]:
    """Show some lines."""
    return lambda: click.echo("\n".join(map(printable, lines)))


def show_table(columns: Iterable[str], rows: Iterable[Iterable[object]], *, empty: str) -> Callable[[], None]:
    """Show what :func:`table` makes, or ``empty`` when there is no row."""

    def show() -> None:
        known = list(rows)
        if not known:
            click.echo(empty)
        else:
            console().print(table(columns, known))

    return show


def console() -> Console:
    """Standard output; whoever reads it from a pipe gets whole lines."""
    from rich.console import Console  # noqa: PLC0415 - only what is drawn needs it, and only for people

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_NO_LIMIT)


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Any:  # noqa: ANN401 - a rich Table
    """A table of what ``rows`` hold; None is an empty cell. A column whose name ends with a ``#`` holds numbers."""
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.rstrip("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        # As Text: what is between brackets is no markup here.
        made.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    return made
