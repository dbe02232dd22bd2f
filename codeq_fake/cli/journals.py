"""Commands for the journals: requests, callbacks, surprises; a request as curl or as a test; resend a callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

import click

from codeq_fake.serving.terminal_text import bare

from .control_client import Fake, Shape, calls_fake
from .output import FAILED, Answer, exit_with
from .tables import Columns, Kind, show_table

if TYPE_CHECKING:
    from codeq_fake.payloads import Request

#: What the commands read of a request, a callback and a surprise.
REQUEST: Mapping[str, Shape] = {
    **dict.fromkeys(("at", "method", "path"), str),
    "n": int,
    "as": str | None,
    "status": int | None,
    "faults": [str],
    "reason?": str | None,
    "operation?": str | None,
    "tookMs?": int | float,
    "tasks?": [{"id": str, "command": str}],
    "body?": str,
    "reply?": str,
}
_TRY: Shape = {"at?": str, "status": int | None, "error": str | None, "faults": [str]}
CALLBACK: Shape = {
    **dict.fromkeys(("kind", "url", "state"), str),
    "n": int,
    "taskId": str | None,
    "subscriptionId": str | None,
    "tries": [_TRY],
}
_SURPRISE: Shape = {"clause": str, "request": int | None, "said": str, "done": str}

_CALLBACK_COLUMNS: Columns = {
    "n": Kind.NUMBER,
    "kind": Kind.TEXT,
    "about": Kind.ID,
    "url": Kind.TEXT,
    "state": Kind.STATE,
    "tries": Kind.PROSE,
}
#: The columns of a table of requests. A narrow terminal has no room for the last ones.
REQUEST_COLUMNS: Columns = {
    "n": Kind.NUMBER,
    "at": Kind.TIME,
    "as": Kind.TEXT,
    "method": Kind.PIPE,
    "path": Kind.PIPE,
    "request": Kind.SCREEN,
    "status": Kind.STATE,
    "reason": Kind.PROSE,
    "faults": Kind.TEXT,
    "task": Kind.ID,
    "command": Kind.TEXT,
    "ms": Kind.NUMBER,
}
_SURPRISE_COLUMNS: Columns = {
    "clause": Kind.STATE,
    "request": Kind.NUMBER,
    "documented": Kind.PROSE,
    "done": Kind.PROSE,
}
_SINCE = click.option("--since", type=click.IntRange(0), default=0, metavar="N", help="Only entries after number N.")
_LAST = click.option(
    "--last", type=click.IntRange(1), default=100, show_default=True, metavar="N", help="Only the last N of them."
)


@click.command()
@_SINCE
@_LAST
@click.option("--path", metavar="TEXT", help="Only requests with this text in their path.")
@click.option("--status", metavar="CODE", help="Only requests with this status, such as 404, or class, such as 4xx.")
@calls_fake
def requests(fake: Fake, *, since: int, last: int, path: str | None, status: str | None) -> Answer:
    """List the latest requests."""
    shape: Shape = {"requests": [REQUEST], "dropped?": int}
    reply = fake.get("/requests", shape, since=since, path=path, status=status, last=last)
    rows = map(request_row, reply["requests"])
    return _listed(reply, show_table(REQUEST_COLUMNS, rows, empty="no requests", now=fake.now))


def _listed(reply: dict[str, Any], show: Callable[[], None]) -> Answer:
    """The answer with a table, and with a line about the entries that the journal no longer has."""
    return Answer(reply, partial(_show_listed, show, reply.get("dropped", 0)))


def _show_listed(show: Callable[[], None], dropped: int) -> None:
    show()
    if dropped:
        click.echo(f"{dropped} older ones were dropped: see --journal-size and --journal-bytes")


def request_row(entry: dict[str, Any]) -> Sequence[object]:
    """The cells of one request."""
    path = entry["path"].partition("?")[0]
    touched = entry.get("tasks") or [{"id": None, "command": None}]
    command = f"{touched[0]['command'] or ''}{f' and {len(touched) - 1} more' if len(touched) > 1 else ''}"
    return (
        *(entry["n"], entry["at"], entry["as"], entry["method"], path, entry.get("operation") or path),
        # A fake of an earlier version has no reasons.
        *(entry["status"] or "no reply", entry.get("reason"), ", ".join(entry["faults"])),
        *(touched[0]["id"], command, _milliseconds(entry)),
    )


def _milliseconds(entry: dict[str, Any]) -> str:
    """How long a request took (ms); empty for a fake of an earlier version, which does not tell."""
    return f"{entry['tookMs']:.10g}" if "tookMs" in entry else ""


@click.command()
@_SINCE
@_LAST
@calls_fake
def callbacks(fake: Fake, *, since: int, last: int) -> Answer:
    """List the latest callbacks and notices, with their tries."""
    reply = fake.get("/callbacks", {"callbacks": [CALLBACK], "dropped?": int}, since=since, last=last)
    rows = map(_callback_row, reply["callbacks"])
    return _listed(reply, show_table(_CALLBACK_COLUMNS, rows, empty="no callbacks"))


def _callback_row(entry: dict[str, Any]) -> Sequence[object]:
    about, tries = entry["taskId"] or entry["subscriptionId"], ", ".join(map(_tried, entry["tries"]))
    return entry["n"], entry["kind"], about, bare(entry["url"]), entry["state"], tries


def _tried(tried: dict[str, Any]) -> str:
    outcome = str(tried["status"] or tried["error"])
    return f"{outcome} ({', '.join(tried['faults'])})" if tried["faults"] else outcome


@click.command()
@click.argument("n", type=click.IntRange(1), metavar="[N]", required=False)
@calls_fake
def resend(fake: Fake, *, n: int | None) -> Answer:
    """Send a callback or notice again.

    It is number N, by default the last one.
    """
    if n is None:
        sent_before = fake.get("/callbacks", {"callbacks": [CALLBACK]}, last=1)["callbacks"]
        if not sent_before:
            exit_with("no callback was sent yet", FAILED)
        n = sent_before[-1]["n"]
    shape: Shape = {"callback": (NoneType, CALLBACK)}
    reply = fake.call("POST", f"/callbacks/{n}/resend", shape, patience=None)  # as long as its receiver takes
    sent = [reply["callback"]] if reply["callback"] is not None else []
    return Answer(
        reply, show_table(_CALLBACK_COLUMNS, map(_callback_row, sent), empty="the webhook's rate limit delays it")
    )


@click.command()
@click.argument("n", type=click.IntRange(1), metavar="[N]", required=False)
@calls_fake
def curl(fake: Fake, *, n: int | None) -> Answer:
    """Print a request as a command line of curl.

    It is request number N, by default the last one. The token is $CODEQ_TOKEN.
    """
    from codeq_fake.page.curl import as_curl  # noqa: PLC0415 - --help loads no server

    text = as_curl(cast("Request", _request(fake, n)), fake.name)
    return Answer({"curl": text}, lambda: click.echo(text))


@click.command("pytest")
@click.argument("n", type=click.IntRange(1), metavar="[N]", required=False)
@calls_fake
def as_pytest(fake: Fake, *, n: int | None) -> Answer:
    """Print a request as a test for pytest.

    It is request number N, by default the last one. The test brings the request's tasks into the state that they had,
    sends the request, and expects the same reply:

        codeq-fake pytest 7 > test_request_7.py
    """
    reply = fake.get(f"/requests/{n or _request(fake, n)['n']}/pytest", {"pytest": str})
    return Answer(reply, lambda: click.echo(reply["pytest"], nl=False))


def _request(fake: Fake, n: int | None) -> dict[str, Any]:
    """Request number `n`, by default the last one. Ends the program if the journal does not have it."""
    shape: Mapping[str, Shape] = {**REQUEST, "headers": {}, "body": str}
    if n is not None:
        return fake.get(f"/requests/{n}", shape)
    latest: list[dict[str, Any]] = fake.get("/requests", {"requests": [shape]}, last=1)["requests"]
    if not latest:
        exit_with("no request was sent yet", FAILED)
    return latest[0]


@click.command()
@calls_fake
def surprises(fake: Fake) -> Answer:
    """List where the server differs from its documentation."""
    reply = fake.get("/surprises", {"surprises": [_SURPRISE]})
    rows = ((each["clause"], each["request"], each["said"], each["done"]) for each in reply["surprises"])
    return Answer(reply, show_table(_SURPRISE_COLUMNS, rows, empty="no surprises"))
