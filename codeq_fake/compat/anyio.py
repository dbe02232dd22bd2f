"""Insides of anyio: its calls on threads, the order of its cancel scopes, and how a worker process's answer is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Self, TypeVar

from anyio import CapacityLimiter, to_process
from anyio._backends import _asyncio
from anyio.lowlevel import checkpoint
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.to_thread import current_default_thread_limiter

T = TypeVar("T")


async def run_in_process(function: Callable[..., T], *args: object) -> T:
    """As `to_process.run_sync`, but the answer is not copied: each copy of 60 MB holds up the event loop for 50 ms."""
    vars(to_process)["BufferedByteReceiveStream"] = _Uncopied
    return await to_process.run_sync(function, *args)


class _Uncopied(BufferedByteReceiveStream):
    """Returns its buffer itself, where anyio copies it twice. There is nothing in it but the one answer."""

    async def receive_exactly(self, nbytes: int) -> bytes:
        while len(self._buffer) < nbytes:
            self._buffer.extend(await self.receive_stream.receive(nbytes - len(self._buffer)))  # type: ignore[call-arg]
        whole, self._buffer = self._buffer, bytearray()
        return whole  # type: ignore[return-value]  # only read from, as bytes would be


@contextmanager
def numbered_scopes() -> Iterator[None]:
    """Let anyio walk over sets of cancel scopes in one order, and not in that of their addresses."""
    ordinary = _asyncio.CancelScope
    _NumberedScope.made = 0
    _asyncio.CancelScope = _NumberedScope  # type: ignore[misc]
    try:
        yield
    finally:
        _asyncio.CancelScope = ordinary  # type: ignore[misc]


class _NumberedScope(_asyncio.CancelScope):
    """A cancel scope whose place in a set is the same in each process."""

    __slots__ = ("number",)

    number: int
    #: How many there are so far.
    made = 0

    def __new__(cls, *_args: Any, **_options: Any) -> Self:
        scope = object.__new__(cls)  # as anyio's, which makes one for each read and write of httpx
        _NumberedScope.made += 1
        scope.number = _NumberedScope.made
        return scope

    def __hash__(self) -> int:
        return self.number


#: As `run_in_executor` of an event loop.
RunInExecutor = Callable[..., Awaitable[Any]]


@contextmanager
def calls_on_threads_by(run_in_executor: RunInExecutor) -> Iterator[None]:
    """Let `anyio.to_thread.run_sync` call functions by an event loop's method, and not on threads of anyio."""
    backend = _asyncio.AsyncIOBackend
    ordinary = vars(backend)["run_sync_in_worker_thread"]
    backend.run_sync_in_worker_thread = _Calls(run_in_executor)  # type: ignore[method-assign]
    try:
        yield
    finally:
        backend.run_sync_in_worker_thread = ordinary  # type: ignore[method-assign]


class _Calls:
    """Stands in for anyio's method."""

    def __init__(self, run_in_executor: RunInExecutor) -> None:
        self._run_in_executor = run_in_executor

    async def __call__(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        abandon_on_cancel: bool = False,  # noqa: FBT001, FBT002 - as anyio's
        limiter: CapacityLimiter | None = None,
    ) -> Any:  # noqa: ANN401 - what `func` returns
        await checkpoint()
        async with limiter or current_default_thread_limiter():
            with _asyncio.CancelScope(shield=not abandon_on_cancel):
                return await self._run_in_executor(None, copy_context().run, func, *args)
