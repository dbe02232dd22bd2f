"""The display of `codeq-contract load`: a progress bar with rates on a terminal, a line for each phase elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from codeq_contract.load import Progress

if TYPE_CHECKING:
    from rich.console import Console


class LoadDisplay:
    """Shows the progress of a load. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description:11}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._bars.stop()

    def show(self, progress: Progress) -> None:
        """Show how far a phase is. Without a terminal only its end is printed."""
        figures = _figures(progress)
        if self._console.is_terminal:
            if progress.phase not in self._rows:
                self._rows[progress.phase] = self._bars.add_task(progress.phase, total=progress.most, figures="")
            done = progress.most if progress.is_over else progress.seconds
            self._bars.update(self._rows[progress.phase], completed=done, figures=figures)
        elif progress.is_over:
            self._console.print(f"{progress.phase}: {figures}", soft_wrap=True)


def _figures(progress: Progress) -> str:
    """The calls of a phase with their rate, and the tasks so far."""
    rate = progress.calls / progress.seconds if progress.seconds else 0
    return (
        f"{progress.calls:,} calls in {progress.seconds:.0f} s ({rate:,.0f}/s), "
        f"{progress.tasks:,} tasks created, {progress.ended:,} ended"
    )
