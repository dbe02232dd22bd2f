"""No option of a command takes a number that is none, or that has no end."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

import codeq_contract.cli
import codeq_fake.cli
from codeq_client import task_cli, worker_cli

PROGRAMS = {
    "codeq-worker": worker_cli.main,
    "codeq": task_cli.main,
    "codeq-contract": codeq_contract.cli.main,
    "codeq-fake": codeq_fake.cli.main,
}


def numbers(command: click.Command, path: str) -> Iterator[tuple[str, click.Parameter]]:
    """The options and arguments of a command, and of its subcommands, that are numbers with a fraction."""
    for parameter in command.params:
        if isinstance(parameter.type, type(click.FLOAT)):
            yield f"{path} {parameter.name}", parameter
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand
            yield from numbers(subcommand, f"{path} {name}")


OPTIONS = dict(option for name, program in PROGRAMS.items() for option in numbers(program, name))


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("text", ["nan", "inf", "-NaN"])
def test_what_is_no_finite_number_is_refused(name: str, text: str) -> None:
    with pytest.raises(click.BadParameter):
        OPTIONS[name].type.convert(text, OPTIONS[name], None)


def test_there_are_such_options_in_each_package() -> None:
    assert {name.split()[0] for name in OPTIONS} == PROGRAMS.keys()
