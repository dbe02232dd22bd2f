"""Tables: at a terminal cut to its width, with short ids and relative times; in a pipe with whole values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

from codeq_fake.serving.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: The width of a table in a pipe: no line is broken.
_NO_LIMIT = 10_000
#: At a terminal an id is cut to so many characters, or to more if two of a table begin alike.
_SHORT_ID = 8
#: A text is cut to so many characters, and prose is folded at so many, before a whole column is left out.
_SHORT_TEXT, _SHORT_PROSE = 10, 24
#: What rich leaves between two columns.
_GAP = 2


class Kind(Enum):
    """What a column holds. That decides how its cells look at a terminal."""

    TEXT = auto()  # cut where the table is too wide
    PROSE = auto()  # folded, or cut where each row has to be one line
    NUMBER = auto()
    ID = auto()  # short
    TIME = auto()  # RFC 3339; relative to the fake's clock
    STATE = auto()  # a state or a status, with its colour
    PIPE = auto()  # a text that is not shown at a terminal
    SCREEN = auto()  # a text that is only shown at a terminal


_FLEXIBLE = (Kind.TEXT, Kind.SCREEN, Kind.PROSE)

#: The columns of a table by their names.
Columns: TypeAlias = Mapping[str, Kind]

_COLORS: Mapping[str, str] = MappingProxyType(
    {
        "ready": "cyan",
        "delayed": "yellow",
        "leased": "blue",
        "completed": "green",
        **dict.fromkeys(("over", "lost", "unleased", "failed", "dead", "5", "no reply", "blocked"), "red"),
        "2": "green",
        "4": "yellow",
        "delivered": "green",
        "pending": "yellow",
    }
)


def console() -> Console:
    """Standard output; in a pipe, lines are not broken."""
    from rich.console import Console  # noqa: PLC0415 - --help needs no tables

    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_NO_LIMIT)


def show_table(
    columns: Columns, rows: Iterable[Sequence[object]], *, empty: str, now: Callable[[], int] = lambda: 0
) -> Callable[[], None]:
    """A function that prints a table, or the line `empty` if there are no rows.

    `now` asks for the fake's time (ns), which a table with times needs.
    """

    def show() -> None:
        known = list(rows)
        if not known:
            click.echo(empty)
            return
        out = console()
        out.print(screen_table(columns, known, now(), out.width) if out.is_terminal else whole_table(columns, known))

    return show


def whole_table(columns: Columns, rows: Sequence[Sequence[object]]) -> Table:
    """A table for a pipe. None is an empty cell."""
    table = _empty_table()
    shown = [number for number, kind in enumerate(columns.values()) if kind is not Kind.SCREEN]
    names = list(columns)
    for number in shown:
        table.add_column(names[number], justify=_justify(columns[names[number]]), overflow="fold")
    for row in rows:
        table.add_row(*(_text(_plain(row[number])) for number in shown))
    return table


def screen_table(
    columns: Columns, rows: Sequence[Sequence[object]], now: int, width: int, *, folds: bool = True
) -> Table:
    """A table for a terminal, at the fake's time `now` (ns). Each row is one line, unless prose `folds` into several.

    Columns without any value are left out, and the last ones if there is no room for them.
    """
    cells = {
        name: [_cell(text, kind, now, folds=folds) for text in _cut_ids([_plain(row[number]) for row in rows], kind)]
        for number, (name, kind) in enumerate(columns.items())
        if kind is not Kind.PIPE and any(row[number] not in (None, "") for row in rows)
    }
    needed = {name: _least_width(name, cells[name], columns[name]) for name in cells}
    while sum(needed.values()) + _GAP * (len(needed) - 1) > width and len(cells) > 1:
        last, _ = cells.popitem()
        del needed[last]
    table = _empty_table()
    for name in cells:
        # Rich makes columns narrower that may wrap, and only if that is not enough the others.
        is_fixed = columns[name] not in _FLEXIBLE
        title, justify = _text(name, is_cut=True), _justify(columns[name])
        table.add_column(title, justify=justify, no_wrap=is_fixed, min_width=needed[name])
    for row in zip(*cells.values(), strict=True):
        table.add_row(*row)
    return table


def _least_width(name: str, cells: Sequence[Text], kind: Kind) -> int:
    """The least width of a column: a text may be cut, and prose folded."""
    widest = max(len(name), *(cell.cell_len for cell in cells))
    if kind not in _FLEXIBLE:
        return widest
    return min(widest, max(_SHORT_PROSE if kind is Kind.PROSE else _SHORT_TEXT, len(name)))


def _empty_table() -> Table:
    from rich.table import Table  # noqa: PLC0415 - as above

    return Table(box=None, pad_edge=False, header_style="bold")


def _justify(kind: Kind) -> Literal["left", "right"]:
    return "right" if kind is Kind.NUMBER else "left"


def _cell(text: str, kind: Kind, now: int, *, folds: bool) -> Text:
    if kind is Kind.TIME:
        return _text(relative(text, now) if text else "")
    style = _COLORS.get(text) or _COLORS.get(text[:1], "") if kind is Kind.STATE else ""
    return _text(text, style=style, is_cut=kind in _FLEXIBLE and not (folds and kind is Kind.PROSE))


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _text(text: str, *, style: str = "", is_cut: bool = False) -> Text:
    """A cell. As Text, so that brackets are not markup."""
    from rich.text import Text  # noqa: PLC0415 - as above

    shown = printable(text)
    return Text(shown, style=style, no_wrap=True, overflow="ellipsis") if is_cut else Text(shown, style=style)


def _cut_ids(texts: Sequence[str], kind: Kind) -> Sequence[str]:
    """Ids with as many characters as tell them apart, from `_SHORT_ID` on; other texts as they are."""
    if kind is not Kind.ID:
        return texts
    known = set(texts)
    lengths = range(_SHORT_ID, max(map(len, known)))
    length = next((length for length in lengths if len({each[:length] for each in known}) == len(known)), None)
    return [each[:length] for each in texts]


def relative(time: str, now: int) -> str:
    """A time (RFC 3339) as seen from another (ns): `in 5 s`, `40 s ago`. One that cannot be read stays."""
    from codeq_fake import wire  # noqa: PLC0415 - --help loads no rules
    from codeq_fake.core.durations import in_words  # noqa: PLC0415 - as above

    try:
        distance = wire.parse_rfc3339(time) - now
    except wire.BadTime:
        return time
    length = " ".join(in_words(abs(distance)).split()[:2])  # its largest unit
    if not distance:
        return "now"
    return f"in {length}" if distance > 0 else f"{length} ago"
