"""`codeq-fake top`: watch a fake."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from .control_client import Fake, Target, fake_options
from .journals import REQUEST
from .keyboard import keyboard
from .output import Number
from .state import HEALTH
from .tables import console
from .tasks import LISTED_TASK, QUEUES

if TYPE_CHECKING:
    from rich.console import Console

#: How many leases and requests are fetched at most: a terminal shows fewer.
_MOST = 100


@click.command()
@click.option(
    "--interval",
    type=Number(0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between updates.",
)
@click.option("--times", type=click.IntRange(1), metavar="N", help="End after N updates.  [default: never]")
@fake_options
def top(target: Target, *, interval: float, times: int | None) -> None:
    """Watch a fake: its clock, queues, leases and requests.

    The key ? shows the keys, and q or Ctrl-C ends it. With --json, each update is one line; in a pipe, nothing is cut.
    """
    out = console()
    updates = _updates(target.fake)
    with suppress(KeyboardInterrupt):
        if out.is_terminal and not target.as_json:
            _watch(out, target.fake.name, updates, interval, times)
        else:
            _print(out, target, updates, interval, times)


def _print(out: Console, target: Target, updates: Iterator[dict[str, Any]], interval: float, times: int | None) -> None:
    """Print each update below the last one."""
    from .top_screen import whole  # noqa: PLC0415 - --help needs no tables

    never = Event()
    for n, update in enumerate(updates, start=1):
        if target.as_json:
            click.echo(json.dumps(update))
        else:
            out.print(whole(target.fake.name, update))
        if n == times:
            return
        _ = never.wait(interval)


def _watch(out: Console, name: str, updates: Iterator[dict[str, Any]], interval: float, times: int | None) -> None:
    """Draw each update over the last one, and do what keys ask for."""
    from rich.live import Live  # noqa: PLC0415 - as above

    from .top_screen import View  # noqa: PLC0415 - as above

    view, update = View(), next(updates)
    with keyboard() as next_key, Live(console=out, screen=True, auto_refresh=False) as live:
        for n in count(1):
            live.update(view.screen(name, update, out.width, out.height), refresh=True)
            if n == times or (key := next_key(interval)) == "q":
                return
            view.press(key)
            if not view.is_paused:
                update = next(updates)


def _updates(fake: Fake) -> Iterator[dict[str, Any]]:
    """The current data, each time that it is asked for. Of the requests, only new ones are fetched."""
    latest: deque[dict[str, Any]] = deque(maxlen=_MOST)
    while True:
        since = latest[-1]["n"] if latest else 0
        latest.extend(fake.get("/requests", {"requests": [REQUEST]}, since=since)["requests"])
        yield {
            "health": fake.get("/health", HEALTH),
            **fake.get("/queues", QUEUES),
            "leases": fake.get("/tasks", {"tasks": [LISTED_TASK]}, status="IN_PROGRESS", limit=_MOST)["tasks"],
            "requests": list(latest),
        }
