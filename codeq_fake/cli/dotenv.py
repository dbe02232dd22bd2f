"""``.env`` files: variables for what the environment does not set."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from .output import MISUSED, exit_with

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

_DEFAULT = Path(".env")


def read_variables(ctx: click.Context, _: click.Parameter, given: Path | None) -> Mapping[str, str]:
    """The variables of the file ``given``, or of ``.env`` in the working directory, if there is one.

    The command's options that are not set otherwise are taken from there too. Ends the program when it cannot be read.
    """
    file = given or _DEFAULT
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        if given is None:
            return {}
        exit_with(f"--env-file {file}: {error.strerror}", MISUSED)
    except UnicodeDecodeError as error:
        exit_with(f"--env-file {file}: no text ({error.reason})", MISUSED)
    variables = _parse(file, text)
    ctx.default_map = {
        option.name: option.type.split_envvar_value(variables[option.envvar])
        if option.multiple
        else variables[option.envvar]
        for option in ctx.command.params
        if isinstance(option.envvar, str) and option.envvar in variables
    }
    return variables


def _parse(file: Path, text: str) -> Mapping[str, str]:
    from dotenv import dotenv_values  # noqa: PLC0415 - only who has such a file pays for it
    from dotenv.parser import parse_stream  # noqa: PLC0415 - as above

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            line = binding.original.line
            exit_with(f"--env-file {file} line {line}: NAME=value belongs here", MISUSED)
    found = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in found.items() if value is not None}
