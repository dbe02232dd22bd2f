"""A load shows its phases with rates: as bars on a terminal, as a line each elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from codeq_contract.cli.load_display import LoadDisplay
from codeq_contract.load import Progress

RUNNING = Progress("drain", seconds=2, most=120, is_over=False, calls=1000, tasks=900, ended=400)
OVER = Progress("drain", seconds=4, most=120, is_over=True, calls=3000, tasks=900, ended=900)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_end_of_a_phase_shows_its_rate(is_terminal: bool) -> None:  # noqa: FBT001 - a parameter
    output = StringIO()
    with LoadDisplay(Console(file=output, force_terminal=is_terminal, width=120)) as display:
        display.show(RUNNING)
        display.show(OVER)
    assert "3,000 calls in 4 s (750/s), 900 tasks created, 900 ended" in output.getvalue()
    assert "400 ended" not in output.getvalue() or is_terminal, "without a terminal only the end is shown"
