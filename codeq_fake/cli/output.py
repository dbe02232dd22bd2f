"""What a command prints: its answer as lines or JSON, and the reason why it has none."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import click

from codeq_fake.serving.terminal_text import printable

#: Exit code: the command failed, here or in the fake.
FAILED = 1
#: Exit code: the command was called with invalid arguments.
MISUSED = 2


class _Failed(click.ClickException):
    """The command failed. Click shows it after everything is unwound, when no drawing covers the terminal."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - as click declares it
        """Print the reason."""
        tell(self.message)


class _Misused(_Failed):
    """The arguments are invalid."""

    exit_code = MISUSED


class Number(click.FloatRange):
    """A finite number in a range. Click's own type takes NaN, which no comparison refuses, and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - as click's
        """The number of a text. Raises click.BadParameter."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Program(click.Group):
    """The whole command, in any surroundings: with standard streams that are closed or full, in any encoding."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click declares it
        """Run the command. An output that cannot be written ends it with the reason."""
        _prepare_streams()
        try:
            with _end_signals():
                return super().main(*args, **options)
        except OSError as error:
            with suppress(OSError):
                tell(f"{error.strerror or error}")
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.close()  # now, because the interpreter's end would report the same error again
            sys.exit(FAILED)


def _prepare_streams() -> None:
    """Open the standard streams that the process was started without, and let the others take any text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # The lowest free descriptor, which is the missing one: no socket may get the number of an output.
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - as long as the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        if isinstance(stream, TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _end_signals() -> Iterator[None]:
    """End on SIGTERM and SIGHUP as on Ctrl-C, so that files, the screen and containers are left in order."""
    numbers = [] if sys.platform == "win32" else [signal.SIGTERM, signal.SIGHUP]
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def exit_with(reason: str, code: int) -> NoReturn:
    """End the command, with the reason as a line on standard error."""
    raise (_Misused if code == MISUSED else _Failed)(reason)


def tell(message: str) -> None:
    """Print a line on standard error."""
    click.echo(printable(f"codeq-fake: {message}"), err=True)


class Answer(NamedTuple):
    """The reply of a fake, and a function that shows it to a person."""

    reply: dict[str, Any]
    show: Callable[[], None]


def say(*lines: str) -> Callable[[], None]:
    """A function that prints lines."""
    return lambda: click.echo("\n".join(map(printable, lines)))
