"""Handlers: the user's function for one command, how it is called, and what its return value or exception means."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeAlias, TypedDict, TypeVar, overload

from codeq_client._api.arguments import check_number
from codeq_client._api.clock import Clock
from codeq_client._api.json_values import from_json, to_json
from codeq_client._compat.signatures import signature
from codeq_client._task import Task
from codeq_client.errors import ConfigurationError, DecodeError, EncodeError

from .cancellation import Caught, caught, is_interrupt, text_of
from .dependencies import dependencies, dependency_names
from .handler_process import HandlerCall
from .job import Job, TaskContext
from .job_batches import BatchFunction, JobBatches
from .lease_timing import LeaseTerms
from .outcomes import Complete, Fail, Outcome, Retry
from .process_pool import ProcessPool

P = TypeVar("P")
R = TypeVar("R")
Q = ParamSpec("Q")

_log = logging.getLogger("codeq_client.worker")

ThreadRunner: TypeAlias = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a plain function, usually on a thread, and returns what it returns."""


@dataclass(frozen=True, slots=True)
class Runners:
    """How plain functions are called. Without `processes`, all of them on threads."""

    run_in_thread: ThreadRunner
    processes: ProcessPool | None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `tasks` tasks are started in any `seconds` seconds, by one worker."""

    tasks: int
    seconds: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.tasks, "the tasks of a rate", least=1, is_whole=True)
        check_number(self.seconds, "the seconds of a rate", least=0.001)


class Policy(TypedDict, total=False):
    """What a handler's exceptions mean, and its limits.

    The `permanent` exceptions fail the task, others retry it after `backoff(task)` seconds. A handler that runs for
    `timeout` seconds, or for `stall` seconds without `task.progress()`, is cancelled and its task retried; the defaults
    are those of the worker's `LeaseTerms`, and `math.inf` is no limit. `concurrency` and `rate` limit the command in
    each worker. A plain function runs on a thread, or with `pool="process"` in a process, which is killed when the
    handler must end.

    A worker claims commands of a higher `priority` first (default 0). Those of one priority take turns: one with
    `share=3` gets three tasks for each task of one with `share=1`, the default.
    """

    permanent: type[Exception] | tuple[type[Exception], ...]
    backoff: Callable[[Task], float] | None
    timeout: float | None
    stall: float | None
    concurrency: int | None
    rate: Rate | None
    pool: Literal["thread", "process"]
    priority: int
    share: float


def check_policy(policy: Policy) -> None:
    """Raise `ConfigurationError` for a wrong value in a policy."""
    permanent: Any = policy.get("permanent", ())
    kinds = permanent if isinstance(permanent, tuple) else (permanent,)
    if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        raise ConfigurationError(f"permanent must be an exception class, or a tuple of them, not {permanent!r}")
    for name, limit in (("timeout", policy.get("timeout")), ("stall", policy.get("stall"))):
        if limit is not None and limit != math.inf:
            check_number(limit, name, least=0.001)
    if policy.get("concurrency") is not None:
        check_number(policy["concurrency"], "concurrency", least=1, is_whole=True)
    check_number(policy.get("priority", 0), "priority", is_whole=True)
    check_number(policy.get("share", 1), "share", least=0.001)
    if (pool := policy.get("pool", "thread")) not in {"thread", "process"}:
        raise ConfigurationError(f'pool must be "thread" or "process", not {pool!r}')
    rate: Any = policy.get("rate")
    if rate is not None and not isinstance(rate, Rate):
        raise ConfigurationError(f"rate must be a Rate, such as Rate(10, seconds=60), not {rate!r}")


@dataclass(frozen=True, slots=True)
class Handler:
    """The user's function for one command, and its policy for exceptions."""

    command: str
    function: Callable[..., Any]
    takes_context: bool
    payload: Any = None
    result: Any = None
    permanent: type[Exception] | tuple[type[Exception], ...] = ()
    backoff: Callable[[Task], float] | None = None
    timeout: float | None = None
    stall: float | None = None
    concurrency: int | None = None
    rate: Rate | None = None
    pool: Literal["thread", "process"] = "thread"
    priority: int = 0
    share: float = 1

    def terms(self, terms: LeaseTerms) -> LeaseTerms:
        """Return the worker's terms with this handler's limits."""
        timeout, stall = self.timeout, self.stall
        if timeout is not None:
            terms = replace(terms, max_runtime=None if timeout == math.inf else timeout)
        if stall is not None:
            terms = replace(terms, stall=None if stall == math.inf else stall)
        return terms

    def prepared(self, state: object, clock: Clock) -> Handler:
        """Return the handler for one run of a worker: with its dependencies, which `state` provides, and its batches.

        Raises `ConfigurationError` if a dependency is missing.
        """
        arguments = dependencies(self.function, state)
        if isinstance(self.function, BatchFunction):
            return replace(self, function=JobBatches(self.function, arguments, clock))
        return replace(self, function=partial(self.function, **arguments)) if arguments else self

    def job(self, task: Task) -> Job[Any]:
        """Return the job for a claimed task; raises `Fail` for a payload that the handler does not take."""
        if task.unreadable:
            raise Fail(f"the payload cannot be read: {task.unreadable}")
        try:
            return Job(task, task.payload if self.payload is None else from_json(self.payload, task.payload))
        except DecodeError as error:
            raise Fail(f"the payload does not have the handler's type: {error}") from error

    async def call(self, job: Job[Any], context: TaskContext, *, runners: Runners) -> Any:  # noqa: ANN401 - the user's
        """Call the user's function. The end of a plain one on a thread is awaited even if the job is cancelled."""
        if self.pool == "process" and runners.processes is not None:
            return await runners.processes.run(HandlerCall(self.function, self.takes_context, job), context.progress)
        arguments = (job, context) if self.takes_context else (job,)
        if _is_coroutine_function(self.function):
            return await self.function(*arguments)

        def start() -> Caught:
            try:
                context.check()  # the function may have waited for its thread
                return self.function(*arguments), None
            except BaseException as error:  # noqa: BLE001 - a future cannot hold each of them
                return None, error

        returned, error = await _to_the_end(partial(runners.run_in_thread, start))
        if error is not None:
            raise error
        return await returned if inspect.isawaitable(returned) else returned

    def outcome_of(self, returned: object) -> Complete | Outcome:
        """Return the outcome for the handler's return value; one that does not have the result type fails the task."""
        if isinstance(returned, Outcome):
            return returned
        complete = returned if isinstance(returned, Complete) else Complete(returned)
        if self.result is not None and not (isinstance(self.result, type) and isinstance(complete.result, self.result)):
            try:
                from_json(self.result, to_json(complete.result))
            except (EncodeError, DecodeError) as error:
                return Fail(f"the handler's result does not have its type: {error}")
        return complete

    def outcome_of_error(self, error: BaseException, task: Task) -> Fail | Retry:
        """Return the outcome for an exception of the handler: see `Policy`. A backoff that fails is the server's."""
        text = f"{type(error).__name__}: {text_of(error)}".strip(": ")
        if isinstance(error, self.permanent):
            return Fail(text)
        try:
            return Retry(self.backoff(task) if self.backoff else 0, text)
        except BaseException as failure:
            if is_interrupt(failure):
                raise
            _log.exception("the backoff function of %s failed; the server's backoff is used", task.command)
            return Retry(0, text)


class Registration(Generic[P, R]):
    """The decorator that `Worker.handler` returns: it registers the function, and returns it unchanged.

    The function takes a `Job[P]`, and a `TaskContext` if it needs one, and returns `R`, or an outcome. Its keyword-only
    parameters are dependencies: by their type they get what the worker's lifespan yields, a value or a tuple of them.
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


def check_function(function: Callable[..., Any], policy: Policy) -> None:
    """Raise `ConfigurationError` for a function that cannot be called in a process, where it is found by its name."""
    if policy.get("pool") != "process":
        return
    name = getattr(function, "__qualname__", "<lambda>")
    if _is_coroutine_function(function) or "<" in name:
        raise ConfigurationError(f'handler {name} must be a plain function of a module, because of pool="process"')
    if dependency_names(function):
        raise ConfigurationError(f'handler {name} has pool="process", but what the lifespan yields stays in the worker')


def takes_context(function: Callable[..., Any]) -> bool:
    """Return whether the function takes two arguments; raises `ConfigurationError` unless it takes one or two.

    Dependencies do not count.
    """
    parameters = signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
    if len(needed) not in {1, 2}:
        name = getattr(function, "__qualname__", repr(function))
        raise ConfigurationError(f"handler {name} must take a job, or a job and a context")
    return len(needed) == 2  # noqa: PLR2004 - a job and a context


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - an object whose call is one


async def _to_the_end(code: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - the user's
    """Await the code even if the caller is cancelled: a thread cannot be interrupted, and its outcome still counts."""
    call = asyncio.ensure_future(caught(code))
    while not call.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({call})
    returned, error = call.result()
    if error is not None:
        raise error
    return returned
