"""What all commands share: the command itself, the error that ends it, and text that is safe to print."""

from __future__ import annotations

import io
import math
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TextIO

import click

#: How long the end waits for a slow reader of what is not the product of a command (s).
_PATIENCE = 1.0


class CannotRunError(click.ClickException):
    """The command could not do its work, so that its outcome is neither success nor failure."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


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


class BackgroundOutput(io.TextIOBase):
    """The stream `output`, written by a thread: the work neither waits for a reader nor fails without one."""

    def __init__(self, output: TextIO) -> None:
        self._descriptor = output.fileno()
        self._encoding = output.encoding
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = Thread(target=self._write_all, name="codeq-output", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute in the base class, without a value
        """The encoding of the output."""
        return self._encoding

    def writable(self) -> bool:
        """Whether it can be written to, which is always so."""
        return True

    def isatty(self) -> bool:
        """Whether the output is a terminal."""
        return os.isatty(self._descriptor)

    def fileno(self) -> int:
        """The file descriptor of the output."""
        return self._descriptor

    def write(self, text: str) -> int:
        """Let the thread write `text`."""
        self._waiting.put(text.encode(self._encoding, errors="backslashreplace"))
        return len(text)

    def end(self, patience: float | None) -> None:
        """Wait until all is written, but not for longer than `patience` seconds."""
        self._waiting.put(None)
        self._thread.join(patience)

    def _write_all(self) -> None:
        with suppress(OSError):  # no reader is left
            for data in iter(self._waiting.get, None):
                # Not through a buffered stream: Python's end would wait for its lock.
                rest = memoryview(data)
                while rest:
                    rest = rest[self._write_some(rest) :]

    def _write_some(self, data: memoryview) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # another process that has this output too made it non-blocking
            select.select([], [self._descriptor], [])
            return 0


@contextmanager
def background_output(*, is_product: bool = False) -> Iterator[None]:
    """Let a thread write standard output and standard error, so that no reader can stop the work.

    At the end it waits for a slow reader: a second, or as long as it takes if the output is what the command is run
    for and was not broken off. A signal ends that, too.
    """
    patience = None if is_product else _PATIENCE
    with ExitStack() as redirections:
        outputs: list[BackgroundOutput] = []
        for output, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            with suppress(io.UnsupportedOperation):  # it has no file descriptor, and so nothing to wait for
                outputs.append(BackgroundOutput(output))
                redirections.enter_context(redirect(outputs[-1]))
        try:
            yield
        except click.ClickException as error:
            error.show()
            raise SystemExit(error.exit_code) from None
        except SystemExit as end:
            if end.code == CannotRunError.exit_code:
                patience = _PATIENCE
            raise
        finally:
            for each in outputs:
                each.end(patience)


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


def host_and_port(text: str, *, option: str) -> tuple[str, int]:
    """The host and the port in the value of an option. Raises CannotRunError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise CannotRunError(f"{option}: found {text!r}; it must be HOST:PORT")
    return host, int(port)


def printable_body(text: str) -> str:
    """A text with a body in it, which may have bytes that are no text: as `printable`, with these as escapes."""
    return printable(text.encode(errors="backslashreplace").decode())


def printable(text: str) -> str:
    """`text` without characters that control a terminal, except line ends."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
