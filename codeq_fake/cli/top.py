"""`codeq-fake top`: watch a fake."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from codeq_fake.serving.terminal_text import printable

from .journals import REQUEST
from .output import console, table
from .remote import Fake, Target, fake_options
from .state import HEALTH
from .tasks import QUEUE_COLUMNS, QUEUES, TASK, queue_row

if TYPE_CHECKING:
    from rich.console import RenderableType

_LEASE_COLUMNS = ("leased task", "command", "worker", "attempts#", "lease until")
_REQUEST_COLUMNS = ("request#", "at", "as", "method", "path", "status#")
_MOST = 10


@click.command()
@click.option(
    "--interval",
    type=click.FloatRange(0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between updates.",
)
@click.option("--times", type=click.IntRange(1), metavar="N", help="End after N updates.  [default: never]")
@fake_options
def top(target: Target, *, interval: float, times: int | None) -> None:
    """Watch a fake: its clock, queues, leases and requests.

    Ctrl-C ends it. With --json, each update is one line.
    """
    updates = _updates(target.fake, interval, times)
    with suppress(KeyboardInterrupt):
        if target.as_json:
            for update in updates:
                click.echo(json.dumps(update))
        else:
            _print_updates(target.fake.name, updates)


def _print_updates(url: str, updates: Iterable[dict[str, Any]]) -> None:
    """Print each update over the last one, or below it if the output is not a terminal."""
    from rich.live import Live  # noqa: PLC0415 - --help needs no tables

    out = console()
    if not out.is_terminal:
        for update in updates:
            out.print(_screen(url, update))
        return
    with Live(console=out, screen=True, auto_refresh=False) as live:
        for update in updates:
            live.update(_screen(url, update), refresh=True)


def _updates(fake: Fake, interval: float, times: int | None) -> Iterator[dict[str, Any]]:
    """The current data, again and again. Of the requests, only new ones are fetched."""
    latest: deque[dict[str, Any]] = deque(maxlen=_MOST)
    never = Event()
    for n in count(1):
        since = latest[-1]["n"] if latest else 0
        latest.extend(fake.get("/requests", {"requests": [REQUEST]}, since=since)["requests"])
        yield {
            "health": fake.get("/health", HEALTH),
            **fake.get("/queues", QUEUES),
            "leases": fake.get("/tasks", {"tasks": [TASK]}, status="IN_PROGRESS", limit=_MOST)["tasks"],
            "requests": list(latest),
        }
        if n == times:
            return
        _ = never.wait(interval)


def _screen(url: str, update: dict[str, Any]) -> RenderableType:
    """One update as it is drawn: a line about the fake, and a table each for queues, leases and requests."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    health = update["health"]
    head = f"{url}  profile {health['profile']}  {health['clock']} clock at {health['now']}"
    return Group(
        Text(printable(f"{head}  {update['parkedClaims']} parked claims"), style="bold"),
        Text(),
        table(QUEUE_COLUMNS, map(queue_row, update["queues"])),
        Text(),
        table(_LEASE_COLUMNS, map(_lease_row, update["leases"])),
        Text(),
        table(_REQUEST_COLUMNS, map(_request_row, reversed(update["requests"]))),
    )


def _lease_row(task: dict[str, Any]) -> Iterable[object]:
    attempts = f"{task.get('attempts', 0)}/{task['maxAttempts']}"
    return task["id"], task["command"], task.get("workerId"), attempts, task.get("leaseUntil")


def _request_row(entry: dict[str, Any]) -> Iterable[object]:
    known = (entry[name] for name in ("n", "at", "as", "method"))
    return *known, entry["path"].partition("?")[0], entry["status"]
