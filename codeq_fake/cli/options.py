"""The options of a fake that is started, which ``serve`` and ``run`` share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codeq_fake.core import PROFILES
from codeq_fake.runtime.fake_server import DEFAULT_PROFILE

from .dotenv import read_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    CommandT = TypeVar("CommandT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """How a fake is to be started; the fields are the flags."""

    host: str
    port: int | None
    profile: str
    clock: str
    start_at: str | None
    identities: Path | None
    seed: Path | None
    persist: Path | None
    no_control: bool
    control_token: str | None
    webhook_allow: tuple[str, ...]
    journal_size: int
    faults: Path | None
    races: str | None
    races_seed: int
    log: str | None
    quiet: bool
    dotenv: Mapping[str, str]

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment: what is really set wins over what a file says."""
        return {**self.dotenv, **os.environ}


def flag(name: str, *names: str, **how: Any) -> Callable[[CommandT], CommandT]:
    """An option that is also an environment variable; ``names``: what else click is to call it."""
    return click.option(f"--{name}", *names, envvar=f"CODEQ_FAKE_{name.upper().replace('-', '_')}", **how)


#: The options that are the same for both, in the order in which they are listed: those before the port, those after it.
_WHERE = (
    click.option(
        "--env-file",
        "dotenv",
        type=click.Path(path_type=Path),
        metavar="FILE",
        envvar="CODEQ_FAKE_ENV_FILE",
        is_eager=True,
        callback=read_variables,
        help="Variables for what the environment does not set.  [default: .env, if there is one]",
    ),
    flag("host", default="127.0.0.1", show_default=True, help="Address to listen on."),
)
_WHAT = (
    flag(
        "profile",
        type=click.Choice(tuple(PROFILES)),
        default=DEFAULT_PROFILE,
        show_default=True,
        help="The store behind the real server: how early a lease counts as over depends on it.",
    ),
    flag(
        "clock",
        type=click.Choice(("real", "manual")),
        default="real",
        show_default=True,
        help="real: time passes by itself; manual: it stands still until you advance it.",
    ),
    flag(
        "start-at",
        metavar="TIME",
        help="Where the clock begins, for example 2026-01-31T12:00:00Z.  [default: the present]",
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
        help="YAML file of tasks and subscriptions to begin with.",
    ),
    flag(
        "persist",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Keep the state in this file: go on from it, and save it at the end. It wins over --seed.",
    ),
    flag("no-control", is_flag=True, help="Leave out the control API under /_fake."),
    flag(
        "control-token",
        metavar="TEXT",
        help="Bearer token for the control API. On an address that other machines reach, it is off without one.",
    ),
    flag(
        "webhook-allow",
        multiple=True,
        metavar="HOST",
        help="Let callbacks go to this host too, or with * to any.  [default: this machine and private networks]",
    ),
    flag(
        "journal-size",
        type=click.IntRange(0),
        default=10_000,
        show_default=True,
        help="How many requests and callbacks are remembered.",
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
        help="Let the real server's races happen as often as they were seen on it.",
    ),
    flag("races-seed", type=int, default=0, show_default=True, help="Makes the races repeatable."),
)


def start_options(*, port: str, log: str) -> Callable[[CommandT], CommandT]:
    """The options that ``serve`` and ``run`` share; ``port`` and ``log`` say what holds without them."""
    flags = (
        *_WHERE,
        flag("port", type=click.IntRange(0, 65535), help=f"Port to listen on, 0 for a free one.  [default: {port}]"),
        *_WHAT,
        flag(
            "log",
            type=click.Choice(("text", "json", "none")),
            help=f"A line for each request, on standard error.  [default: {log}]",
        ),
        click.option("--quiet", "-q", is_flag=True, help="The same as --log none."),
    )

    def add(command: CommandT) -> CommandT:
        for option in reversed(flags):
            command = option(command)
        return command

    return add
