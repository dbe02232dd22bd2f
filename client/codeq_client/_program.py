"""What the commands `codeq-worker` and `codeq` share: their standard streams, numbers, and the option --version."""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import click

_DISTRIBUTIONS = ("codeq-client", "codeq-fake")


class Program(click.Group):
    """The whole command, in any surroundings: with standard streams that are closed or full, in any encoding."""

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click declares it
        """Run the command. An output that cannot be written ends it with the reason."""
        _prepare_streams()
        try:
            return super().main(*args, **options)
        except OSError as error:
            with contextlib.suppress(OSError):
                click.echo(f"{self.name}: {error.strerror or error}", err=True)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.close()  # now, because the interpreter's end would report the same error again
            sys.exit(1)


class Number(click.FloatRange):
    """A finite number in a range. Click's own type takes NaN, which no comparison refuses, and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - as click's
        """Return the number of a text. Raises click.BadParameter."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def _prepare_streams() -> None:
    """Open the standard streams that the process was started without, and let the others take any text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            # The lowest free descriptor, which is the missing one: no socket may get the number of an output.
            stream = Path(os.devnull).open(mode)  # noqa: SIM115 - as long as the process
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper) and name != "stdin":
            stream.reconfigure(errors="backslashreplace")


def _show_version(context: click.Context, _option: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 - click's
    """Print the version of the distribution that is installed: one contains the other's modules."""
    if is_asked:
        installed = {dist.name: dist.version for dist in distributions() if dist.name in _DISTRIBUTIONS}
        version = next(installed[name] for name in _DISTRIBUTIONS if name in installed)
        click.echo(f"{context.command.name}, version {version}")
        context.exit()


version_option = click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
