"""The log of a server: one line for each request, each try of a callback and each surprise.

It has no token, no secret and no payload: of a URL it shows neither user nor query.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codeq_fake import wire
from codeq_fake.clocks.clock import stopwatch
from codeq_fake.http.endpoint import ENTRY
from codeq_fake.journal import Callback, Request
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.serving.terminal_text import bare, printable
from codeq_fake.surprises import Surprise

_UTC = ZoneInfo("UTC")
_MILLISECOND = 1_000_000
#: GET requests to these paths are left out: what polls a fake would fill the log.
_POLLED = ("/_fake", "/metrics")


class RequestLog:
    """An application that answers like `app` and logs each request. It also logs the callbacks of the fake."""

    def __init__(self, app: ASGIApp, runtime: FakeServer, write: Callable[[str], None], *, as_json: bool) -> None:
        self._app = app
        self._runtime = runtime
        self._write = write
        self._format = _Json if as_json else _Text
        runtime.on_try = lambda callback: write(self._format.callback(callback))

    def log_settings(self) -> None:
        """Log the surprises in the fake's settings."""
        for surprise in self._runtime.surprises.so_far():
            self._write(self._format.surprise(surprise))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and log it."""
        if scope["type"] != "http" or (scope["method"] == "GET" and scope["path"].startswith(_POLLED)):
            await self._app(scope, receive, send)
            return
        began = stopwatch()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            self._log(scope, status, stopwatch() - began)

    def _log(self, scope: Scope, status: int, took: int) -> None:
        """Log a request. The status is the one that was sent, 0 if there was no reply."""
        now, path = self._runtime.clock.now(), scope["path"]
        entry: Request | None = scope.get(ENTRY)
        if entry is None:
            self._write(self._format.request(Request(0, now, scope["method"], path, "", b"", status, b""), took))
            return
        self._write(self._format.request(entry._replace(at=now, path=path, status=status), took))
        for surprise in self._runtime.surprises.take_unlogged(entry):
            self._write(self._format.surprise(surprise))


class _Text:
    """Lines for people."""

    @staticmethod
    def request(shown: Request, took: int) -> str:
        """A request with its duration in real ns."""
        line = (
            f"{_time(shown.at)} {shown.method} {shown.path} {shown.status or 'no reply'} {took / _MILLISECOND:.1f} ms"
        )
        if len(shown.tasks) == 1:
            [task] = shown.tasks
            line += "  " + (task.command if task.id in shown.path else f"{task.id} {task.command}")
        elif shown.tasks:
            line += f"  {len(shown.tasks)} tasks"
        if shown.caller:
            line += f"  by {shown.caller}"
        if why := ": ".join(dict.fromkeys(filter(None, (shown.error, shown.reason)))):
            line += f"  {why}"
        if shown.faults:
            line += f"  fault: {', '.join(shown.faults)}"
        return printable(line)

    @staticmethod
    def callback(shown: Callback) -> str:
        """The latest try of a callback or notice."""
        what = f"{shown.kind} to {bare(shown.url)} {_outcome(shown)}, try {shown.last_try}"
        about = shown.task_id or shown.subscription_id
        return printable(f"{_time(shown.tries[-1].at)} {what}  {about} {shown.command}")

    @staticmethod
    def surprise(shown: Surprise) -> str:
        """A surprise."""
        return f"surprise: {shown}"


class _Json:
    """Lines for programs: JSON objects without empty values."""

    @staticmethod
    def request(shown: Request, took: int) -> str:
        """A request with its duration in real ns."""
        values: dict[str, Any] = {
            "at": wire.rfc3339_nano(shown.at, _UTC),
            "method": shown.method,
            "path": shown.path,
            "status": shown.status or None,
            "ms": round(took / _MILLISECOND, 3),
            "as": shown.caller,
            "tasks": [{"id": task.id, "command": task.command} for task in shown.tasks],
            "error": shown.error,
            "reason": shown.reason,
            "faults": list(shown.faults),
        }
        return json.dumps({name: value for name, value in values.items() if value not in ("", [])})

    @staticmethod
    def callback(shown: Callback) -> str:
        """The latest try of a callback or notice."""
        about = {"task": shown.task_id} if shown.task_id else {"subscription": shown.subscription_id}
        return json.dumps(
            {
                "at": wire.rfc3339_nano(shown.tries[-1].at, _UTC),
                "callback": shown.kind,
                "url": bare(shown.url),
                "outcome": _outcome(shown),
                "try": shown.last_try,
                **about,
                "command": shown.command,
            }
        )

    @staticmethod
    def surprise(shown: Surprise) -> str:
        """A surprise."""
        return json.dumps({"surprise": shown.rule, "clause": shown.clause, "said": shown.said, "done": shown.done})


def _outcome(shown: Callback) -> int | str:
    """The status or the error of the latest try."""
    tried = shown.tries[-1]
    return tried.status if tried.status is not None else tried.error or ""


def _time(at: int) -> str:
    """The time of day, to the millisecond."""
    return f"{wire.rfc3339_seconds(at)[11:-1]}.{at // _MILLISECOND % 1000:03}"
