"""The command itself and its list of commands."""

from __future__ import annotations

import click

from codeq_fake import __version__

from .clock import advance, clock
from .completion import completion
from .contract import contract
from .demo import demo
from .faults import fault, faults
from .journals import as_pytest, callbacks, curl, requests, resend, surprises
from .output import Program
from .serve import run, serve
from .simulate import simulate
from .state import reset, state
from .task_story import task
from .tasks import delete, expire, queues, requeue, take, tasks, workers
from .top import top


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="codeq-fake")
def main() -> None:
    """A fake CodeQ server: in memory, exact to the real one, on a clock that you control.

    It reads the real server's environment variables (PRODUCER_AUTH_CONFIG, BACKOFF_POLICY, WEBHOOK_HMAC_SECRET ...) and
    its YAML file (CODEQ_CONFIG_PATH). By default, the token dev-token may do everything.

    Each option of a command is also an environment variable: --start-at is CODEQ_FAKE_START_AT.
    """


for command in (
    *(serve, run, demo, simulate, completion),
    *(top, queues, workers, tasks, task, expire, take, requeue, delete),
    *(requests, curl, as_pytest, callbacks, resend, surprises, contract),
    *(advance, clock, fault, faults, reset, state),
):
    main.add_command(command)
