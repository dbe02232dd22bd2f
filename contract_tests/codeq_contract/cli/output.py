"""What all commands share: the command itself, the error that ends it, and text that is safe to print."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import click


class CannotRunError(click.ClickException):
    """The command could not do its work, so that its outcome is neither success nor failure."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


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
                click.echo(f"codeq-contract: {error.strerror or error}", err=True)
            sys.exit(CannotRunError.exit_code)
        finally:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except OSError:  # closed now, because the interpreter's end would report the same error again
                    with suppress(OSError):
                        stream.close()

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click's
        """Call the subcommand. Click would end an interrupted one with 1, which says that something was found."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise CannotRunError("interrupted") from None


class LossyOutput(io.TextIOBase):
    """The stream `output`, except that what cannot be written is lost: the work goes on without a reader."""

    def __init__(self, output: TextIO) -> None:
        self._output = output

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute in the base class, without a value
        """The encoding of the output."""
        return self._output.encoding

    def writable(self) -> bool:
        """Yes."""
        return True

    def isatty(self) -> bool:
        """Whether the output is a terminal."""
        return self._output.isatty()

    def fileno(self) -> int:
        """The file descriptor of the output."""
        return self._output.fileno()

    def write(self, text: str) -> int:
        """Write `text` if possible."""
        with suppress(OSError):
            self._output.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what waits if possible."""
        with suppress(OSError):
            self._output.flush()


def _prepare_streams() -> None:
    """Open the standard streams that the process was started without, and let the others take any text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # The lowest free descriptor, which is the missing one: no socket may get the number of an output.
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - as long as the process
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)  # pytest asks for these
        if isinstance(stream, io.TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _end_signals() -> Iterator[None]:
    """End on SIGTERM and SIGHUP as on Ctrl-C: tasks are ended, containers are stopped and reports are written."""
    numbers = [] if sys.platform == "win32" else [signal.SIGTERM, signal.SIGHUP]
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or the plural."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def printable(text: str) -> str:
    """`text` without characters that control a terminal, except line ends."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
