"""The `Worker` class: register handlers, middleware and hooks, then run it, stop it and ask for its status."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import anyio
from anyio import to_thread

from codeq_client._api.arguments import callables, check_number, texts
from codeq_client._api.calls import Role
from codeq_client._api.client import CodeQ
from codeq_client._api.clock import is_simulated
from codeq_client._api.limits import MAX_WAIT_SECONDS
from codeq_client._display import without_password
from codeq_client.errors import ConfigurationError

from .cancellation import is_interrupt
from .claiming import ClaimLoop
from .delivery import DeliveryContext
from .events import ClaimFailed, Event, HandlerStuck, Hook, Polled, Started, Stopped
from .handlers import Handler, Runners, ThreadRunner
from .lease_renewal import LeaseRenewal, renewal_in_loop, renewal_on_thread
from .lease_timing import LeaseTerms
from .middleware import Middleware, Next
from .process_pool import ProcessPool
from .registry import Registry
from .signals import stop_on_signals

Lifespan: TypeAlias = "Callable[[Worker], AbstractAsyncContextManager[Any]]"

_log = logging.getLogger("codeq_client.worker")


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The state of a worker. Durations are in seconds, and infinite before the first event of their kind.

    `claim_age` is the time since a claim was last answered, `claim_error` the error of the latest claim, or "".
    `loop_lag` and `lease_lag` say for how long the worker's event loop and the renewal loop have been overdue.

    `oldest` is the age of the oldest task in work, `stuck` the number of handlers that had to end and still run, and
    `standstill` the time for which they have left no usable slot. `slots` is the worker's `concurrency`. A `limited`
    worker claims nothing now, because each of its commands is at its limit.
    """

    running: bool
    draining: bool
    tasks: int
    claim_age: float
    claim_error: str
    loop_lag: float
    lease_lag: float
    oldest: float = 0.0
    stuck: int = 0
    standstill: float = 0.0
    paused: bool = False
    slots: int = 0
    limited: bool = False


class Worker(Registry):
    """Claims tasks and calls handlers for them, at most `concurrency` at a time.

    The handlers are those of `registry` and those registered with the worker itself; `only` chooses some of their
    commands.

    `lease` is in whole seconds, or a `LeaseTerms`; it is renewed after a third of its time, so it may be far shorter
    than the run time of a handler. `poll` is how long a claim waits at the server; a stopping worker waits for it.
    `grace` is how long handlers may run on then, and at least until that poll has ended. Both are in seconds.
    `lifespan(worker)` is an asynchronous context manager around the run; its value is `context.state`, and handlers get
    it, or the members of a tuple, by the types of their keyword-only parameters.

    With `batch_results`, results that end at the same time are sent in one request. The server counts those neither in
    `codeq_task_completed_total` nor in `codeq_task_processing_latency_seconds` (L2): switch it off if you watch these.

    Three arguments are for special cases. `lease_thread` says whether leases are renewed on a separate thread; the
    default is yes, unless the clock is not thread-safe or the transport cannot be created twice. `run_in_thread` calls
    a plain handler; the default uses up to `concurrency` threads. `processes` says whether handlers with
    `pool="process"` run in processes; the default is yes, unless the clock is not thread-safe. Otherwise they run on
    threads. In a simulated process (`codeq_fake.simulation`) there are neither.
    """

    def __init__(  # the settings of a worker
        self,
        codeq: CodeQ,
        registry: Registry | None = None,
        *,
        only: Iterable[str] = (),
        concurrency: int = 8,
        lease: int | LeaseTerms = 60,
        poll: float = 10,
        grace: float = 25,
        middleware: Iterable[Middleware] = (),
        hooks: Iterable[Hook] = (),
        lifespan: Lifespan | None = None,
        batch_results: bool = True,
        lease_thread: bool | None = None,
        run_in_thread: ThreadRunner | None = None,
        processes: bool | None = None,
    ) -> None:
        if not isinstance(codeq, CodeQ):
            raise ConfigurationError(f"codeq must be a CodeQ, not a {type(codeq).__name__}")
        check_number(concurrency, "concurrency", least=1, is_whole=True)
        check_number(poll, "poll", least=1)
        check_number(grace, "grace")
        if Role.WORKER not in codeq.core.tokens:
            raise ConfigurationError("a worker needs a client with a worker token (CODEQ_WORKER_TOKEN)")
        if lease_thread and not codeq.core.clock.thread_safe:
            raise ConfigurationError("lease_thread=True needs a thread-safe clock")
        super().__init__()
        if registry is not None:
            self.include(registry)
        self.only = tuple(texts(only, "only"))
        self.codeq = codeq
        self.terms = lease if isinstance(lease, LeaseTerms) else LeaseTerms(lease)
        self.concurrency = concurrency
        self.poll = min(poll, MAX_WAIT_SECONDS, self.terms.longest_wait)
        self.grace = grace
        self.batch_results = batch_results
        self.hooks = [self._note, *callables(hooks, "hooks")]
        self._middleware = callables(middleware, "middleware")
        self._lifespan: Lifespan = lifespan or (lambda _worker: nullcontext())
        is_shared = codeq.transport is not None and not callable(codeq.transport)
        own_thread = codeq.core.clock.thread_safe and not is_shared
        self._lease_thread = own_thread if lease_thread is None else lease_thread
        self._lacks_thread = lease_thread is None and is_shared and codeq.core.clock.thread_safe
        self._run_in_thread = run_in_thread
        self._processes = codeq.core.clock.thread_safe if processes is None else processes
        self._claim_loop: ClaimLoop | None = None
        self._renewal: LeaseRenewal | None = None
        self._stop_requested = False
        self._has_ended = False
        self._stop_claim_loop: Callable[[], object] = lambda: None
        self._pause_claim_loop: Callable[[], object] = lambda: None
        self._resume_claim_loop: Callable[[], object] = lambda: None
        self._paused = False
        self._answered_at = -math.inf
        self._claim_error = ""

    def middleware(self, function: Middleware) -> Middleware:
        """Register the decorated `async def around(job, context, call_next)`; the first registered is outermost."""
        self._middleware.append(function)
        return function

    async def run(self, *, burst: bool = False, signals: bool = True) -> None:
        """Work until `stop`, or with `burst` until no task is left.

        With `signals`, SIGINT, SIGTERM and SIGHUP stop the worker, and a second SIGINT or SIGTERM ends the process at
        once. The handlers then have the grace period, and their leases are renewed. Those that still run after it are
        cancelled and their tasks abandoned. Handlers on threads cannot be cancelled and are
        waited for: they should check `context.end`. The error of a claim is raised if the client was closed,
        or if the server's certificate was not trusted from the start, and in a burst if the claim was refused or failed
        repeatedly; otherwise claims are tried for ever.
        """
        if not self.handlers_of(self.only):
            raise ConfigurationError("the worker has no handler")
        if self._claim_loop:
            raise ConfigurationError("the worker is running already")
        self._has_ended = False
        try:
            refusal = await self._run(burst=burst, signals=signals)
        finally:
            self._has_ended = True
            self._claim_loop = self._renewal = None
            self._stop_claim_loop = self._pause_claim_loop = self._resume_claim_loop = lambda: None
            self._stop_requested = False
        _log.info("stopped, and holds no lease")
        self.emit(Stopped())
        if refusal:
            raise refusal

    async def _run(self, *, burst: bool, signals: bool) -> Exception | None:
        """Claim until the end, and return the error of a claim that ended a burst."""
        async with AsyncExitStack() as stack:
            if signals:
                stack.enter_context(stop_on_signals(self.stop))
            state = await stack.enter_async_context(self._lifespan(self))
            chosen = self.handlers_of(self.only)
            handlers = {name: handler.prepared(state, self.codeq.core.clock) for name, handler in chosen.items()}
            renewal = renewal_on_thread if self._lease_thread and not is_simulated() else renewal_in_loop
            self._renewal = await stack.enter_async_context(renewal(self.codeq, self.terms, self.emit))
            pool = stack.enter_context(ProcessPool())
            context = self.delivery_context(self._renewal, state, pool)
            loop = self._claim_loop = ClaimLoop(
                context,
                handlers,
                concurrency=self.concurrency,
                poll=self.poll,
                grace=self.grace,
                burst=burst,
                batch_results=self.batch_results,
            )
            post = asyncio.get_running_loop().call_soon_threadsafe
            # Signal handlers call these, and may have interrupted the log: what is logged is logged by the loop.
            self._stop_claim_loop = partial(post, loop.stop)
            self._pause_claim_loop, self._resume_claim_loop = partial(post, loop.pause), partial(post, loop.resume)
            loop.paused = self._paused
            if self._stop_requested:
                loop.stop()
            commands = tuple(handler.command for handler in handlers.values())
            url = without_password(self.codeq.base_url)
            if self._lacks_thread:
                _log.warning(
                    "leases are renewed in the worker's event loop, and a handler that blocks it may lose its lease: "
                    "give the client a callable that returns the transport, or the worker lease_thread=False"
                )
            _log.info("working on %s from %s, %d at a time", ", ".join(commands), url, self.concurrency)
            self.emit(Started(commands))
            return await loop.run()

    def stop(self) -> None:
        """Stop claiming, and let `run` return once the handlers have ended; any thread may call this."""
        self._stop_requested = not self._has_ended  # before `run` it counts, after its end it does not
        self._stop_claim_loop()

    def pause(self) -> None:
        """Claim no more until `resume`; any thread may call this. Tasks in work and of the open claim are finished."""
        self._paused = True
        if self._claim_loop:
            self._claim_loop.paused = True  # at once: before the loop hears of it, it might claim
        self._pause_claim_loop()

    def resume(self) -> None:
        """Claim again after `pause`; any thread may call this."""
        self._paused = False
        self._resume_claim_loop()

    def status(self) -> WorkerStatus:
        """Return the state of the worker; any thread may call this."""
        loop, renewal = self._claim_loop, self._renewal
        return WorkerStatus(
            running=loop is not None,
            draining=loop is not None and loop.stopping,
            tasks=loop.slots.used if loop else 0,
            claim_age=self.codeq.core.clock.monotonic() - self._answered_at,
            claim_error=self._claim_error,
            loop_lag=renewal.monitor.lag() if renewal and renewal.monitor else 0.0,
            lease_lag=renewal.lag() if renewal else 0.0,
            oldest=loop.slots.oldest if loop else 0.0,
            stuck=loop.slots.stuck if loop else 0,
            standstill=loop.slots.standstill if loop else 0.0,
            paused=self._paused,
            slots=self.concurrency,
            limited=loop is not None and loop.limited,
        )

    def delivery_context(self, renewal: LeaseRenewal, state: Any, pool: ProcessPool) -> DeliveryContext:  # noqa: ANN401 - the user's
        """Return what deliveries work with; for `run`, and for tests of handlers."""
        run = self._run_in_thread or partial(to_thread.run_sync, limiter=anyio.CapacityLimiter(self.concurrency))
        has_processes = self._processes and not is_simulated()
        wrap = partial(_wrap, self._middleware, Runners(run, pool if has_processes else None))
        return DeliveryContext(self.codeq, renewal, self.terms, self.emit, wrap, state)

    def emit(self, event: Event) -> None:
        """Call all hooks with the event. Their errors are logged, or go to the client's `on_hook_error`."""
        for hook in self.hooks:
            try:
                hook(event)
            except BaseException as error:  # hooks must not affect the worker, not even by SystemExit
                if is_interrupt(error):
                    raise
                if self.codeq.on_hook_error is not None:
                    self.codeq.on_hook_error(error)  # also what `pytest.fail` raises
                else:
                    _log.exception("a hook failed at %s", type(event).__name__)

    def _note(self, event: Event) -> None:
        if isinstance(event, Polled):
            self._answered_at, self._claim_error = self.codeq.core.clock.monotonic(), ""
        elif isinstance(event, ClaimFailed):
            self._claim_error = str(event.error)
        elif isinstance(event, HandlerStuck) and self._claim_loop and not self._claim_loop.slots.has_usable:
            _log.error("no slot is left: %d handlers do not end; restart the worker", self._claim_loop.slots.stuck)


def _wrap(middleware: Iterable[Middleware], runners: Runners, handler: Handler) -> Next:
    """Return the call of `handler` inside the middleware, the first of which is outermost."""
    call: Next = partial(handler.call, runners=runners)
    for layer in reversed(list(middleware)):
        call = partial(layer, call_next=call)
    return call
