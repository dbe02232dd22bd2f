"""A fake in your process: :class:`FakeCodeQ`, with the powers of the control API and no HTTP in between."""

from __future__ import annotations

import asyncio
import json
import math
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from . import assertions, timeline, wire
from .application import application
from .auth import Tokens, identities_of
from .clock import Clock
from .control import Controls
from .control.controls import instant
from .control.controls import profile as checked_profile
from .control.views import plain
from .core.units import SECOND
from .journal import DEFAULT_SIZE
from .runtime import DEFAULT_PROFILE, Config, Runtime
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    import httpx
    from anyio.from_thread import BlockingPortal
    from starlette.types import ASGIApp

    T = TypeVar("T")

BASE_URL = "http://codeq.test"


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as it was when you looked.

    ``payload`` and ``result`` are decoded, ``history`` and ``claimable`` are as ``/_fake/tasks/ID`` shows them.
    """

    id: str
    command: str
    payload: Any
    status: str
    location: str
    priority: int
    attempts: int
    max_attempts: int
    worker: str | None
    lease_until: str | None
    error: str | None
    result: Any
    tenant: str | None
    history: tuple[dict[str, Any], ...]
    claimable: dict[str, Any]

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> TaskView:
        """Read what the control API shows of a task."""
        record = shown["result"]
        return cls(
            id=shown["id"],
            command=shown["command"],
            payload=plain(shown["payload"]),
            status=shown["status"],
            location=shown["lastKnownLocation"],
            priority=shown.get("priority", 0),
            attempts=shown.get("attempts", 0),
            max_attempts=shown["maxAttempts"],
            worker=shown.get("workerId"),
            lease_until=shown.get("leaseUntil"),
            error=shown.get("error"),
            result=record.get("result", {}) if record is not None else None,
            tenant=shown.get("tenantId"),
            history=tuple(shown["history"]),
            claimable=shown["claimable"],
        )


class FakeCodeQ:
    """A CodeQ server in memory.

    ``settings`` are the real server's environment variables, ``yaml`` its configuration file, ``identities`` the
    callers to know (``{"name": {"kind": "producer" or "worker", "claims": {...}}}``; their tokens are their names).
    Without any of it the token ``dev-token`` may do everything. ``now`` is where a manual clock stands still.
    ``webhooks`` maps an origin such as ``http://app.test`` to an ASGI application that gets the callbacks sent there.

    Use it as a context manager, or call :meth:`close`, when :meth:`client` or a blocking :meth:`advance` was used.
    """

    def __init__(
        self,
        *,
        profile: str = DEFAULT_PROFILE,
        clock: Literal["manual", "real"] = "manual",
        now: str | datetime | None = None,
        settings: Mapping[str, str] | None = None,
        yaml: str | None = None,
        identities: Mapping[str, Any] | None = None,
        webhooks: Mapping[str, ASGIApp] | None = None,
        webhook_allow: Iterable[str] = (),
        journal_size: int = DEFAULT_SIZE,
        seed: int | None = None,
        control_token: str | None = None,
    ) -> None:
        config = Config(
            profile=checked_profile(profile),
            settings=Settings.from_env(settings or {}, yaml or ""),
            identities=identities_of(identities) if identities else (),
            webhook_allow=tuple(webhook_allow),
            mounts=dict(webhooks or {}),
            journal_size=journal_size,
            seed=seed,
        )
        self._runtime = Runtime(config, Clock(clock, start=_instant(now) if now is not None else None))
        self._controls = Controls(self._runtime)
        self._portal: _Portal | None = None
        self._url: str | None = None
        #: The server as an ASGI application, the control API included.
        self.app: ASGIApp = application(self._runtime, control_token=control_token)

    def __repr__(self) -> str:
        tasks = self._runtime.broker.store.tasks.values()
        counts: dict[str, int] = {}
        for task in tasks:
            counts[task.state.name.lower()] = counts.get(task.state.name.lower(), 0) + 1
        states = ", ".join(f"{count} {name}" for name, count in counts.items()) or "no tasks"
        return f"<FakeCodeQ {self._runtime.config.profile} at {self.now} ({self._runtime.clock.mode}): {states}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread that serves blocking clients, if there is one."""
        if self._portal is not None:
            self._portal.close()
            self._portal = None

    # On a port.

    @contextmanager
    def serve(self, host: str = "127.0.0.1", port: int = 0) -> Iterator[FakeCodeQ]:
        """Serve this fake on a port as well, in a thread of its own; port 0 picks a free one. Sets :attr:`url`.

        Raises :class:`codeq_fake.server.PortTakenError`.
        """
        from .server import listen, served  # noqa: PLC0415 - uvicorn takes a tenth of a second to import

        context = served(self.app, self._runtime, listen(host, port))
        with self._start_portal().serving(context) as url:
            self._url = url
            try:
                yield self
            finally:
                self._url = None

    @property
    def url(self) -> str:
        """Where this fake is served. Raises RuntimeError outside of :meth:`serve`."""
        if self._url is None:
            raise RuntimeError("this fake is on no port: use the fixture codeq_server, or `with fake.serve():`")
        return self._url

    @property
    def env(self) -> dict[str, str]:
        """The environment variables by which a client finds this fake and its tokens: CODEQ_BASE_URL and so on."""
        config = self._runtime.config
        return Tokens.of(config.settings, config.identities).environment(self.url)

    # Clients.

    def client(self, token: str = "dev-token", **options: Any) -> httpx.Client:  # noqa: S107 - the fake's own default
        """A blocking httpx client that speaks to this fake, with ``token`` as its bearer token."""
        import httpx  # noqa: PLC0415 - a quarter of a second that only its users pay

        from ._transport import PortalTransport  # noqa: PLC0415 - it imports httpx

        headers = {"authorization": f"Bearer {token}", **options.pop("headers", {})}
        transport = PortalTransport(self.app, self._in_portal)
        return httpx.Client(base_url=BASE_URL, transport=transport, headers=headers, **options)

    def async_client(self, token: str = "dev-token", **options: Any) -> httpx.AsyncClient:  # noqa: S107 - as above
        """An httpx client for async code that speaks to this fake in the running event loop."""
        import httpx  # noqa: PLC0415 - as above

        headers = {"authorization": f"Bearer {token}", **options.pop("headers", {})}
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(base_url=BASE_URL, transport=transport, headers=headers, **options)

    # Time.

    @property
    def now(self) -> str:
        """The fake's present instant, RFC 3339 in UTC."""
        shown: str = self._controls.clock()["now"]
        return shown

    def advance(self, seconds: float | None = None, *, to: str | datetime | None = None) -> None:
        """Advance the clock, through all that falls due, and return when all is quiet.

        For blocking code; in a coroutine use :meth:`aadvance`. Raises ConflictError when that would go back.
        """
        self._in_portal(lambda: self.aadvance(seconds, to=to))

    async def aadvance(self, seconds: float | None = None, *, to: str | datetime | None = None) -> None:
        """As :meth:`advance`, for coroutines."""
        by = round(seconds * SECOND) if seconds is not None else None
        await self._controls.advance(by=by, to=_instant(to) if to is not None else None)

    def freeze(self) -> None:
        """Let a real clock stand still from now on."""
        self._call(self._runtime.clock.freeze)

    def next(self, *, ids: Iterable[str] = (), delays: Iterable[int] = ()) -> None:
        """Queue the next task or subscription ids, and the next jittered backoff delays (seconds)."""
        self._controls.next(ids=ids, delays=delays)

    # State.

    def enqueue(
        self,
        command: str,
        payload: object = None,
        *,
        priority: int = 0,
        webhook: str = "",
        max_attempts: int = 0,
        delay: int = 0,
        tenant: str = "dev",
    ) -> TaskView:
        """Create a task, as a producer of ``tenant`` would. Raises a ``codeq_fake.core.errors.Refused``."""

        def create() -> str:
            runtime = self._runtime
            text = wire.decode(json.dumps({"payload": payload}).encode(), _PAYLOAD).get("payload", "null")
            task = runtime.broker.create(
                command,
                text,
                tenant=tenant,
                now=runtime.clock.now(),
                priority=priority,
                webhook=webhook,
                max_attempts=max_attempts,
                delay_seconds=delay,
            )
            return task.id

        task_id = self._call(create)
        if self._runtime.broker.subscriptions.by_id:
            self._in_portal(self._runtime.carry_out)
        return self.task(task_id)

    def task(self, task_id: str) -> TaskView:
        """One task, without side effect. Raises UnknownTaskError."""
        return TaskView.of(self._call(lambda: self._controls.task(task_id)))

    def tasks(self, *, status: str = "", command: str = "", tenant: str | None = None) -> list[TaskView]:
        """The tasks that match, oldest first."""
        found = self._call(lambda: self._controls.tasks(status=status, command=command, tenant=tenant))
        return [self.task(shown["id"]) for shown in found]

    def expire(self, task_id: str) -> None:
        """End a task's lease now. Raises UnknownTaskError or ConflictError."""
        self._call(lambda: self._controls.expire(task_id))

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests so far, with their replies."""
        return self._call(self._controls.requests)

    @property
    def callbacks(self) -> list[dict[str, Any]]:
        """The callbacks and notices so far, with each of their tries."""
        return self._call(self._controls.callbacks)

    def state(self) -> dict[str, Any]:
        """The whole state as plain JSON values."""
        return self._call(self._controls.state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replace the state by one that :meth:`state` returned. Raises BadRequestError."""
        self._call(lambda: self._controls.restore(state))

    def reset(self) -> None:
        """Start over with an empty state and empty journals; settings and clock are kept."""
        self._call(self._controls.reset)

    # Assertions: when one fails, it tells what happened instead.

    def assert_completed(self, task_id: str, result: object = ...) -> None:
        """The task is COMPLETED, with this result if one is given. Raises AssertionError, UnknownTaskError."""
        assertions.completed(self._call(lambda: self._controls.task(task_id)), result)

    def assert_dead(self, task_id: str, error: str | None = None) -> None:
        """The task is a dead letter, with this error if one is given. Raises AssertionError, UnknownTaskError."""
        assertions.dead(self._call(lambda: self._controls.task(task_id)), error)

    def assert_callback(self, url: str, *, status: int | None = None, times: int | None = None) -> None:
        """``url`` was called back, last answered with ``status``, in ``times`` tries. Raises AssertionError."""
        assertions.called_back(self.callbacks, url, status=status, times=times)

    def assert_no_leases(self) -> None:
        """Nobody holds a task. Raises AssertionError."""
        assertions.no_leases(self._in_full(status="IN_PROGRESS"))

    def wait_until(self, condition: Callable[[], object], *, within: float = 3600, step: float = 0.25) -> None:
        """Advance the clock in steps (seconds) until ``condition`` is true.

        Raises AssertionError, with what happened, when it is not within so many seconds of the fake's clock.
        """
        for _ in range(math.ceil(within / step)):
            if condition():
                return
            self.advance(step)
        if not condition():
            raise AssertionError(f"not true within {within} s\n{self.timeline()}")

    def timeline(self) -> str:
        """What happened so far, for a person: each task's life, and the callbacks."""
        told = [timeline.of_tasks(self._in_full()), timeline.of_callbacks(self.callbacks)]
        return "\n".join([f"now {self.now}", *filter(None, told)])

    def _in_full(self, status: str = "") -> list[dict[str, Any]]:
        tasks = self._call(lambda: self._controls.tasks(status=status))
        return [self._call(partial(self._controls.task, task["id"])) for task in tasks]

    # Threads: blocking callers meet the event loop here.

    def _call(self, function: Callable[[], T]) -> T:
        """Call ``function`` where the fake lives: in the portal's loop once there is one, else right here."""
        return function() if self._portal is None else self._portal.call(function)

    def _in_portal(self, function: Callable[[], Awaitable[T]]) -> T:
        if _in_event_loop():
            raise RuntimeError(
                "a blocking call inside a running event loop would stop it: use aadvance() and async_client()"
            )
        return self._start_portal().run(function)

    def _start_portal(self) -> _Portal:
        if self._portal is None:
            self._portal = _Portal()
        return self._portal


class _Portal:
    """An event loop in a thread of its own, started when the first blocking call comes."""

    def __init__(self) -> None:
        from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - only blocking callers need it

        self._context: AbstractContextManager[BlockingPortal] = start_blocking_portal()
        self._portal = self._context.__enter__()

    def call(self, function: Callable[[], T]) -> T:
        return self._portal.call(function)

    def run(self, function: Callable[[], Awaitable[T]]) -> T:
        return self._portal.call(function)

    def serving(self, context: AbstractAsyncContextManager[str]) -> AbstractContextManager[str]:
        return self._portal.wrap_async_context_manager(context)

    def close(self) -> None:
        self._context.__exit__(None, None, None)


_PAYLOAD = wire.Struct({"payload": wire.ANY})


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _instant(when: str | datetime) -> int:
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError("a time without a zone says nothing: give it a tzinfo, for example datetime.UTC")
        return instant(when.isoformat())
    return instant(when)
