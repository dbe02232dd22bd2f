"""The options of a fake that is started, which ``serve`` and ``run`` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from codeq_fake.core import PROFILES
from codeq_fake.runtime import DEFAULT_PROFILE

if TYPE_CHECKING:
    from collections.abc import Callable

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
    no_control: bool
    control_token: str | None
    webhook_allow: tuple[str, ...]
    journal_size: int


def flag(name: str, *names: str, **how: Any) -> Callable[[CommandT], CommandT]:
    """An option that is also an environment variable; ``names``: what else click is to call it."""
    return click.option(f"--{name}", *names, envvar=f"CODEQ_FAKE_{name.upper().replace('-', '_')}", **how)


def start_options(*, port: str) -> Callable[[CommandT], CommandT]:
    """The options that ``serve`` and ``run`` share; ``port`` says what is bound without ``--port``."""
    flags = (
        flag("host", default="127.0.0.1", show_default=True, help="Address to listen on."),
        flag("port", type=click.IntRange(0, 65535), help=f"Port to listen on, 0 for a free one.  [default: {port}]"),
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
    )

    def add(command: CommandT) -> CommandT:
        for flag in reversed(flags):
            command = flag(command)
        return command

    return add
