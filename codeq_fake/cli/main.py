"""The command itself, and which commands it has."""

from __future__ import annotations

import click

from codeq_fake.version import VERSION

from .demo import demo
from .faults import faults
from .journals import callbacks, contract, requests, resend, surprises
from .run import run
from .serve import serve
from .states import reset, state
from .tasks import delete, expire, requeue, task, tasks
from .timing import advance, clock
from .top import queues, top


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="codeq-fake")
def main() -> None:
    """A fake CodeQ server: in memory, exact to the real one, on a clock that you control.

    It reads the real server's environment variables (PRODUCER_AUTH_CONFIG, BACKOFF_POLICY, WEBHOOK_HMAC_SECRET ...) and
    its YAML file (CODEQ_CONFIG_PATH). Without any setting the token dev-token may do everything.

    Each option of a command is also an environment variable: --start-at is CODEQ_FAKE_START_AT.
    """


for command in (
    *(serve, run, demo),
    *(top, queues, tasks, task, expire, requeue, delete),
    *(requests, callbacks, resend, surprises, contract),
    *(advance, clock, faults, reset, state),
):
    main.add_command(command)
