"""``codeq-fake run``: a command beside a fake of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import click

from .options import Options, start_options
from .output import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .startup import Built


@click.command(context_settings={"allow_interspersed_args": False})
@start_options(port="a free one", log="none")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(*, command: Sequence[str], **flags: Any) -> None:
    """Run COMMAND beside a fake of its own.

    It ends with COMMAND's exit code. COMMAND finds the fake by the environment variables CODEQ_BASE_URL,
    CODEQ_PRODUCER_TOKEN, CODEQ_WORKER_TOKEN and CODEQ_ADMIN_TOKEN:

        codeq-fake run -- pytest -q
    """
    from codeq_fake.serving.server import served  # noqa: PLC0415 - --help loads no server

    from .startup import build, listen_on  # noqa: PLC0415 - as above

    options = Options(**flags)
    fake = build(options, log="none")
    listener = listen_on(options.host, options.port or 0)

    async def beside_a_server() -> int:
        with closing(listener), fake.lasting():
            async with served(fake.app, fake.runtime, listener) as url:
                code = await _end_of(command, {**options.environ, **fake.tokens.environment(url), **_control(options)})
                if not options.quiet and options.log in (None, "none"):
                    _tell_surprises(fake)
                return code

    sys.exit(asyncio.run(beside_a_server()))


def _control(options: Options) -> dict[str, str]:
    """By this, `codeq-fake advance` and the like may drive the fake from within the command."""
    return {"CODEQ_FAKE_CONTROL_TOKEN": options.control_token} if options.control_token else {}


def _tell_surprises(fake: Built) -> None:
    """Tell, once the command is done, what a log would have told on its way."""
    for surprise in fake.runtime.surprises.look():
        if surprise.request is not None:  # the environment is often not made for this command alone
            tell(f"surprise: {surprise}")


async def _end_of(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end, passing signals on; its exit code, 128 + n when signal n ended it."""
    from codeq_fake.serving.server import load_ahead  # noqa: PLC0415 - as above

    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except OSError as error:
        tell(f"cannot run {command[0]}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126

    def pass_on(number: int) -> None:
        # A terminal has sent its Ctrl-C to the command already.
        if not (number == signal.SIGINT and os.isatty(0)):
            with suppress(ProcessLookupError):
                process.send_signal(number)

    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, pass_on, number)
    load_ahead()  # not before signals find their way: it takes time from the event loop
    code = await process.wait()
    return code if code >= 0 else 128 - code
