"""The fakes that a recording is replayed on, in this process or at a URL, and the part of their control API in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager as AsyncContext
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import anyio
import httpx

from codeq_contract.driver.connections import connect, connect_async
from codeq_contract.driver.requests import asgi_target
from codeq_contract.driver.webhooks import Answer, App, Receive, Receiver, Scope, Send, serve_webhook
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, Recording
from codeq_contract.recordings.times import moment_text, parse_moment

if TYPE_CHECKING:
    from codeq_fake.testing import FakeCodeQ

#: Seconds for one reply. A replay itself gives up sooner, so that a missing answer is a difference and no error.
_TIMEOUT = 30


class ControlError(Exception):
    """A call of the control API failed. The text contains its reply."""


Configuration: TypeAlias = Mapping[str, Any]
"""The set-up of a fake for a recording: the arguments of `FakeCodeQ`, and of a reset."""


class Control(Protocol):
    """The part of a fake's control that a replay uses. Every method raises ControlError."""

    async def advance_to(self, moment: int) -> None:
        """Move the clock to `moment` (nanoseconds since 1970), and wait until everything due is done."""

    async def queue(self, ids: Sequence[str], delays: Sequence[int]) -> None:
        """Set the next ids of tasks and subscriptions, and the next jittered delays in seconds."""


@dataclass(frozen=True, slots=True)
class FakeControl:
    """The control of a fake in this process."""

    fake: FakeCodeQ

    async def advance_to(self, moment: int) -> None:
        """As `Control.advance_to`."""
        await self.fake.aadvance(to=moment_text(moment))

    async def queue(self, ids: Sequence[str], delays: Sequence[int]) -> None:
        """As `Control.queue`."""
        self.fake.next(ids=ids, delays=delays)


@dataclass(frozen=True, slots=True)
class HttpControl:
    """The control API of the fake that `http` reaches."""

    http: httpx.AsyncClient
    token: str | None = None

    async def reset(self, configuration: Configuration) -> None:
        """Replace the fake by a new one with this set-up."""
        await self._call("reset", configuration)

    async def advance_to(self, moment: int) -> None:
        """As `Control.advance_to`."""
        await self._call("clock/advance", {"to": moment_text(moment)})

    async def queue(self, ids: Sequence[str], delays: Sequence[int]) -> None:
        """As `Control.queue`."""
        await self._call("next", {"ids": ids, "delays": delays})

    async def _call(self, name: str, body: Mapping[str, Any]) -> None:
        response = await self.http.post(f"/_fake/{name}", json=body, headers=_headers(self.token))
        _check(response)


def clock_of(http: httpx.Client, token: str | None) -> Callable[[], int]:
    """A function that asks the fake for its time, in nanoseconds since 1970. It raises ControlError."""

    def now() -> int:
        response = http.get("/_fake/clock", headers=_headers(token))
        _check(response)
        try:
            return parse_moment(response.json()["now"])
        except (LookupError, TypeError, ValueError, RecursionError):
            raise ControlError(f"GET /_fake/clock: not a reply of a fake: {response.text:.100}") from None

    return now


def _headers(token: str | None) -> Mapping[bytes, bytes]:
    # In UTF-8, which a fake expects in a token that is not ASCII.
    return {} if token is None else {b"Authorization": f"Bearer {token}".encode(errors="surrogateescape")}


def _check(response: httpx.Response) -> None:
    if not response.is_success:
        request = response.request
        raise ControlError(f"{request.method} {request.url.path}: {response.status_code} {response.text}")


@dataclass(frozen=True, slots=True)
class ReplayServer:
    """A fake that is set up for one recording, and the webhook that its callbacks go to.

    `hooks_origin` is the webhook's origin for the fake. `start` sends a request that may wait, and returns when the
    fake has received it.
    """

    http: httpx.AsyncClient
    control: Control
    hooks: Receiver
    hooks_origin: str
    start: Callable[[httpx.Request], Awaitable[asyncio.Task[httpx.Response]]]


class Target(Protocol):
    """A place where recordings can be replayed."""

    def open(self, configuration: Configuration, recording: Recording) -> AsyncContext[ReplayServer]:
        """Set up a fake by `configuration`, with a webhook that answers as it did in `recording`.

        Raises ControlError and httpx.HTTPError.
        """


@dataclass(frozen=True, slots=True)
class InProcessTarget:
    """A new fake for each recording, reached without a socket."""

    @asynccontextmanager
    async def open(self, configuration: Configuration, recording: Recording) -> AsyncIterator[ReplayServer]:
        """As `Target.open`. The webhook is mounted at the recorded origin."""
        # A replay at a URL does without the fake and its dependencies.
        from codeq_fake.testing import FakeCodeQ  # noqa: PLC0415 - as above

        hooks = recorded_webhook(recording, lambda: parse_moment(fake.now))
        fake = FakeCodeQ(**configuration, webhooks={WEBHOOK_ORIGIN: hooks})
        async with httpx.AsyncClient(transport=TargetTransport(fake.app), base_url="http://fake.test") as http:

            async def start(request: httpx.Request) -> asyncio.Task[httpx.Response]:
                reply = asyncio.create_task(http.send(request))
                # Usually one turn of the loop is enough, and saves anyio's pause of 0.1 s between two looks.
                await asyncio.sleep(0)
                await anyio.wait_all_tasks_blocked()
                return reply

            yield ReplayServer(http, FakeControl(fake), hooks, WEBHOOK_ORIGIN, start)


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """A running fake. It must be able to reach this machine's loopback address.

    `transport` carries the requests instead of httpx's own.
    """

    url: str
    control_token: str | None = None
    transport: httpx.AsyncBaseTransport | None = None

    @asynccontextmanager
    async def open(self, configuration: Configuration, recording: Recording) -> AsyncIterator[ReplayServer]:
        """As `Target.open`. Resets the fake, and listens on a free port if the recording has webhooks."""
        async with connect_async(self.url, transport=self.transport, timeout=_TIMEOUT) as http:
            control = HttpControl(http, self.control_token)
            await control.reset(configuration)
            with connect(self.url) as blocking:  # the webhook asks for the time in its own thread
                hooks = recorded_webhook(recording, clock_of(blocking, self.control_token))
                with _served(hooks, recording) as port:
                    origin = WEBHOOK_ORIGIN if port is None else f"http://127.0.0.1:{port}"
                    yield ReplayServer(http, control, hooks, origin, partial(_start, http))


class TargetTransport(httpx.AsyncBaseTransport):
    """Sends requests to an application in this process, with their targets as the extension `target` has them."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its whole reply."""
        target = request.extensions.get("target", request.url.raw_path)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app({**scope, **asgi_target(target)}, receive, send)

        return await httpx.ASGITransport(app).handle_async_request(request)


async def _start(http: httpx.AsyncClient, request: httpx.Request) -> asyncio.Task[httpx.Response]:
    """Send `request`. The fake has received it when a request that was sent after it is answered."""
    sent = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield request.content
        # httpx asks for more when it has written the first part.
        sent.set()

    streamed = http.build_request(
        request.method, request.url, headers=request.headers, content=content(), extensions=request.extensions
    )
    reply = asyncio.create_task(http.send(streamed))
    waiting = asyncio.create_task(sent.wait())
    await asyncio.wait({reply, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    await http.get("/_fake/health")
    return reply


def recorded_webhook(recording: Recording, now: Callable[[], int]) -> Receiver:
    """A webhook that answers as the recorded one did. `now` tells the fake's time."""
    hooks = Receiver(now)
    for callback in recording.callbacks:
        hooks.answer(callback.path, Answer(callback.status, callback.location))
    return hooks


def _served(hooks: Receiver, recording: Recording) -> AbstractContextManager[int | None]:
    """Serve the webhook if the recording has any. Yields the port, or None."""
    has_webhooks = any(WEBHOOK_ORIGIN in (call.body or "") for call in recording.calls)
    return serve_webhook(hooks, {}) if has_webhooks else nullcontext()
