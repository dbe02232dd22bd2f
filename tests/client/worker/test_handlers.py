"""What handlers may do, right or wrong, without an effect on the worker and on other tasks."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from codeq_client import Complete, Event, Fail, Job, Retry, Task, TaskContext, TaskEnded, current_task
from codeq_client.errors import ConfigurationError, LeaseLost
from tests.client.support import Scenario, answers, refused


async def awaits_what_was_cancelled(_job: Job[Any]) -> None:
    other = asyncio.ensure_future(asyncio.sleep(10))
    other.cancel()
    await other


async def cancels_itself(_job: Job[Any]) -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(0)


class Panic(BaseException):
    """Like an exception of an extension module that is not an `Exception`."""


async def panics(_job: Job[Any]) -> None:
    raise Panic("index out of bounds")


def panics_on_its_thread(_job: Job[Any]) -> None:
    raise Panic("index out of bounds")


def exits_on_its_thread(_job: Job[Any]) -> None:
    sys.exit("no licence")


async def speaks_of_another_task(_job: Job[Any]) -> None:
    raise LeaseLost("another", "expired")


async def names_a_file(_job: Job[Any]) -> None:
    raise OSError("caf\udce9")


async def wants_a_bad_delay(_job: Job[Any]) -> None:
    raise Retry(-1)


async def fails_in_a_group(_job: Job[Any]) -> None:
    async def fail() -> None:
        raise Fail("no such master")

    async with asyncio.TaskGroup() as group:
        group.create_task(fail())


def panicking(_task: Task) -> float:
    raise Panic


class Unreadable(Exception):
    """An exception whose text cannot be read."""

    def __str__(self) -> str:
        raise Panic


class Panicking:
    """A model that raises such an exception when it is converted to JSON."""

    def model_dump(self, **_options: Any) -> None:
        raise Panic("no dump")


class Unwilling:
    """A model that cannot be converted to JSON."""

    def model_dump(self, *, mode: str, by_alias: bool) -> None:
        raise RuntimeError(f"no {mode}, {by_alias=}")


async def returns_what_cannot_travel(_job: Job[Any]) -> Unwilling:
    return Unwilling()


async def returns_what_panics(_job: Job[Any]) -> Panicking:
    return Panicking()


async def returns_bad_artifacts(_job: Job[Any]) -> Complete:
    return Complete({}, ["no artifact"])  # type: ignore[list-item]  # the point


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("handler", "settled", "text"),
    [
        (awaits_what_was_cancelled, "retried", "CancelledWithin: something that the handler awaited was cancelled"),
        (cancels_itself, "retried", "CancelledWithin: something that the handler awaited was cancelled"),
        (speaks_of_another_task, "retried", "LeaseLost: the lease on task another is lost: expired"),
        (panics, "retried", "Panic: index out of bounds"),
        (panics_on_its_thread, "retried", "Panic: index out of bounds"),
        (exits_on_its_thread, "retried", "SystemExit: no licence"),
        (names_a_file, "retried", "OSError: caf?"),
        (wants_a_bad_delay, "retried", "ConfigurationError: delay must be a finite number of seconds"),
        (fails_in_a_group, "failed", "no such master"),
        (returns_what_cannot_travel, "failed", "RuntimeError: no json"),
        (returns_what_panics, "failed", "the result was refused: no dump"),
        (returns_bad_artifacts, "failed", "the result was refused: an artifact must be an Artifact"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_wrong_handler_affects_only_its_task(scenario: Scenario, handler: Any, settled: str, text: str) -> None:
    worker = scenario.worker()
    worker.handler("X")(handler)
    worker.handler("Y")(calm)
    task_id, other = scenario.enqueue("X", {}, max_attempts=2), scenario.enqueue("Y", {})
    async with scenario.running(worker) as run:
        await scenario.until_ended(2)
        assert not run.done()
    assert dict(scenario.ended()) == {task_id: {"retried": "dead"}.get(settled, settled), other: "completed"}
    assert text in str(scenario.task(task_id).error)


async def calm(_job: Job[Any], task: TaskContext) -> str:
    await task.sleep(3)
    return "done"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "backoff",
    [lambda _task: -1.0, lambda _task: 2.0**100, lambda task: task.nothing, panicking],
    ids=["negative", "too long", "raises", "panics"],
)
async def test_a_wrong_backoff_is_replaced_by_the_servers_backoff(scenario: Scenario, backoff: Any) -> None:
    worker = scenario.worker()
    worker.handler("X", backoff=backoff)(names_a_file)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended()[0] == (task_id, "retried")


CLASSES = [*(value for value in vars(builtins).values() if isinstance(value, type)), asyncio.CancelledError, Panic]
RAISED = {kind for kind in CLASSES if issubclass(kind, BaseException)} | {Unreadable}


def make(kind: type[BaseException]) -> BaseException:
    if issubclass(kind, BaseExceptionGroup):
        return kind("", [ValueError()])
    return kind("", b"", 0, 1, "") if issubclass(kind, UnicodeDecodeError) else kind()


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
async def test_an_exception_of_any_class_ends_its_task_and_not_the_worker(scenario: Scenario, *, plain: bool) -> None:
    worker = scenario.worker(concurrency=100, run_in_thread=None if plain else run_here)
    kinds = sorted(RAISED - {UnicodeEncodeError, UnicodeTranslateError}, key=lambda kind: kind.__name__)

    def raising(job: Job[int]) -> None:
        raise make(kinds[job.payload])

    async def raising_in_loop(job: Job[int]) -> None:
        raising(job)

    worker.handler("X")(raising if plain else raising_in_loop)
    worker.handler("Y")(calm)
    for number in range(len(kinds)):
        scenario.enqueue("X", number, max_attempts=2)
    async with scenario.running(worker) as run:
        await scenario.until_ended(len(kinds))
        assert not run.done()
        other = scenario.enqueue("Y", {})
        await scenario.until_ended(len(kinds) + 1)
    assert {settled for task_id, settled in scenario.ended() if task_id != other} == {"dead"}
    assert scenario.ended()[-1] == (other, "completed")


async def run_here(function: Callable[[], Any]) -> Any:
    return function()


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [SystemExit, GeneratorExit, asyncio.CancelledError, Panic])
async def test_a_hook_that_raises_ends_neither_renewals_nor_claims(
    scenario: Scenario, kind: type[BaseException]
) -> None:
    worker = scenario.worker(lease=10)

    def hook(_event: Event) -> None:
        raise kind

    worker.hooks.append(hook)

    @worker.handler("X")
    async def work(_job: Job[Any], task: TaskContext) -> None:
        await task.sleep(30)

    tasks = [scenario.enqueue("X", {}) for _ in range(2)]
    async with scenario.running(worker) as run:
        await scenario.until_ended(2)
        assert not run.done()
    assert scenario.ended() == [(task_id, "completed") for task_id in tasks]


@pytest.mark.asyncio
async def test_a_cancelled_handler_gets_the_reason_once_and_may_await_while_it_cleans_up(scenario: Scenario) -> None:
    worker = scenario.worker(lease=30)
    seen: list[object] = []

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None:
        try:
            await scenario.clock.sleep(1000)
        except asyncio.CancelledError as cancelled:
            seen.extend(cancelled.args)
            await scenario.clock.sleep(4)
            seen.append("cleaned up")
            raise

    scenario.network.fail("heartbeat", refused)
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    reason, last = seen[:2]
    assert isinstance(reason, LeaseLost)
    assert (reason.reason, last) == ("expired", "cleaned up")


@pytest.mark.asyncio
async def test_a_handler_that_ignores_its_cancellation_is_cancelled_again(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    worker = scenario.worker(grace=10)
    cancellations = 0

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None:
        nonlocal cancellations
        while cancellations < 3:
            with contextlib.suppress(asyncio.CancelledError):
                await scenario.clock.sleep(1000)
            cancellations += 1

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(1)
    assert 20 <= scenario.clock.monotonic() < 22
    assert scenario.ended() == [(task_id, "completed")], "it was completed, while its lease was renewed"
    assert caplog.text.count("a handler does not end, and is cancelled again") == 2


class Called:
    """A handler that is an object."""

    async def __call__(self, job: Job[Any]) -> Any:
        return job.payload


def plain_wrapper(function: Any) -> Any:
    @wraps(function)
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call


async def with_a_default(job: Job[Any], times: int = 1) -> Any:
    return job.payload * times


async def with_an_option(job: Job[Any], _task: TaskContext, *, times: int = 1) -> Any:
    return job.payload * times


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "handler",
    [Called(), plain_wrapper(Called()), with_a_default, with_an_option, lambda job: job.payload],
    ids=["object", "wrapped", "default", "option", "lambda"],
)
async def test_any_callable_that_takes_a_job_is_a_handler(scenario: Scenario, handler: Callable[..., Any]) -> None:
    worker = scenario.worker()
    worker.handler("X")(handler)
    ended = asyncio.Event()
    worker.hooks.append(lambda event: ended.set() if isinstance(event, TaskEnded) else None)
    task_id = scenario.enqueue("X", 3)
    async with scenario.running(worker):
        await asyncio.wait_for(ended.wait(), 5)  # some run on a thread
    assert scenario.task(task_id).result == {"$value": 3}


@pytest.mark.asyncio
async def test_a_handler_that_needs_more_than_it_gets_is_refused(scenario: Scenario) -> None:
    async def needs_a_name(job: Job[Any], _task: TaskContext, name: str) -> str:
        return f"{name} {job.id}"

    with pytest.raises(ConfigurationError, match="needs_a_name must take a job"):
        scenario.worker().handler("X")(needs_a_name)


@pytest.mark.asyncio
async def test_a_plain_function_is_waited_for_after_its_cancellation(scenario: Scenario) -> None:
    worker = scenario.worker(grace=0)
    ended = asyncio.Event()
    started, go_on = threading.Event(), threading.Event()

    @worker.handler("X")
    def work(_job: Job[Any], task: TaskContext) -> str:
        started.set()
        assert go_on.wait(5)
        return task.end.value if task.end else "never ended"

    worker.hooks.append(lambda event: ended.set() if isinstance(event, TaskEnded) else None)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker) as run:
        await asyncio.to_thread(started.wait, 5)
        worker.stop()
        await scenario.clock.advance(3)
        assert not run.done()
        go_on.set()
        await asyncio.wait_for(ended.wait(), 5)
    assert scenario.task(task_id).result == {"$value": "shutdown"}


@pytest.mark.asyncio
async def test_the_current_task_is_set_only_in_its_handler(scenario: Scenario) -> None:
    worker = scenario.worker()
    seen = []

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None:
        task = current_task.get()
        assert task
        seen.append(task.id)

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert seen == [task_id]
    assert current_task.get() is None


@pytest.mark.asyncio
@pytest.mark.parametrize("typed", [False, True])
async def test_a_result_that_contains_itself_fails_its_task(scenario: Scenario, *, typed: bool) -> None:
    worker = scenario.worker()

    async def work(_job: Job[Any]) -> Any:
        value: dict[str, Any] = {}
        value["self"] = value
        return value

    worker.handler("X", result=dict[str, Any] if typed else None)(work)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "failed")]
    assert "the value contains itself" in str(scenario.task(task_id).error)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_result_that_is_refused_as_too_large_fails_its_task_once(scenario: Scenario, status: int) -> None:
    worker = scenario.worker()
    calls = 0

    @worker.handler("X")
    async def work(_job: Job[Any]) -> str:
        nonlocal calls
        calls += 1
        return "x" * 1000

    scenario.network.fail("submit", answers(status, "Request Entity Too Large"), None)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "failed")]
    assert f"the result was refused: Request Entity Too Large (HTTP {status}" in str(scenario.task(task_id).error)
    assert calls == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("raised", "operation", "ended"),
    [(ValueError, "nack", "retried"), (Fail, "submit", "failed")],
    ids=["NACK", "failure"],
)
async def test_a_reason_that_is_refused_as_too_long_is_sent_shortened(
    scenario: Scenario, raised: type[Exception], operation: str, ended: str
) -> None:
    worker = scenario.worker()

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None:
        raise raised("x" * 2_000_000)

    scenario.network.fail(operation, answers(413, "Request Entity Too Large"), None)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, ended)]
    sent = [request for request in scenario.fake.requests if request["path"].endswith(("nack", "result"))]
    assert [(request["status"], len(request["body"]) < 5000) for request in sent] == [(200, True)]
