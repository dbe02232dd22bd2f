"""The command ``codeq-fake``: serve a fake, run a command against one, tell a story."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from .core import PROFILES
from .runtime import DEFAULT_PROFILE
from .version import VERSION

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from starlette.types import ASGIApp

    from .auth import Identity, Tokens
    from .runtime import Runtime

    CommandT = TypeVar("CommandT", bound=Callable[..., Any])

FAILED = 1
MISUSED = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How a fake is to be started; the fields are the flags."""

    host: str
    port: int | None
    profile: str
    clock: str
    start_at: str | None
    identities: Path | None
    no_control: bool
    control_token: str | None
    webhook_allow: tuple[str, ...]
    journal_size: int


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(VERSION, prog_name="codeq-fake")
def main() -> None:
    """A fake CodeQ server: in memory, exact to the real one, on a clock that you control.

    It reads the real server's environment variables (PRODUCER_AUTH_CONFIG, BACKOFF_POLICY, WEBHOOK_HMAC_SECRET ...) and
    its YAML file (CODEQ_CONFIG_PATH). Without any setting the token dev-token may do everything.

    Each option of a command is also an environment variable: --start-at is CODEQ_FAKE_START_AT.
    """


def _flag(name: str, *names: str, **how: Any) -> Callable[[CommandT], CommandT]:
    """An option that is also an environment variable; ``names``: what else click is to call it."""
    return click.option(f"--{name}", *names, envvar=f"CODEQ_FAKE_{name.upper().replace('-', '_')}", **how)


def _start_options(*, port: str) -> Callable[[CommandT], CommandT]:
    """The options that ``serve`` and ``run`` share; ``port`` says what is bound without ``--port``."""
    flags = (
        _flag("host", default="127.0.0.1", show_default=True, help="Address to listen on."),
        _flag("port", type=click.IntRange(0, 65535), help=f"Port to listen on, 0 for a free one.  [default: {port}]"),
        _flag(
            "profile",
            type=click.Choice(tuple(PROFILES)),
            default=DEFAULT_PROFILE,
            show_default=True,
            help="The store behind the real server: how early a lease counts as over depends on it.",
        ),
        _flag(
            "clock",
            type=click.Choice(("real", "manual")),
            default="real",
            show_default=True,
            help="real: time passes by itself; manual: it stands still until you advance it.",
        ),
        _flag(
            "start-at",
            metavar="TIME",
            help="Where the clock begins, for example 2026-01-31T12:00:00Z.  [default: the present]",
        ),
        _flag(
            "identities",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="YAML or JSON file of callers: NAME: {kind: producer or worker, token: TEXT, claims: {...}}.",
        ),
        _flag("no-control", is_flag=True, help="Leave out the control API under /_fake."),
        _flag(
            "control-token",
            metavar="TEXT",
            help="Bearer token for the control API. On an address that other machines reach, it is off without one.",
        ),
        _flag(
            "webhook-allow",
            multiple=True,
            metavar="HOST",
            help="Let callbacks go to this host too, or with * to any.  [default: this machine and private networks]",
        ),
        _flag(
            "journal-size",
            type=click.IntRange(0),
            default=10_000,
            show_default=True,
            help="How many requests and callbacks are remembered.",
        ),
    )

    def add(command: CommandT) -> CommandT:
        for flag in reversed(flags):
            command = flag(command)
        return command

    return add


@main.command()
@_start_options(port="PORT, else 8080")
@_flag("json", "as_json", is_flag=True, help="Print the line about the server as JSON.")
def serve(*, as_json: bool, **flags: Any) -> None:
    """Serve a fake until it is stopped.

    Prints one line when it answers: URL, profile, clock and tokens.
    """
    options = Options(**flags)
    runtime, app, settings_port = _build(options)
    from .server import serve as serve_until_stopped  # noqa: PLC0415 - uvicorn is only needed from here on
    from .server import url_of  # noqa: PLC0415

    listener = _listen(options.host, settings_port if options.port is None else options.port)
    url = url_of(listener)
    serve_until_stopped(app, runtime, listener, ready=lambda: _announce(runtime, url, as_json=as_json))


@main.command(context_settings={"allow_interspersed_args": False})
@_start_options(port="a free one")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(*, command: Sequence[str], **flags: Any) -> None:
    """Run COMMAND beside a fake of its own, and end with its exit code.

    COMMAND finds the fake by the environment variables CODEQ_BASE_URL, CODEQ_PRODUCER_TOKEN, CODEQ_WORKER_TOKEN and
    CODEQ_ADMIN_TOKEN:

        codeq-fake run -- pytest -q
    """
    options = Options(**flags)
    runtime, app, _ = _build(options)
    listener = _listen(options.host, options.port or 0)

    async def beside_a_server() -> int:
        from .server import served  # noqa: PLC0415 - uvicorn is only needed from here on

        async with served(app, runtime, listener) as url:
            return await _command(command, {**os.environ, **_tokens(runtime).environment(url)})

    sys.exit(asyncio.run(beside_a_server()))


@main.command()
def demo() -> None:
    """Tell the story of an example application.

    A table of tasks, leases, retries, a dead letter and webhooks, in the fake's time and in real time.
    """
    from .demo import tell  # noqa: PLC0415 - a story needs a table printer and an HTTP client

    tell()


def _build(options: Options) -> tuple[Runtime, ASGIApp, int]:
    from .application import application  # noqa: PLC0415 - --help answers without loading the server
    from .auth import read_identities  # noqa: PLC0415
    from .clock import Clock  # noqa: PLC0415
    from .control.access import is_loopback  # noqa: PLC0415
    from .control.controls import instant  # noqa: PLC0415
    from .control.errors import BadRequestError  # noqa: PLC0415
    from .runtime import Config, Runtime  # noqa: PLC0415
    from .settings import Settings, SettingsError  # noqa: PLC0415

    try:
        settings = Settings.from_env(os.environ)
        identities: tuple[Identity, ...] = ()
        if options.identities is not None:
            identities = read_identities(str(options.identities), options.identities.read_text(encoding="utf-8"))
        start = instant(options.start_at) if options.start_at is not None else None
    except SettingsError as error:
        _exit(str(error), MISUSED)
    except UnicodeDecodeError as error:
        _exit(f"--identities {options.identities}: no text ({error.reason}); give YAML or JSON in UTF-8", MISUSED)
    except OSError as error:
        _exit(f"--identities {options.identities}: {error.strerror}", MISUSED)
    except BadRequestError as error:
        _exit(f"--start-at: {error}", MISUSED)
    config = Config(
        profile=options.profile,
        settings=settings,
        identities=identities,
        webhook_allow=options.webhook_allow,
        journal_size=options.journal_size,
    )
    try:
        runtime = Runtime(config, Clock("manual" if options.clock == "manual" else "real", start=start))
    except ValueError as error:
        _exit(f"--webhook-allow: {error}", MISUSED)
    token = options.control_token or None
    with_control = not options.no_control and (token is not None or is_loopback(options.host))
    if not (with_control or options.no_control):
        _tell(f"the control API is off: {options.host} is reached by other machines, and there is no --control-token")
    return runtime, application(runtime, with_control=with_control, control_token=token), settings.port


def _listen(host: str, port: int) -> socket.socket:
    from .server import PortTakenError, listen  # noqa: PLC0415 - as in `serve`

    try:
        return listen(host, port)
    except PortTakenError as error:
        _exit(f"{error}; choose another with --port (0 picks a free one) or --host", FAILED)


def _tokens(runtime: Runtime) -> Tokens:
    from .auth import Tokens  # noqa: PLC0415 - as in `_build`

    return Tokens.of(runtime.config.settings, runtime.config.identities)


def _announce(runtime: Runtime, url: str, *, as_json: bool) -> None:
    from .control import Controls  # noqa: PLC0415 - as in `_build`

    health, named = Controls(runtime).health(), _tokens(runtime).by_role()
    if as_json:
        told = {"url": url, "profile": health["profile"], "clock": health["clock"], "now": health["now"]}
        click.echo(json.dumps({**told, "tokens": named}))
        return
    given = ", ".join(f"{name} {token}" for name, token in named.items() if token is not None) or "signed ones only"
    click.echo(f"{url}  profile {health['profile']}  {health['clock']} clock at {health['now']}  tokens: {given}")


async def _command(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command to its end, passing signals on; its exit code, 128 + n when signal n ended it."""
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
    except OSError as error:
        _tell(f"cannot run {command[0]}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126

    def pass_on(number: int) -> None:
        # A terminal has sent its Ctrl-C to the command already.
        if not (number == signal.SIGINT and os.isatty(0)):
            with suppress(ProcessLookupError):
                process.send_signal(number)

    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, pass_on, number)
    code = await process.wait()
    return code if code >= 0 else 128 - code


def _exit(reason: str, code: int) -> NoReturn:
    _tell(reason)
    sys.exit(code)


def _tell(what: str) -> None:
    click.echo(f"codeq-fake: {what}", err=True)
