"""`codeq-fake completion`: the script that lets a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
#: The commands of this distribution.
_PROGRAMS = ("codeq-fake", "codeq-worker", "codeq", "codeq-contract")


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print a script that lets SHELL complete commands and options.

    It serves codeq-fake, codeq-worker, codeq and codeq-contract. Load it where your shell starts, for example in
    ~/.bashrc:

        eval "$(codeq-fake completion bash)"
    """
    for program in _PROGRAMS:
        variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
        # The command itself is not looked at: the script asks the program.
        click.echo(_SHELLS[shell](context.find_root().command, {}, program, variable).source())
