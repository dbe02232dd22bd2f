"""The options that `serve` and `run` share, and the environment file (`.env`)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import click

from codeq_fake.payloads import DEFAULT_PROFILE, Profile

from .output import MISUSED, Number, exit_with

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_DEFAULT_ENV_FILE = ".env"
#: Where click's context keeps the name of the environment file that was read.
ENV_FILE_READ = "codeq_fake.env_file_read"


class Options(NamedTuple):
    """The values of the options."""

    host: str
    port: int | None
    profile: str | None
    reaper_phase: float | None
    clock: str
    start_at: str | None
    identities: Path | None
    seed: Path | None
    persist: Path | None
    persist_interval: float | None
    no_control: bool
    control_token: str | None
    any_host: bool
    webhook_allow: tuple[str, ...]
    journal_size: int
    journal_bytes: int
    max_connections: int | None
    max_header_bytes: int | None
    header_timeout: int | None
    min_body_rate: int | None
    max_callbacks: int | None
    faults: Path | None
    races: str | None
    races_seed: int
    log: str | None
    quiet: bool
    env_file: Mapping[str, str]
    """The variables of the environment file."""

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables of the environment and of the environment file. Those of the environment take precedence."""
        return {**self.env_file, **os.environ}


def flag(name: str, *names: str, **how: Any) -> Callable[[CommandT], CommandT]:
    """An option that is also an environment variable; `names` are further names for click."""
    return click.option(f"--{name}", *names, envvar=f"CODEQ_FAKE_{name.upper().replace('-', '_')}", **how)


class ProfileName(click.ParamType[str]):
    """The name of a profile. The refusal of another text lists all, and names the nearest."""

    name = "profile"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - as click's
        """The name as it is given."""
        known: tuple[str, ...] = get_args(Profile)
        if value not in known:
            from codeq_fake.documents import nearest  # noqa: PLC0415 - --help does without

            self.fail(f"{value!r} is not one of {', '.join(known)}{nearest(value, known)}", param, ctx)
        return str(value)


def control_token(*names: str, **how: Any) -> Callable[[CommandT], CommandT]:
    """The option `--control-token`."""
    return flag("control-token", *names, metavar="TEXT", callback=_header_text, **how)


def _header_text(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None and re.search(r"[\x00-\x1f\x7f]", text):
        raise click.BadParameter("it has a character that no HTTP header can carry")
    return text


def read_env_file(ctx: click.Context, _: click.Parameter, given: Path | None) -> Mapping[str, str]:
    """The variables of the file `given`, or of `.env` in the working directory if there is one.

    They are also the defaults of the command's options. Ends the program if the file cannot be read.
    """
    file = given or Path(_DEFAULT_ENV_FILE)
    source = _DEFAULT_ENV_FILE if given is None else f"--env-file {given}"
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        # Some name the folder of their virtual environment `.env`.
        if given is None and isinstance(error, (FileNotFoundError, IsADirectoryError)):
            return {}
        exit_with(f"{source}: {error.strerror}", MISUSED)
    except UnicodeDecodeError as error:
        exit_with(f"{source}: not text ({error.reason})", MISUSED)
    variables = _parse(text, source)
    ctx.meta[ENV_FILE_READ] = str(file)
    ctx.default_map = {
        option.name: option.type.split_envvar_value(variables[option.envvar])
        if option.multiple
        else variables[option.envvar]
        for option in ctx.command.params
        if isinstance(option.envvar, str) and option.envvar in variables
    }
    return variables


def _parse(text: str, shown: str) -> Mapping[str, str]:
    """The variables in the text of a file that messages call `shown`. Ends the program if a line is malformed."""
    from dotenv import dotenv_values  # noqa: PLC0415 - only needed with such a file
    from dotenv.parser import parse_stream  # noqa: PLC0415 - as above

    for binding in parse_stream(StringIO(text)):
        if binding.error:
            line = binding.original.line
            exit_with(f"{shown} line {line}: NAME=value belongs here", MISUSED)
    variables = dotenv_values(stream=StringIO(text))
    return {name: value for name, value in variables.items() if value is not None}


#: The options that are equal for both commands, in the order of `--help`: those before the port, and those after it.
_WHERE = (
    click.option(
        "--env-file",
        "env_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar="CODEQ_FAKE_ENV_FILE",
        is_eager=True,
        callback=read_env_file,
        help="File of variables that the environment does not set.  [default: .env, if there is one]",
    ),
    flag("host", default="127.0.0.1", show_default=True, help="Address to listen on."),
)
_WHAT = (
    flag(
        "profile",
        type=ProfileName(),
        metavar="[main/]STORE",
        help="The store of the real server, which decides how early a lease counts as expired: redis, kvrocks-2.8 or "
        "kvrocks-2.9. With main/ before it: of CodeQ's main branch, which also has the store pebble.  [default: "
        f"{DEFAULT_PROFILE}, or main/pebble if PERSISTENCE_PROVIDER is pebble]",
    ),
    flag(
        "reaper-phase",
        type=Number(min=0),
        metavar="SECONDS",
        help="With main/pebble: a time, in seconds since 1970, at which its reaper looks for expired leases. It looks "
        "every 2 s.  [default: the start of the clock]",
    ),
    flag(
        "clock",
        type=click.Choice(("real", "manual")),
        default="real",
        show_default=True,
        help="real: time passes; manual: it stands still until you advance it.",
    ),
    flag(
        "start-at",
        metavar="TIME",
        help="Start time of the clock, for example 2026-01-31T12:00:00Z.  [default: the current time]",
    ),
    flag(
        "identities",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="YAML or JSON file of callers: NAME: {kind: producer or worker, token: TEXT, claims: {...}}.",
    ),
    flag(
        "seed",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="YAML file of tasks and subscriptions to create at the start.",
    ),
    flag(
        "persist",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="State file: restored at the start, if it exists, and written at the end. It replaces --seed.",
    ),
    flag(
        "persist-interval",
        type=Number(min=0, min_open=True),
        metavar="SECONDS",
        help="Also write the state file at this interval, so that a crash loses no more.  [default: only at the end]",
    ),
    flag("no-control", is_flag=True, help="Leave out the control API under /_fake."),
    control_token(
        help="Bearer token for the control API, which is off without one on an address that other machines reach.",
    ),
    flag(
        "any-host",
        is_flag=True,
        help="Let requests on this machine name any host, although everyone knows the token dev-token.",
    ),
    flag(
        "webhook-allow",
        multiple=True,
        metavar="HOST",
        help="Allow callbacks to this host too, or with * to any that is not link-local.  [default: this machine and "
        "private networks]",
    ),
    flag(
        "journal-size",
        type=click.IntRange(0),
        default=10_000,  # and below: those of `codeq_fake.journal`, which loads too slowly for `--help`
        show_default=True,
        help="Number of requests and callbacks that the journals keep.",
    ),
    flag(
        "journal-bytes",
        type=click.IntRange(0),
        default=67_108_864,
        show_default=True,
        help="Bytes of requests, and of callbacks, that the journals keep. The latest entry stays in any case.",
    ),
    flag(
        "max-connections",
        type=click.IntRange(1),
        help="Connections that are open at once; more get a 503.  [default: 4096, or what `ulimit -n` allows]",
    ),
    flag(
        "max-header-bytes",
        type=click.IntRange(1024),
        help="Bytes of a request's head; more get a 431, as from Go's server.  [default: 1048576]",
    ),
    flag(
        "header-timeout",
        type=click.IntRange(1),
        help="Seconds for a request's head, and for its body since the last byte; then 408.  [default: 30]",
    ),
    flag(
        "min-body-rate",
        type=click.IntRange(0),
        help="Bytes of a body that a client sends in a second, on average, after the first seconds of "
        "`--header-timeout`; if fewer, 408.  [default: 1024]",
    ),
    flag(
        "max-callbacks",
        type=click.IntRange(1),
        help="Callbacks that are under way at once, a quarter of them to one receiver; more wait.  [default: 400, or a "
        "quarter of what `ulimit -n` allows]",
    ),
    flag(
        "faults",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="YAML or JSON file of fault rules: a list such as [{on: complete, do: drop_reply, times: 1}].",
    ),
    flag(
        "races",
        type=click.Choice(("observed",)),
        help="Inject the real server's races as often as they were observed.",
    ),
    flag("races-seed", type=int, default=0, show_default=True, help="Makes the races repeatable."),
)


def start_options(*, port: str, log: str) -> Callable[[CommandT], CommandT]:
    """Add the shared options to a command; `port` and `log` are the texts for their defaults."""
    flags = (
        *_WHERE,
        flag("port", type=click.IntRange(0, 65535), help=f"Port to listen on, 0 for a free one.  [default: {port}]"),
        *_WHAT,
        flag(
            "log",
            type=click.Choice(("text", "json", "none")),
            help=f"Print a line for each request on standard error.  [default: {log}]",
        ),
        click.option("--quiet", "-q", is_flag=True, help="The same as --log none."),
    )

    def add(command: CommandT) -> CommandT:
        for option in reversed(flags):
            command = option(command)
        return command

    return add
