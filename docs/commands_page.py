"""Makes the page reference/commands.md of the site: the help of all commands. It is not kept in the repository."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The most columns of a line.
WIDTH = 100

#: The commands, and where their groups are.
COMMANDS = {
    "codeq-fake": "codeq_fake.cli:main",
    "codeq-worker": "codeq_client.worker_cli:main",
    "codeq": "codeq_client.task_cli:main",
    "codeq-contract": "codeq_contract.cli:main",
}


def commands() -> str:
    """The page of all commands, from their help texts."""
    lines = ["# Commands", "", "Every command with its options, as `--help` shows them.", ""]
    for name, place in COMMANDS.items():
        module, _, group = place.partition(":")
        for path, command in _walk(name, getattr(import_module(module), group)):
            context = click.Context(command, info_name=path, max_content_width=WIDTH, terminal_width=WIDTH)
            level = "##" if path == name else "###"
            lines += [f"{level} {path}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            part = command.get_command(context, name)
            if part is not None and not part.hidden:
                yield from _walk(f"{path} {name}", part)
