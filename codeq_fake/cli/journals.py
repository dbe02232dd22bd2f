"""The commands about what a fake has seen: requests, callbacks, and which clauses of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .asking import Answer, asking, show_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .remote import Fake

_CALLBACK = ("n#", "kind", "about", "url", "state", "tries")
_SINCE = click.option("--since", type=click.IntRange(0), default=0, metavar="N", help="Only what came after number N.")


@click.command()
@_SINCE
@click.option("--path", metavar="TEXT", help="Only requests with this in their path.")
@click.option("--status", type=click.IntRange(100, 599), metavar="CODE", help="Only requests answered so.")
@asking
def requests(fake: Fake, *, since: int, path: str | None, status: int | None) -> Answer:
    """List the requests that were answered."""
    reply = fake.get("/requests", since=since, path=path, status=status)
    columns = ("n#", "at", "as", "method", "path", "status#")
    return Answer(reply, show_table(columns, map(_request, reply["requests"]), empty="no requests"))


def _request(entry: dict[str, Any]) -> Iterable[object]:
    return (entry[name] for name in ("n", "at", "as", "method", "path", "status"))


@click.command()
@_SINCE
@asking
def callbacks(fake: Fake, *, since: int) -> Answer:
    """List callbacks and notices, with their tries."""
    reply = fake.get("/callbacks", since=since)
    return Answer(reply, show_table(_CALLBACK, map(_callback, reply["callbacks"]), empty="no callbacks"))


def _callback(entry: dict[str, Any]) -> Iterable[object]:
    tries = ", ".join(str(tried["status"] or tried["error"]) for tried in entry["tries"])
    return entry["n"], entry["kind"], entry["taskId"] or entry["subscriptionId"], entry["url"], entry["state"], tries


@click.command()
@click.argument("n", type=click.IntRange(1), metavar="N")
@asking
def resend(fake: Fake, *, n: int) -> Answer:
    """Send callback or notice number N anew."""
    reply = fake.ask("POST", f"/callbacks/{n}/resend", patience=None)  # as long as its receiver takes
    sent = [reply["callback"]] if reply["callback"] is not None else []
    return Answer(reply, show_table(_CALLBACK, map(_callback, sent), empty="the webhook's rate limit holds it back"))


@click.command()
@asking
def surprises(fake: Fake) -> Answer:
    """List what the real server does otherwise than documented."""
    reply = fake.get("/surprises")
    columns = ("clause", "request#", "documented", "done")
    rows = ((found["clause"], found["request"], found["said"], found["done"]) for found in reply["surprises"])
    return Answer(reply, show_table(columns, rows, empty="no surprises"))


@click.command()
@click.option("--untouched", is_flag=True, help="Only the clauses that no request has touched yet.")
@asking
def contract(fake: Fake, *, untouched: bool) -> Answer:
    """List the contract's clauses, and what was touched.

    Of each: whether the fake does the same, and how often its traffic has touched it.
    """
    reply = fake.get("/contract")
    if untouched:
        reply = {**reply, "clauses": [clause for clause in reply["clauses"] if not clause["touched"]]}
    columns = ("clause", "fake", "touched#", "says")
    return Answer(reply, show_table(columns, _clauses(reply), empty="every clause was touched"))


def _clauses(reply: dict[str, Any]) -> Iterator[Iterable[object]]:
    return ((clause["id"], clause["ours"], clause["touched"] or None, clause["says"]) for clause in reply["clauses"])
