"""The log of a server: a line for each request and each callback, and what came of it.

No token, no secret and no payload is in it: of a URL, what comes after the path is left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from codeq_fake import wire
from codeq_fake.clocks import stopwatch
from codeq_fake.http.endpoint import ENTRY
from codeq_fake.serving.terminal_text import bare, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from codeq_fake.divergences import Surprise
    from codeq_fake.journal import Callback, Request
    from codeq_fake.runtime.fake_server import Runtime

    Form = Callable[["Line"], str]

_UTC = ZoneInfo("UTC")
_MILLISECOND = 1_000_000
_CONTROL = "/_fake"
_WATCHED = (_CONTROL, "/metrics")


class Line(NamedTuple):
    """What is told of one request. ``at`` is the fake's instant (ns), ``took`` real ns, ``tasks`` pairs of id, command.

    ``status`` is None when there was no reply: the client was gone, or a fault took it. ``faults`` are the kinds of
    those that came on it.
    """

    at: int
    method: str
    path: str
    status: int | None
    took: int
    caller: str = ""
    tasks: tuple[tuple[str, str], ...] = ()
    error: str = ""
    faults: tuple[str, ...] = ()


class CallbackLine(NamedTuple):
    """What is told of one try of a callback or notice, which was sent at the fake's instant ``at`` (ns)."""

    at: int
    kind: str
    url: str
    outcome: int | str
    n: int
    about: str
    command: str


class Logged:
    """An application whose requests are told to ``write``, a line each; so are callbacks, and what will surprise.

    Looks at the control API and at the metrics are left out: whatever watches a fake would fill the log.
    """

    def __init__(self, app: ASGIApp, runtime: Runtime, write: Callable[[str], None], *, as_json: bool) -> None:
        self._app = app
        self._runtime = runtime
        self._write = write
        self._form = in_json if as_json else in_words
        self._callback_form = _callback_in_json if as_json else _callback_in_words
        self._warning = _surprise_in_json if as_json else _surprise_in_words
        runtime.on_try = self._tell_try

    def tell_settings(self) -> None:
        """Tell what the settings show that will surprise."""
        for surprise in self._runtime.surprises.look():
            self._write(self._warning(surprise))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and log it."""
        if scope["type"] != "http" or (scope["method"] == "GET" and scope["path"].startswith(_WATCHED)):
            await self._app(scope, receive, send)
            return
        began = stopwatch()
        status: int | None = None

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            self._tell(scope, status, stopwatch() - began)

    def _tell_try(self, callback: Callback) -> None:
        tried = callback.tries[-1]
        outcome = tried.status if tried.status is not None else tried.error or ""
        about = callback.task_id or callback.subscription_id
        line = CallbackLine(
            tried.at, callback.kind, bare(callback.url), outcome, len(callback.tries), about, callback.command
        )
        self._write(self._callback_form(line))

    def _tell(self, scope: Scope, status: int | None, took: int) -> None:
        entry: Request | None = scope.get(ENTRY)
        line = Line(self._runtime.clock.now(), scope["method"], scope["path"], status, took)
        if entry is None:
            self._write(self._form(line))
            return
        tasks = tuple((task.id, task.command) for task in entry.tasks)
        line = line._replace(caller=entry.caller, tasks=tasks, error=entry.error, faults=entry.faults)
        self._write(self._form(line))
        for surprise in self._runtime.surprises.see(entry):
            self._write(self._warning(surprise))


def in_words(line: Line) -> str:
    """A line for a person."""
    status = line.status if line.status is not None else "no reply"
    told = f"{_time(line.at)} {line.method} {line.path} {status} {line.took / _MILLISECOND:.1f} ms"
    if len(line.tasks) == 1:
        [(task_id, command)] = line.tasks
        told += "  " + (command if task_id in line.path else f"{task_id} {command}")
    elif line.tasks:
        told += f"  {len(line.tasks)} tasks"
    if line.caller:
        told += f"  by {line.caller}"
    if line.error:
        told += f"  {line.error}"
    if line.faults:
        told += f"  fault: {', '.join(line.faults)}"
    return printable(told)


def in_json(line: Line) -> str:
    """A line for a machine: an object without what is not known."""
    told: dict[str, Any] = {
        "at": wire.rfc3339_nano(line.at, _UTC),
        "method": line.method,
        "path": line.path,
        "status": line.status,
        "ms": round(line.took / _MILLISECOND, 3),
        "as": line.caller,
        "tasks": [{"id": task_id, "command": command} for task_id, command in line.tasks],
        "error": line.error,
        "faults": list(line.faults),
    }
    return json.dumps({name: value for name, value in told.items() if value not in ("", [])})


def _callback_in_words(line: CallbackLine) -> str:
    what = f"{line.kind} to {line.url} {line.outcome}, try {line.n}"
    return printable(f"{_time(line.at)} {what}  {line.about} {line.command}")


def _callback_in_json(line: CallbackLine) -> str:
    about = "subscription" if line.kind == "queue_ready" else "task"
    told: dict[str, Any] = {"at": wire.rfc3339_nano(line.at, _UTC), "callback": line.kind, "url": line.url}
    told |= {"outcome": line.outcome, "try": line.n, about: line.about, "command": line.command}
    return json.dumps(told)


def _surprise_in_words(surprise: Surprise) -> str:
    return f"surprise: {surprise}"


def _surprise_in_json(surprise: Surprise) -> str:
    told = {"surprise": surprise.rule, "clause": surprise.clause, "said": surprise.said, "done": surprise.done}
    return json.dumps(told)


def _time(at: int) -> str:
    """The time of day, to the millisecond."""
    return f"{wire.rfc3339_seconds(at)[11:-1]}.{at // _MILLISECOND % 1000:03}"
