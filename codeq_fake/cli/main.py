"""The command itself and its list of commands.

A command is loaded when it is called: `serve` would take a twentieth longer to start with all others.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from types import MappingProxyType

import click

from codeq_fake import __version__

from .output import Program

#: Module -> the names of its commands. Each is a function of that name, but for `pytest`.
_MODULES = {
    "clock": ("advance", "clock"),
    "completion": ("completion",),
    "contract": ("contract",),
    "demo": ("demo",),
    "faults": ("fault", "faults"),
    "journals": ("callbacks", "curl", "pytest", "requests", "resend", "surprises"),
    "serve": ("run", "serve"),
    "simulate": ("simulate",),
    "state": ("reset", "state"),
    "task_story": ("task",),
    "tasks": ("delete", "expire", "queues", "requeue", "take", "tasks", "workers"),
    "top": ("top",),
}
_MODULE_OF = MappingProxyType({name: module for module, names in _MODULES.items() for name in names})


class _Commands(Program):
    """The commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click declares it
        """Their names."""
        return sorted(_MODULE_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Load the command of that name. None if there is no such name."""
        if cmd_name not in _MODULE_OF:
            return None
        try:
            module = import_module(f"{__package__}.{_MODULE_OF[cmd_name]}")
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)  # without a word, as anywhere during start-up
        command: click.Command = getattr(module, "as_pytest" if cmd_name == "pytest" else cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="codeq-fake")
def main() -> None:
    """A fake CodeQ server: in memory, exact to the real one, on a clock that you control.

    It reads the real server's environment variables (PRODUCER_AUTH_CONFIG, BACKOFF_POLICY, WEBHOOK_HMAC_SECRET ...) and
    its YAML file (CODEQ_CONFIG_PATH). By default, the token dev-token may do everything.

    Each option of a command is also an environment variable: --start-at is CODEQ_FAKE_START_AT.
    """
