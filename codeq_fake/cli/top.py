"""The commands that show a fake as a whole: its queues, and ``top``, which goes on showing what happens there."""

from __future__ import annotations

import json
from collections import deque
from contextlib import suppress
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, Any

import click

from .queries import Answer, Asked, asking, console, fake_options, show_table, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from .remote import Fake

_QUEUES = ("tenant", "command", "ready#", "delayed#", "in progress#", "dead#", "next due", "next lease end")
_LEASES = ("leased task", "command", "worker", "attempts#", "lease until")
_REQUESTS = ("request#", "at", "as", "method", "path", "status#")
_MOST = 10


@click.command()
@asking
def queues(fake: Fake) -> Answer:
    """Show how many tasks of each tenant and command are where."""
    reply = fake.get("/queues")
    return Answer(reply, show_table(_QUEUES, map(_queue, reply["queues"]), empty="no queues"))


def _queue(queue: dict[str, Any]) -> Iterable[object]:
    names = ("tenant", "command", "ready", "delayed", "inProgress", "dlq", "nextDue", "nextLeaseEnd")
    return (queue[name] for name in names)


@click.command()
@click.option(
    "--interval", type=click.FloatRange(0.1), default=1.0, show_default=True, metavar="SECONDS", help="Between looks."
)
@click.option("--times", type=click.IntRange(1), metavar="N", help="End after so many looks.  [default: never]")
@fake_options
def top(asked: Asked, *, interval: float, times: int | None) -> None:
    """Watch a fake: its clock, queues, leases and requests.

    Ctrl-C ends it. With --json each look is one line.
    """
    looks = _looks(asked.fake, interval, times)
    if asked.as_json:
        for look in looks:
            click.echo(json.dumps(look))
        return
    _draw(asked.fake.url, looks)


def _draw(url: str, looks: Iterable[dict[str, Any]]) -> None:
    """Draw each look over the one before, or below it where the output is no terminal."""
    from rich.live import Live  # noqa: PLC0415 - only what is drawn needs it

    out = console()
    if not out.is_terminal:
        for look in looks:
            out.print(_drawn(url, look))
        return
    with suppress(KeyboardInterrupt), Live(console=out, screen=True, auto_refresh=False) as live:
        for look in looks:
            live.update(_drawn(url, look), refresh=True)


def _looks(fake: Fake, interval: float, times: int | None) -> Iterator[dict[str, Any]]:
    """What there is to see, again and again. Of the requests, only new ones are asked for."""
    latest: deque[dict[str, Any]] = deque(maxlen=_MOST)
    never = Event()
    for n in count(1):
        latest.extend(fake.get("/requests", since=latest[-1]["n"] if latest else 0)["requests"])
        yield {
            "health": fake.get("/health"),
            **fake.get("/queues"),
            "leases": fake.get("/tasks", status="IN_PROGRESS", limit=_MOST)["tasks"],
            "requests": list(latest),
        }
        if n == times:
            return
        _ = never.wait(interval)


def _drawn(url: str, look: dict[str, Any]) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    health = look["health"]
    head = f"{url}  profile {health['profile']}  {health['clock']} clock at {health['now']}"
    return Group(
        Text(f"{head}  {look['parkedClaims']} parked claims", style="bold"),
        Text(),
        table(_QUEUES, map(_queue, look["queues"])),
        Text(),
        table(_LEASES, map(_lease, look["leases"])),
        Text(),
        table(_REQUESTS, map(_request, reversed(look["requests"]))),
    )


def _lease(task: dict[str, Any]) -> Iterable[object]:
    attempts = f"{task['attempts']}/{task['maxAttempts']}"
    return task["id"], task["command"], task["workerId"], attempts, task["leaseUntil"]


def _request(entry: dict[str, Any]) -> Iterable[object]:
    known = (entry[name] for name in ("n", "at", "as", "method"))
    return *known, entry["path"].partition("?")[0], entry["status"]
