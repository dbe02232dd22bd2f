"""The screen of `top`: panes for queues, leases and requests, which fill the terminal whatever its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from codeq_fake import wire
from codeq_fake.serving.terminal_text import printable

from .clock import beside_real
from .journals import REQUEST_COLUMNS, request_row
from .tables import Columns, Kind, screen_table, whole_table
from .tasks import QUEUE_COLUMNS, attempts_of, queue_row

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_LEASE_COLUMNS: Columns = {
    "leased task": Kind.ID,
    "command": Kind.TEXT,
    "worker": Kind.TEXT,
    "attempts": Kind.NUMBER,
    "state": Kind.STATE,
    "lease until": Kind.TIME,
    "tenant": Kind.TEXT,
}
#: The panes by their keys, and their shares of the height.
_PANES: Mapping[str, str] = {"1": "queues", "2": "leases", "3": "requests"}
_SHARES: Mapping[str, int] = {"queues": 3, "leases": 3, "requests": 4}
#: A pane with less than its title, the names of its columns and a row is left out.
_LEAST_ROWS = 3
_FOOT = "q quit  space pause  1 queues  2 leases  3 requests  0 all  e errors  ? help"
_HELP = (
    "q      quit, as Ctrl-C",
    "space  pause, and go on",
    "1 2 3  show only queues, leases or requests; 0 shows all",
    "e      show only requests that were refused, and all again",
    "?      show this help, and leave it",
    "",
    "A row that does not fit is cut, and so is an id: every command takes the beginning of an id.",
    "Times are relative to the fake's clock. Whole values: codeq-fake top --times 1 | cat",
)
_ERROR = 400


def tables_of(update: dict[str, Any]) -> dict[str, tuple[Columns, list[Sequence[object]]]]:
    """The columns and rows of each pane."""
    leases = sorted(update["leases"], key=lambda task: str(task.get("leaseUntil")))
    return {
        "queues": (QUEUE_COLUMNS, [queue_row(queue) for queue in update["queues"]]),
        "leases": (_LEASE_COLUMNS, [_lease_row(task) for task in leases]),
        "requests": (REQUEST_COLUMNS, [request_row(entry) for entry in reversed(update["requests"])]),
    }


def _lease_row(task: dict[str, Any]) -> Sequence[object]:
    named = (task["state"], task.get("leaseUntil"), task.get("tenantId"))
    return task["id"], task["command"], task.get("workerId"), attempts_of(task), *named


def head_of(name: str, update: dict[str, Any]) -> str:
    """The line about the fake: where it is, its profile and its clock."""
    health = update["health"]
    now = f"{health['clock']} clock at {health['now']}{beside_real(instant(health['now']))}"
    return printable(f"{name}  profile {health['profile']}  {now}  {update['parkedClaims']} parked claims")


def _short_head(name: str, update: dict[str, Any]) -> str:
    health = update["health"]
    time = f"{health['now'][:19].replace('T', ' ')} {health['clock']}{beside_real(instant(health['now']))}"
    return printable(f"{name.removeprefix('http://')}  {time}  {update['parkedClaims']} parked")


def instant(time: str) -> int:
    """A time (RFC 3339) in ns; 0 if it is none."""
    try:
        return wire.parse_rfc3339(time)
    except wire.BadTime:
        return 0


def whole(name: str, update: dict[str, Any]) -> RenderableType:
    """One update for a pipe: every row with whole values."""
    from rich.console import Group  # noqa: PLC0415 - --help needs no tables
    from rich.text import Text  # noqa: PLC0415 - as above

    parts: list[RenderableType] = [Text(head_of(name, update))]
    for columns, rows in tables_of(update).values():
        parts += [Text(), whole_table(columns, rows)]
    return Group(*parts)


@dataclass(slots=True)
class View:
    """What a person has chosen to see."""

    pane: str = ""
    is_paused: bool = False
    shows_help: bool = False
    only_errors: bool = False

    def press(self, key: str) -> None:
        """Do what a key stands for."""
        if key in _PANES or key == "0":
            self.pane = _PANES.get(key, "")
        elif key == " ":
            self.is_paused = not self.is_paused
        elif key == "?":
            self.shows_help = not self.shows_help
        elif key == "e":
            self.only_errors = not self.only_errors

    def screen(self, name: str, update: dict[str, Any], width: int, height: int) -> RenderableType:
        """One update on a terminal of this size."""
        from rich.layout import Layout  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above

        paused = "paused  " if self.is_paused else ""
        head = Text(f"{paused}{_short_head(name, update)}", style="bold", no_wrap=True, overflow="ellipsis")
        foot = Text(_FOOT, style="reverse", no_wrap=True, overflow="ellipsis")
        inner: list[Layout] = (
            [Layout(Text("\n".join(_HELP)))] if self.shows_help else self._panes(update, width, height - 2)
        )
        screen = Layout()
        screen.split_column(Layout(head, size=1), *inner, Layout(foot, size=1))
        return screen

    def _panes(self, update: dict[str, Any], width: int, height: int) -> list[Any]:
        """The chosen pane, or as many as fit, each with its share of the height."""
        from rich.console import Group  # noqa: PLC0415 - as above
        from rich.layout import Layout  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415 - as above

        all_that_fit = dict(islice(_SHARES.items(), max(1, height // _LEAST_ROWS)))
        chosen = {self.pane: _SHARES[self.pane]} if self.pane else all_that_fit
        now, tables, left = instant(update["health"]["now"]), tables_of(self._wanted(update)), height
        panes: list[Any] = []
        for n, (pane, share) in enumerate(chosen.items(), start=1):
            size = left if n == len(chosen) else height * share // sum(chosen.values())
            left -= size
            columns, rows = tables[pane]
            title = Text(f"{pane}: {len(rows)}" if rows else f"no {pane}", style="bold cyan")
            shown = rows[: max(0, size - 2)]
            table: list[Table] = [screen_table(columns, shown, now, width, folds=False)] if shown else []
            panes.append(Layout(Group(title, *table), size=size))
        return panes

    def _wanted(self, update: dict[str, Any]) -> dict[str, Any]:
        if not self.only_errors:
            return update
        failed = [entry for entry in update["requests"] if (entry["status"] or _ERROR) >= _ERROR]
        return {**update, "requests": failed}
