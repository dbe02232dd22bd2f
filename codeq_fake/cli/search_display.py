"""The display of a search of simulations: how far it is, as a bar on a terminal, elsewhere as a line now and then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from codeq_fake.clocks.clock import stopwatch
from codeq_fake.serving.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

_SECOND = 1_000_000_000
#: Elsewhere than on a terminal a line is printed each so many seconds.
_LINE_EACH = 30.0


def progress_console(*, quiet: bool) -> Console:
    """Where a search shows how far it is: standard error, or nowhere."""
    return Console(stderr=True, soft_wrap=True, highlight=False, quiet=quiet)


class SearchDisplay:
    """Shows how many of `most` runs are done, how fast, and how long it may still take. A context manager.

    The search ends after `seconds`, if that is sooner. `done_text` says what was done, such as `runs hold`. `clock`
    counts nanoseconds.
    """

    def __init__(
        self,
        console: Console,
        name: str,
        *,
        most: int,
        done_text: str,
        seconds: float | None = None,
        clock: Callable[[], int] = stopwatch,
    ) -> None:
        self._console = console
        self._name = printable(name)
        self._most = most
        self._done_text = done_text
        self._most_seconds = seconds
        self._clock = clock
        self._began = clock()
        self._next_line = _LINE_EACH
        self._done = 0
        self._bar = Progress(
            TextColumn(self._name, markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=20),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            expand=True,
        )
        self._row = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self.show(0)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._console.is_terminal:
            self._bar.stop()
        if kind is KeyboardInterrupt:
            self._print()

    def show(self, done: int) -> None:
        """Show that so many runs are done."""
        self._done = done
        if self._console.is_terminal:
            self._bar.update(self._row, completed=self._share(), description=self._figures())
        elif self._elapsed() >= self._next_line:
            self._next_line = self._elapsed() + _LINE_EACH
            self._print()

    def _print(self) -> None:
        self._console.print(f"{self._name}: {self._figures()}", markup=False)

    def _elapsed(self) -> float:
        """Seconds since the start."""
        return (self._clock() - self._began) / _SECOND

    def _share(self) -> float:
        """How much of the search is done, by runs or by time, whichever ends it."""
        by_time = self._elapsed() / self._most_seconds if self._most_seconds else 0.0
        return min(1.0, max(self._done / max(1, self._most), by_time))

    def _figures(self) -> str:
        text = f"{self._done:,} of {self._most:,} {self._done_text}"
        elapsed = self._elapsed()
        if not self._done:
            return text
        left = timedelta(seconds=round(elapsed / self._share() - elapsed))
        return f"{text}, {self._done / elapsed:.1f} a second, about {left} left"
