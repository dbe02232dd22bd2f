"""The worker as its user sees it: handlers, middleware and hooks are registered, then it runs."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, Unpack, overload

import anyio

from codeq_client._api.calls import MAX_WAIT_SECONDS, Role
from codeq_client.errors import ConfigurationError

from .claiming import Plan, Shift
from .delivery import Bench, Deadline
from .events import ClaimFailed, Event, Hook, Polled, Started, Stopped
from .handlers import Handler, Middleware, Next, Policy, Registration, takes_context
from .lease import LeaseTerms
from .lease_thread import in_loop, on_thread
from .loop_monitor import LoopWatch
from .process import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from types import UnionType

    from codeq_client._api.client import CodeQ

    from .lease_renewal import Keeper

P = TypeVar("P")
R = TypeVar("R")

Lifespan: TypeAlias = "Callable[[Worker], AbstractAsyncContextManager[Any]]"

_log = logging.getLogger("codeq_client.worker")


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """How a worker is doing, as any thread may ask. Durations in seconds; infinite when there was none yet.

    `claim_age` is since a claim was last answered, `claim_error` what the latest one met instead. `loop_lag` and
    `lease_lag` tell for how long the worker's loop, and the lease loop, have been overdue.
    """

    running: bool
    draining: bool
    tasks: int
    claim_age: float
    claim_error: str
    loop_lag: float
    lease_lag: float


class Worker:
    """Claims tasks and hands them to handlers, at most `concurrency` at a time.

    `lease` is in whole seconds, or a `LeaseTerms`; it is renewed at a third, so it may be far shorter than a
    handler takes. `poll` is how long a claim waits at the server, and so may an idle worker when it is stopped;
    `grace` is how long handlers may run on then, and at least until that poll is over; both in seconds.
    `lifespan(worker)` is an asynchronous context manager around the run; what it yields is `context.state`.
    `lease_thread` is for the rare case that the choice is wrong: the lease loop gets a thread of its own, except on an
    injected clock and with a transport that cannot be made twice.
    """

    def __init__(  # the settings of a worker
        self,
        codeq: CodeQ,
        *,
        concurrency: int = 8,
        lease: int | LeaseTerms = 60,
        poll: float = 10,
        grace: float = 25,
        middleware: Iterable[Middleware] = (),
        hooks: Iterable[Hook] = (),
        lifespan: Lifespan | None = None,
        lease_thread: bool | None = None,
    ) -> None:
        if concurrency < 1 or poll < 1 or grace < 0:
            raise ConfigurationError("concurrency and poll must be at least 1, grace at least 0")
        if Role.WORKER not in codeq.core.tokens:
            raise ConfigurationError("a worker needs a client with a worker token (CODEQ_WORKER_TOKEN)")
        self.codeq = codeq
        self.terms = lease if isinstance(lease, LeaseTerms) else LeaseTerms(lease)
        self.concurrency = concurrency
        self.poll = min(poll, MAX_WAIT_SECONDS, self.terms.longest_wait)
        self.grace = grace
        self.hooks = [self._note, *hooks]
        self._middleware = list(middleware)
        self._handlers: dict[str, Handler] = {}
        self._lifespan = lifespan or _no_lifespan
        own_thread = codeq.core.clock.thread_safe and (codeq.transport is None or callable(codeq.transport))
        self._lease_thread = own_thread if lease_thread is None else lease_thread
        self._shift: Shift | None = None
        self._keeper: Keeper | None = None
        self._watch: LoopWatch | None = None
        self._stop_asked = False
        self._stop_shift: Callable[[], object] = lambda: None
        self._answered_at = -math.inf
        self._claim_error = ""

    @overload
    def handler(
        self, command: str, *, payload: type[P], result: type[R], **policy: Unpack[Policy]
    ) -> Registration[P, R]: ...
    @overload
    def handler(self, command: str, *, payload: type[P], **policy: Unpack[Policy]) -> Registration[P, Any]: ...
    @overload
    def handler(self, command: str, *, result: type[R], **policy: Unpack[Policy]) -> Registration[Any, R]: ...
    @overload
    def handler(
        self,
        command: str,
        *,
        payload: type[Any] | UnionType | None = ...,
        result: type[Any] | UnionType | None = ...,
        **policy: Unpack[Policy],
    ) -> Registration[Any, Any]: ...
    def handler(
        self, command: str, *, payload: Any = None, result: Any = None, **policy: Unpack[Policy]
    ) -> Registration[Any, Any]:
        """Register the decorated function, async or plain (it then runs on a thread), for `command`.

        `payload` and `result` are types: a dataclass, attrs class, pydantic model, a plain type, or a union such as
        `Order | None`, to which type checkers do not hold the function; without one the JSON value is passed on. What
        the function returns completes the task; `Retry`, `Fail` and `Abandon` may be raised or returned. Of other
        exceptions the `permanent` ones fail the task, the rest retry it, after `backoff(task)` seconds or the server's
        backoff.
        """
        if not command.strip() or command.lower() in self._handlers:
            raise ConfigurationError(f"a handler needs a command of its own, not {command!r}")

        def register(function: Callable[..., Any]) -> None:
            context = takes_context(function)
            # C2: queues do not tell case
            self._handlers[command.lower()] = Handler(command, function, context, payload, result, **policy)

        return Registration(register)

    def middleware(self, function: Middleware) -> Middleware:
        """Register the decorated `async def around(job, context, call_next)`; the first registered is outermost."""
        self._middleware.append(function)
        return function

    async def run(self, *, burst: bool = False, signals: bool = True) -> None:
        """Work until `stop`, or with `burst` until no task is left.

        With `signals`, SIGINT and SIGTERM stop the worker, and a second one ends the process at once. Handlers then
        have the time of grace, with their leases renewed; what still runs after it is cancelled and abandoned, which
        costs the task no attempt. Handlers on threads cannot be cancelled and are waited for: they should look at
        `context.end`. In a burst a claim that is refused, or fails again and again, is raised; otherwise it is tried
        for ever.
        """
        if not self._handlers:
            raise ConfigurationError("the worker has no handler")
        if self._shift:
            raise ConfigurationError("the worker is running already")
        try:
            refusal = await self._run(burst=burst, signals=signals)
        finally:
            self._shift = self._keeper = self._watch = None
            self._stop_shift = lambda: None
            self._stop_asked = False
        _log.info("stopped, and holds no lease")
        self.emit(Stopped())
        if refusal:
            raise refusal

    async def _run(self, *, burst: bool, signals: bool) -> Exception | None:
        async with AsyncExitStack() as stack:
            if signals:
                stack.enter_context(stop_on_signals(self.stop))
            state = await stack.enter_async_context(self._lifespan(self))
            self._keeper = await stack.enter_async_context(self._keeping())
            bench = self.bench(self._keeper, state)
            self._shift = Shift(bench, self._handlers, Plan(self.concurrency, self.poll, self.grace, burst))
            self._stop_shift = partial(asyncio.get_running_loop().call_soon_threadsafe, self._shift.stop)
            if self._stop_asked:
                self._shift.stop()
            commands = tuple(handler.command for handler in self._handlers.values())
            _log.info("working on %s from %s, %d at a time", ", ".join(commands), self.codeq.base_url, self.concurrency)
            self.emit(Started(commands))
            return await self._shift.work()

    def stop(self) -> None:
        """Claim no more and let `run` return once the handlers have ended; any thread may call this."""
        self._stop_asked = True
        self._stop_shift()

    def status(self) -> WorkerStatus:
        """Return how the worker is doing; any thread may call this."""
        shift, keeper, watch = self._shift, self._keeper, self._watch
        return WorkerStatus(
            running=shift is not None,
            draining=shift is not None and shift.stopping,
            tasks=shift.running if shift else 0,
            claim_age=self.codeq.core.clock.monotonic() - self._answered_at,
            claim_error=self._claim_error,
            loop_lag=watch.lag() if watch else 0.0,
            lease_lag=keeper.lag() if keeper else 0.0,
        )

    def bench(self, keeper: Keeper, state: Any) -> Bench:  # noqa: ANN401  # the user's
        """Return what deliveries work with; for `run` and for tests of handlers."""
        around = partial(_around, self._middleware, anyio.CapacityLimiter(self.concurrency))
        return Bench(self.codeq, keeper, self.terms, self.emit, around, state, Deadline())

    def handler_of(self, command: str) -> Handler:
        """Return the handler for a command, in whatever case (C2); raises `ConfigurationError`."""
        try:
            return self._handlers[command.lower()]
        except KeyError:
            raise ConfigurationError(f"the worker has no handler for {command!r}") from None

    def emit(self, event: Event) -> None:
        """Tell all hooks."""
        for hook in self.hooks:
            try:
                hook(event)
            except Exception:  # noqa: BLE001  # a hook only looks on
                _log.exception("a hook failed at %s", type(event).__name__)

    def _note(self, event: Event) -> None:
        match event:
            case Polled():
                self._answered_at, self._claim_error = self.codeq.core.clock.monotonic(), ""
            case ClaimFailed(error=error):
                self._claim_error = str(error)
            case _:
                pass

    def _keeping(self) -> AbstractAsyncContextManager[Keeper]:
        if not self._lease_thread:
            return in_loop(self.codeq, self.terms, self.emit)
        self._watch = LoopWatch(self.codeq.core.clock, self.emit)
        return on_thread(self.codeq, self.terms, self.emit, self._watch)


@asynccontextmanager
async def _no_lifespan(_worker: Worker) -> AsyncIterator[None]:
    yield


def _around(middleware: Iterable[Middleware], threads: anyio.CapacityLimiter, handler: Handler) -> Next:
    """Return the call of `handler` within the middleware, the first of which is outermost."""
    call: Next = partial(handler.call, threads=threads)
    for layer in reversed(list(middleware)):
        call = partial(layer, call_next=call)
    return call
