"""The one event loop in which a fake in this process lives, and how other threads and loops call it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from threading import RLock, Thread, current_thread
from typing import Any, TypeAlias, TypeVar
from weakref import finalize

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codeq_fake.clocks.clock import stopwatch
from codeq_fake.compat.asyncio import SharedLoop
from codeq_fake.compat.signal import may_interrupt

T = TypeVar("T")
OnError: TypeAlias = Callable[[BaseException], object]

#: How long the end of the thread may take (real seconds), if something blocks its event loop.
_LONGEST_END = 5.0


class Home:
    """The event loop of a fake: the one in which it was first used, or one in a background thread for blocking code.

    A fake whose loop has ended moves to the next one. As long as it has none, functions are called where they are.
    With `in_thread=False` it never starts a thread, and takes the loop that runs when it is made: a call that needs a
    loop raises RuntimeError where none runs.

    `on_error` receives what tasks and callbacks in the thread raise, where nothing awaits them.

    It stays in the process in which it was first used: in a fork of it, every call raises RuntimeError.
    """

    def __init__(self, *, in_thread: bool = True, on_error: OnError | None = None) -> None:
        self._in_thread = in_thread
        self._on_error = on_error
        self._loop = None if in_thread else running_loop()
        self._thread: _LoopThread | None = None
        #: Held while `_loop` changes. Reentrant, since a signal handler may call the fake meanwhile.
        self._moving = RLock()
        self._process: int | None = None

    def call(self, function: Callable[[], T]) -> T:
        """Call a function that waits for nothing."""
        home = self._find()
        if home is None or home is running_loop():
            return function()
        return _call_in(home, function)

    def call_in_loop(self, function: Callable[[], T]) -> T:
        """As `call`, for a function that starts tasks or timers, and so needs a running event loop."""
        with self._moving:
            self._loop = self._find() or running_loop() or self._start()
        return self.call(function)

    async def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await what `function` returns, for a coroutine in any loop, also one of trio."""
        here = running_loop()
        if here is None:
            return await self._run_for_trio(function)
        home = self._settle_in(here)
        return await (function() if home is here else _elsewhere(home, function))

    def block(self, function: Callable[[], Awaitable[T]], *, in_loops: bool = False) -> T:
        """Await what `function` returns, for blocking code.

        Raises RuntimeError in a running event loop; with `in_loops` only if that is this one.
        """
        return result_of(self._submit(function, in_loops=in_loops))

    def call_for_blocking(self, function: Callable[[], T]) -> T:
        """As `call_in_loop`, for blocking code. Raises RuntimeError in a running event loop."""
        return _call_in(self._find_for_blocking(in_loops=False), function)

    async def _run_for_trio(self, function: Callable[[], Awaitable[T]]) -> T:
        """Await what `function` returns, in the thread, for a coroutine that is not one of asyncio."""
        import anyio.to_thread  # noqa: PLC0415 - slow, and code on asyncio does without it

        future = self._submit(function, in_loops=False)
        try:
            return await anyio.to_thread.run_sync(future.result, abandon_on_cancel=True)
        except BaseException:
            future.cancel()
            raise

    def _submit(self, function: Callable[[], Awaitable[T]], *, in_loops: bool) -> Future[T]:
        home = self._find_for_blocking(in_loops=in_loops)
        return asyncio.run_coroutine_threadsafe(_awaited(function), home)

    def _find_for_blocking(self, *, in_loops: bool) -> asyncio.AbstractEventLoop:
        """The fake's loop, started if it does not run, for blocking code. Raises RuntimeError as `block` does."""
        here = running_loop()
        with self._moving:
            home = self._find()
            if here is not None and (home is here or not in_loops):
                raise RuntimeError(
                    "a blocking call inside a running event loop would stop it: use aadvance(), aenqueue() "
                    "and async_client(), and call serve() before them"
                )
            self._loop = home = home or self._start()
        return home

    @property
    def is_copy(self) -> bool:
        """Whether this is the copy that a fork of the process has of it. Its loop and its thread are not copied."""
        return self._process not in (None, os.getpid())

    def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Await what `last` returns in the thread, and end the thread. Without a thread, or in a fork, do nothing."""
        if self.is_copy:
            return
        with self._moving:
            thread, self._thread = self._thread, None
            home, self._loop = self._loop, None
        if thread is not None and home is not None:
            asyncio.run_coroutine_threadsafe(_awaited(last), home).result()
            thread.end()

    def application(self, app: ASGIApp) -> ASGIApp:
        """`app`, to be called from any loop and run in this one."""

        async def at_home(scope: Scope, receive: Receive, send: Send) -> None:
            here = running_loop()
            if here is None:
                raise RuntimeError("FakeCodeQ.app runs on asyncio: under trio use async_client() or transport()")
            home = self._settle_in(here)
            if home is here:
                await app(scope, receive, send)
            else:
                await _elsewhere(home, lambda: app(scope, partial(_receive, here, receive), partial(_send, here, send)))

        return at_home

    def _settle_in(self, here: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
        """The fake's loop if it runs. Else the fake moves to the loop `here`."""
        with self._moving:
            self._loop = home = self._find() or here
        return home

    def _find(self) -> asyncio.AbstractEventLoop | None:
        """The fake's loop if it runs. Raises RuntimeError in a fork of the process, which the first call notes."""
        if self._process is None:
            self._process = os.getpid()
        elif self.is_copy:
            raise RuntimeError(
                f"this fake is in process {self._process}, and process {os.getpid()} is a fork of it with a mere copy: "
                "call the fake on a port (the fixture codeq_server, or `with fake.serve():`, and its url), or make one "
                "in the fork"
            )
        return self._loop if self._loop is not None and self._loop.is_running() else None

    def _start(self) -> asyncio.AbstractEventLoop:
        """Start the thread, and return its loop. Raises RuntimeError if there may be no thread."""
        if not self._in_thread:
            raise RuntimeError(
                'clock="auto" is for async code in this process, on a virtual-time event loop, and there is none here: '
                'in blocking code, and on a port, use clock="manual" and advance()'
            )
        self._thread = _LoopThread(self._on_error)
        return self._thread.loop


class _LoopThread:
    """An event loop in a thread that ends with this object or with the program, even if it is never closed."""

    def __init__(self, on_error: OnError | None) -> None:
        started: Future[asyncio.AbstractEventLoop] = Future()
        ended = asyncio.Event()
        # The thread must not refer to this object: the object would then never be collected.
        thread = Thread(target=_run_loop, args=(started, ended, on_error), name="codeq-fake", daemon=True)
        thread.start()
        self.loop = started.result()
        # Unlike `__del__`, it is called before the interpreter stops its threads: after that a join never returns.
        self._end = finalize(self, _end, thread, self.loop, ended)

    def end(self) -> None:
        """Cancel all tasks of the loop, and return when the thread has ended."""
        self._end()


class _RealTimeLoop(SharedLoop):
    """An event loop that works on while a test keeps the network out or freezes the time."""

    def __init__(self, on_error: OnError | None) -> None:
        self._on_error = on_error
        super().__init__()

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Pass on what callbacks raise, and tasks that nothing awaits. The rest is left to asyncio, which logs it."""
        if self._on_error is not None and "exception" in context and ("handle" in context or "future" in context):
            self._on_error(context["exception"])
        else:
            super().default_exception_handler(context)

    def time(self) -> float:
        """Real seconds since an arbitrary start."""
        return stopwatch() / 1_000_000_000


def _run_loop(started: Future[asyncio.AbstractEventLoop], ended: asyncio.Event, on_error: OnError | None) -> None:
    """Run an event loop until `ended`. `started` gets the loop, or the error if there can be none."""
    try:
        with asyncio.Runner(loop_factory=partial(_RealTimeLoop, on_error)) as runner:
            runner.run(_live(started, ended))
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


def _end(thread: Thread, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    if thread.is_alive():
        loop.call_soon_threadsafe(ended.set)
        if thread is not current_thread():
            thread.join(_LONGEST_END)


async def _live(started: Future[asyncio.AbstractEventLoop], ended: asyncio.Event) -> None:
    started.set_result(asyncio.get_running_loop())
    await ended.wait()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The running event loop of asyncio, None without one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def result_of(future: Future[T]) -> T:
    """Wait for a result in blocking code, and cancel it if the wait is interrupted."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def _call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> T:
    """Call a function in the event loop of another thread: from here if it is idle, which is faster."""
    # A signal handler that raised would end the function halfway, and one that called the fake would wait for itself.
    if isinstance(loop, SharedLoop) and loop.is_idle and not may_interrupt():
        return loop.call_here(function)
    return asyncio.run_coroutine_threadsafe(_called(function), loop).result()


async def _called(function: Callable[[], T]) -> T:
    return function()


async def _awaited(function: Callable[[], Awaitable[T]]) -> T:
    return await function()


async def _elsewhere(loop: asyncio.AbstractEventLoop, function: Callable[[], Awaitable[T]]) -> T:
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_awaited(function), loop))


async def _receive(loop: asyncio.AbstractEventLoop, receive: Receive) -> Message:
    return await _elsewhere(loop, receive)


async def _send(loop: asyncio.AbstractEventLoop, send: Send, message: Message) -> None:
    await _elsewhere(loop, partial(send, message))
