"""Handlers: the registry of commands, and how one is called, be it a coroutine function or a plain one."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    overload,
)

import anyio
from anyio import to_thread

from codeq_client._api.conversion import to_json
from codeq_client._api.structure import structure
from codeq_client.errors import ConfigurationError, DecodeError, EncodeError

from .cancellation import contained, result_of
from .job import Job, TaskContext
from .outcomes import Complete, Fail, Outcome, Retry

if TYPE_CHECKING:
    from codeq_client._api.models import Task

P = TypeVar("P")
R = TypeVar("R")
Q = ParamSpec("Q")

_log = logging.getLogger("codeq_client.worker")

Next: TypeAlias = Callable[[Job[Any], TaskContext], Awaitable[Any]]


class Middleware(Protocol):
    """What goes around a handler: `async def around(job, context, call_next)`, which returns the handler's return."""

    def __call__(self, job: Job[Any], context: TaskContext, /, call_next: Next) -> Awaitable[Any]:
        """Call `await call_next(job, context)`, or do not."""
        ...


class Policy(TypedDict, total=False):
    """What becomes of a handler's exceptions: `permanent` ones fail the task, others are retried after `backoff`."""

    permanent: type[Exception] | tuple[type[Exception], ...]
    backoff: Callable[[Task], float] | None


@dataclass(frozen=True, slots=True)
class Handler:
    """A user's function for one command, and the policy for what it raises."""

    command: str
    function: Callable[..., Any]
    takes_context: bool
    payload: Any = None
    result: Any = None
    permanent: type[Exception] | tuple[type[Exception], ...] = ()
    backoff: Callable[[Task], float] | None = None

    def job(self, task: Task) -> Job[Any]:
        """Return the job for a claimed task; fails the task when its payload is not what the handler takes."""
        try:
            return Job(task, task.payload if self.payload is None else structure(self.payload, task.payload))
        except DecodeError as error:
            raise Fail(f"the payload is not what the handler takes: {error}") from error

    async def call(self, job: Job[Any], context: TaskContext, *, threads: anyio.CapacityLimiter) -> Any:  # noqa: ANN401  # the user's values
        """Call the user's function: a plain one on a thread, which is waited for even when the job is cancelled."""
        arguments = (job, context) if self.takes_context else (job,)
        if _is_coroutine_function(self.function):
            return await self.function(*arguments)

        def begin() -> Any:  # noqa: ANN401  # the user's value
            context.check()  # it may have waited for its thread
            return self.function(*arguments)

        returned = await _on_thread(begin, threads)
        return await returned if inspect.isawaitable(returned) else returned

    def outcome_of(self, returned: object) -> Complete | Outcome:
        """Return what the handler's return value says; one that is not of its result type fails the task."""
        if isinstance(returned, Outcome):
            return returned
        complete = returned if isinstance(returned, Complete) else Complete(returned)
        if self.result is not None and not _is_instance(complete.result, self.result):
            try:
                structure(self.result, to_json(complete.result))
            except (EncodeError, DecodeError) as error:
                return Fail(f"the handler's result is not what it should be: {error}")
        return complete

    def outcome_of_error(self, error: BaseException, task: Task) -> Outcome:
        """Return what an exception of the handler's says: permanent ones fail the task, others retry it."""
        text = f"{type(error).__name__}: {error}".strip(": ")
        if isinstance(error, self.permanent):
            return Fail(text)
        try:
            return Retry(self.backoff(task) if self.backoff else 0, text)
        except Exception:  # noqa: BLE001  # the user's function
            _log.exception("the backoff of %s failed, and the server's is taken", self.command)
            return Retry(0, text)


class Registration(Generic[P, R]):
    """The decorator that `Worker.handler` returns: it registers the function, and returns it as it was.

    The function takes a `Job[P]`, and a `TaskContext` if it wants one, and returns `R`, or an outcome.
    """

    def __init__(self, register: Callable[[Callable[..., Any]], None]) -> None:
        self._register = register

    @overload
    def __call__(
        self, function: Callable[Concatenate[Job[P], Q], Awaitable[R | Complete | Outcome]]
    ) -> Callable[Concatenate[Job[P], Q], Awaitable[R | Complete | Outcome]]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[Job[P], Q], R | Complete | Outcome]
    ) -> Callable[Concatenate[Job[P], Q], R | Complete | Outcome]: ...
    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Register the function."""
        self._register(function)
        return function


def takes_context(function: Callable[..., Any]) -> bool:
    """Return whether the function takes two arguments; raises `ConfigurationError` unless it takes one or two."""
    needed = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    if len(needed) not in {1, 2} or any(p.kind is p.KEYWORD_ONLY for p in needed):
        name = getattr(function, "__qualname__", repr(function))
        raise ConfigurationError(f"handler {name} must take a job, or a job and a context")
    return len(needed) == 2  # noqa: PLR2004  # a job and a context


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  # an object whose call is one


async def _on_thread(function: Callable[[], Any], threads: anyio.CapacityLimiter) -> Any:  # noqa: ANN401  # the user's
    """Call a plain function on a thread. It cannot be interrupted, so its end is awaited even when we are cancelled."""
    call = asyncio.ensure_future(contained(partial(to_thread.run_sync, function, limiter=threads)))
    while not call.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({call})
    return result_of(call)


def _is_instance(value: object, kind: Any) -> bool:  # noqa: ANN401  # a class, or an alias such as `list[int]`
    return isinstance(kind, type) and isinstance(value, kind)
