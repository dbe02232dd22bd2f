"""A search shows how far it is: as a bar on a terminal, as a line now and then elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from codeq_fake.cli.search_display import SearchDisplay, progress_console

SECOND = 1_000_000_000


class Clock:
    """Nanoseconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


def shown(*steps: tuple[float, int], seconds: float | None = None, is_terminal: bool = False) -> str:
    """What a search for 1,000 runs shows that has done so many after so many seconds."""
    output, clock = StringIO(), Clock()
    console = Console(file=output, force_terminal=is_terminal, width=120)
    with SearchDisplay(console, "test_it", most=1000, done_text="runs hold", seconds=seconds, clock=clock) as display:
        for passed, done in steps:
            clock.pass_seconds(passed)
            display.show(done)
    return output.getvalue()


def test_a_pipe_gets_a_line_each_half_minute() -> None:
    assert shown(*((1.0, runs) for runs in range(10, 650, 10))).splitlines() == [
        "test_it: 300 of 1,000 runs hold, 10.0 a second, about 0:01:10 left",
        "test_it: 600 of 1,000 runs hold, 10.0 a second, about 0:00:40 left",
    ]


def test_a_short_search_prints_nothing_in_a_pipe() -> None:
    assert not shown((29, 1000))


def test_the_time_that_is_left_is_that_of_the_bound_that_comes_first() -> None:
    assert "about 0:00:30 left" in shown((30, 100), seconds=60)
    assert "about 0:00:30 left" in shown((30, 500), seconds=6000)


def test_a_search_whose_first_runs_last_says_no_rate() -> None:
    assert shown((40, 0), seconds=60) == "test_it: 0 of 1,000 runs hold\n"


def test_a_terminal_shows_each_step_and_nothing_remains() -> None:
    text = shown((1, 10), (1, 20), is_terminal=True)
    assert "20 of 1,000 runs hold, 10.0 a second, about 0:01:38 left" in text
    assert text.endswith("\x1b[2K")  # the line of the bar is erased


def test_a_search_for_nothing_shows_that() -> None:
    output = StringIO()
    with SearchDisplay(Console(file=output, force_terminal=True, width=120), "test_it", most=0, done_text="are equal"):
        pass
    assert "0 of 0 are equal" in output.getvalue()


@pytest.mark.parametrize(("quiet", "text"), [(False, "far\n"), (True, "")])
def test_progress_goes_to_standard_error_and_can_be_turned_off(
    quiet: bool,  # noqa: FBT001 - a parameter
    text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress_console(quiet=quiet).print("far")
    assert tuple(capsys.readouterr()) == ("", text)


def interrupted(display: SearchDisplay) -> None:
    """A search that Ctrl-C ends after 20 runs."""
    with display:
        display.show(20)
        raise KeyboardInterrupt


def test_a_search_that_is_interrupted_says_how_far_it_was() -> None:
    output, clock = StringIO(), Clock()
    display = SearchDisplay(Console(file=output, width=120), "test_it", most=50, done_text="runs hold", clock=clock)
    clock.pass_seconds(1)
    with pytest.raises(KeyboardInterrupt):
        interrupted(display)
    assert output.getvalue() == "test_it: 20 of 50 runs hold, 20.0 a second, about 0:00:02 left\n"
