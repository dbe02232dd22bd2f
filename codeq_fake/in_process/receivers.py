"""Applications in this process that receive callbacks: ASGI with its lifespan, or WSGI. Their errors are collected."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codeq_fake.compat.signatures import signature

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

#: An ASGI or a WSGI application.
Application: TypeAlias = "ASGIApp | WSGIApplication"

#: Attributes of frameworks' applications with a lifespan: Starlette and FastAPI, Litestar, Quart. Other applications
#: are not asked: many that a test defines take every call for a request.
_LIFESPANS = ("lifespan_context", "on_startup", "before_serving")

#: Key of an extension of the scope: a function for errors that an application answers itself. `codeq_client.webhooks`
#: has the same key.
_ON_ERROR = "codeq.on_error"

_logger = logging.getLogger(__name__)


class Receivers:
    """The applications that answer callbacks, by origin, and what they, hooks of workers and callbacks raised."""

    def __init__(self, applications: Mapping[str, Application]) -> None:
        self.errors: list[BaseException] = []
        self.by_origin = {origin: _Receiver(origin, app, self.errors) for origin, app in applications.items()}

    def check(self) -> None:
        """Raise the first error, with a note of the others, and forget all."""
        __tracebackhide__ = True
        if self.errors:
            first, *others = self.errors
            self.errors.clear()
            if others:
                kinds = Counter(type(error).__name__ for error in others)
                more = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
                first.add_note(
                    f"Receivers of webhooks, hooks of workers or callbacks of the event loop raised this, then {more}"
                )
            raise first

    @contextmanager
    def expect(self, kind: type[BaseException], match: str) -> Iterator[None]:
        """Forget the errors of this kind at the end of this context. Raises AssertionError if there are none."""
        __tracebackhide__ = True
        yield
        expected = [error for error in self.errors if isinstance(error, kind) and re.search(match, str(error))]
        if not expected:
            text = f" that matches {match!r}" if match else ""
            raise AssertionError(f"no mounted application, hook or callback raised a {kind.__name__}{text}")
        self.errors[:] = [error for error in self.errors if error not in expected]

    async def shut_down(self) -> None:
        """End the lifespans that run in this event loop."""
        for receiver in self.by_origin.values():
            await receiver.shut_down()


class _Receiver:
    """One application, as an ASGI application that never raises."""

    def __init__(self, origin: str, app: Application, errors: list[BaseException]) -> None:
        if not callable(app):
            raise TypeError(f"webhooks: found {app!r} for {origin}, an ASGI or WSGI application belongs here")
        self._origin = origin
        self._app = cast("ASGIApp", app) if _is_asgi(app) else _WsgiAdapter(cast("WSGIApplication", app))
        self._errors = errors
        self._lifespan = _Lifespan(self._app, self._note) if _has_lifespan(app) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        progress = _Progress(send)
        scope = {**scope, "extensions": {**scope.get("extensions", {}), _ON_ERROR: self._note}}
        try:
            if self._lifespan is not None:
                await self._lifespan.start()
                scope = {**scope, "state": self._lifespan.state.copy()}
            await self._app(scope, receive, progress.send)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - also what `pytest.fail` raises
            self._note(error)
            await progress.fail()

    async def shut_down(self) -> None:
        """End the lifespan, if it runs in this event loop."""
        if self._lifespan is not None:
            await self._lifespan.shut_down()

    def _note(self, error: BaseException) -> None:
        self._errors.append(error)
        # Without the traceback: it is shown where the error is raised again.
        _logger.error("the application mounted for %s raised %s", self._origin, type(error).__name__)


class _Progress:
    """How far a reply has got."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_started = self._has_ended = False

    async def send(self, message: Message) -> None:
        """Send the next message."""
        self._has_started = True
        self._has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def fail(self) -> None:
        """Reply with a 500, unless a reply has started, as a server does."""
        if not self._has_started:
            await self._send({"type": "http.response.start", "status": 500, "headers": []})
        if not self._has_ended:
            await self._send({"type": "http.response.body", "body": b""})


class _Lifespan:
    """The lifespan of an ASGI application in the event loop that calls it.

    It starts before the first request, and ends with the fake or with the loop.
    """

    def __init__(self, app: ASGIApp, note: Callable[[BaseException], None]) -> None:
        #: What the application puts into the scope of each request.
        self.state: dict[str, Any] = {}
        self._app = app
        self._note = note
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run the start-up, unless it has run in this loop. Raises RuntimeError if it fails."""
        loop = asyncio.get_running_loop()
        if self._running is None or self._running.get_loop() is not loop:
            self._started: asyncio.Future[None] = loop.create_future()
            self._must_end = asyncio.Event()
            self._received = 0
            # Not in the context of this request, since it outlives it.
            self._running = loop.create_task(self._run(), context=Context())
        await asyncio.shield(self._started)  # other requests wait for it, too

    async def shut_down(self) -> None:
        """Run the shutdown, if the lifespan runs in this loop."""
        if self._running is not None and self._running.get_loop() is asyncio.get_running_loop():
            self._must_end.set()
            await asyncio.wait({self._running})

    async def _run(self) -> None:
        """Run the application for the lifespan. `start` gets to know by `_started` whether the start-up succeeded."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - whatever the application raises
            # Else `start` raises it, or the application has no lifespan.
            if self._started.done() and self._started.exception() is None:
                self._note(error)
        finally:
            if not self._started.done():  # the application has no lifespan
                self._started.set_result(None)

    async def _receive(self) -> Message:
        self._received += 1
        if self._received == 1:
            return {"type": "lifespan.startup"}
        with suppress(asyncio.CancelledError):  # the loop ends, and waits for the shutdown
            await self._must_end.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                self._started.set_result(None)
            case "lifespan.startup.failed":
                self._started.set_exception(RuntimeError(f"the start-up failed: {message.get('message', '')}"))
            case "lifespan.shutdown.failed":
                self._note(RuntimeError(f"the shutdown failed: {message.get('message', '')}"))
            case _:
                pass


class _WsgiAdapter:
    """A WSGI application as an ASGI application. Each request is answered in a thread."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        is_complete = False
        while not is_complete:
            message = await receive()
            body += message.get("body", b"")
            is_complete = not message.get("more_body", False)
        status, headers, content = await asyncio.to_thread(self._answer, scope, body)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        import httpx  # noqa: PLC0415 - takes a quarter of a second, and callbacks have loaded it

        host, port = scope["server"]
        query = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        url = httpx.URL(scheme=scope["scheme"], host=host, port=port, raw_path=target)
        request = httpx.Request(scope["method"], url, headers=scope["headers"], content=body)
        response = httpx.WSGITransport(self._app).handle_request(request)
        return response.status_code, response.headers.raw, response.read()


def _is_asgi(app: Application) -> bool:
    """Whether an application takes the three arguments of ASGI, not the two of WSGI."""
    try:
        parameters = signature(app)
    except (TypeError, ValueError):
        return True
    try:
        parameters.bind(None, None, None)
    except TypeError:
        return False
    return True


def _has_lifespan(app: object) -> bool:
    """Whether this is a framework's application with a lifespan, or middleware around one."""
    while app is not None and not inspect.isfunction(app):
        if any(hasattr(part, name) for part in (app, getattr(app, "router", None)) for name in _LIFESPANS):
            return True
        app = getattr(app, "app", None)
    return False
