"""What a worker does with tasks: claims, handlers, outcomes, shutdown. On a manual clock, without real sleeps."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from codeq_client import (
    Abandon,
    Artifact,
    ClaimFailed,
    CodeQ,
    Complete,
    Fail,
    Job,
    Next,
    Retry,
    TaskContext,
    TaskEnded,
    Worker,
    current_task,
)
from codeq_client._worker.command_order import CommandOrder
from codeq_client.errors import CertificateError, ClientClosed, ConfigurationError, Forbidden, Unavailable
from tests.client.support import Scenario, answers, broken, refused, reply_lost, sleeper, slow, untrusted


@dataclass
class Order:
    number: int


@dataclass
class Master:
    url: str


@pytest.mark.asyncio
async def test_a_typed_handler_gets_its_payload_and_completes_the_task(scenario: Scenario) -> None:
    worker = scenario.worker()

    @worker.handler("MAKE", payload=Order, result=Master)
    async def make(job: Job[Order], task: TaskContext) -> Master:
        assert (job.command, job.attempts, job.is_last, job.was_finished) == ("make", 1, False, False)
        assert task.remaining() > 50
        return Master(f"http://m.test/{job.payload.number}")

    created = await scenario.codeq.create("make", Order(7))
    async with scenario.running(worker):
        waiting = scenario.codeq.wait_for_result(created.id, kind=Master)
        master = await asyncio.wait_for(scenario.finished(waiting), 5)
    assert master == Master("http://m.test/7")


def raiser(error: BaseException) -> Any:
    async def handler(_job: Job[Any]) -> None:
        raise error

    return handler


def returner(value: object) -> Any:
    async def handler(_job: Job[Any]) -> object:
        return value

    return handler


OUTCOMES: dict[str, tuple[Any, str, str, str]] = {
    "none": (returner(None), "completed", "COMPLETED", ""),
    "a list": (returner([1, None]), "completed", "COMPLETED", ""),
    "artifacts": (returner(Complete({}, [Artifact(url="http://a.test/")])), "completed", "COMPLETED", ""),
    "fail raised": (raiser(Fail("no such master")), "failed", "FAILED", "no such master"),
    "fail returned": (returner(Fail("no such master")), "failed", "FAILED", "no such master"),
    "a permanent error": (raiser(KeyError("k")), "failed", "FAILED", "KeyError: 'k'"),
    "sys.exit": (raiser(SystemExit(3)), "retried", "PENDING", ""),
    "an error": (raiser(OSError("disk full")), "retried", "PENDING", ""),
    "retry raised": (raiser(Retry(30, "later")), "retried", "PENDING", ""),
    "retry returned": (returner(Retry()), "retried", "PENDING", ""),
    "abandon": (raiser(Abandon()), "abandoned", "PENDING", ""),
    "no json": (returner(object()), "failed", "FAILED", "the result was refused: $: a object is not a JSON value"),
    "rounded": (returner({"n": 2**53 + 1}), "failed", "FAILED", "the result was refused: $.n: the server would"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("handler", "settled", "status", "error"), OUTCOMES.values(), ids=OUTCOMES)
async def test_a_task_is_settled_with_the_outcome_of_its_handler(
    scenario: Scenario, handler: Any, settled: str, status: str, error: str
) -> None:
    worker = scenario.worker()
    worker.handler("X", permanent=(KeyError,))(handler)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended()[0] == (task_id, settled)
    task = scenario.task(task_id)
    assert task.status == status
    assert (task.error or "").startswith(error)


@pytest.mark.asyncio
async def test_a_retry_waits_for_its_delay_and_costs_two_attempts(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(raiser(Retry(30)))
    task_id = scenario.enqueue("X", {}, max_attempts=4)
    async with scenario.running(worker):
        await scenario.until_ended()
        assert scenario.task(task_id).attempts == 2
        await scenario.clock.advance(27)
        assert len(scenario.ended()) == 1
        await scenario.clock.advance(5)
    assert scenario.ended() == [(task_id, "retried"), (task_id, "dead")]


@pytest.mark.asyncio
async def test_a_handlers_backoff_replaces_the_servers(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X", backoff=lambda task: 100 * task.attempts)(raiser(OSError()))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert '"delaySeconds":100,"reason":"OSError"' in _bodies(scenario, "nack")[0]
    assert scenario.task(task_id).status == "PENDING"


def _bodies(scenario: Scenario, operation: str) -> list[str]:
    return [body.decode() for _, name, body in scenario.network.log if name == operation]


@pytest.mark.asyncio
async def test_a_payload_of_another_type_fails_the_task_without_calling_the_handler(scenario: Scenario) -> None:
    worker = scenario.worker()

    @worker.handler("X", payload=Order)
    async def never(_job: Job[Order]) -> None:
        raise AssertionError

    task_id = scenario.enqueue("X", {"number": "seven"})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.task(task_id).error == (
        "the payload does not have the handler's type: $.number: expected int, got 'seven'"
    )


@pytest.mark.asyncio
async def test_a_result_of_another_type_fails_the_task(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X", result=Master)(returner({"uri": "u"}))
    worker.handler("Y", result=Master)(returner({"url": "u"}))
    wrong, right = scenario.enqueue("X", {}), scenario.enqueue("Y", {})
    async with scenario.running(worker):
        await scenario.until_ended(2)
    assert (scenario.task(wrong).status, scenario.task(right).status) == ("FAILED", "COMPLETED")


@pytest.mark.asyncio
async def test_a_plain_function_runs_on_a_thread_with_the_tasks_context(scenario: Scenario) -> None:
    worker = scenario.worker()
    threads = []

    @worker.handler("X")
    def work(job: Job[Any], task: TaskContext) -> str:
        task.check()
        assert current_task.get() is job.task
        threads.append(threading.current_thread())
        return "done"

    ended = asyncio.Event()
    worker.hooks.append(lambda event: ended.set() if isinstance(event, TaskEnded) else None)
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await asyncio.wait_for(ended.wait(), 5)  # the thread is real
    assert threads[0] is not threading.main_thread()
    assert scenario.ended()[0][1] == "completed"


@pytest.mark.asyncio
async def test_no_more_is_claimed_than_there_are_free_slots(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=3)
    running = 0

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None:
        nonlocal running
        running += 1
        assert running <= 3
        in_progress = scenario.fake.tasks(status="IN_PROGRESS")
        assert len(in_progress) <= 3
        await scenario.clock.sleep(2)
        running -= 1

    for _ in range(20):
        scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended(20)
    assert scenario.clock.monotonic() < 20 / 3 * 2 + 3, "and the slots are kept full"


@pytest.mark.asyncio
async def test_one_flooded_command_does_not_starve_the_others(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=1)
    served = []
    for command in ("A", "B", "C"):

        @worker.handler(command)
        async def work(job: Job[Any]) -> None:
            served.append(job.command)

    for _ in range(10):
        scenario.enqueue("A", {})
    for _ in range(2):
        scenario.enqueue("B", {})
        scenario.enqueue("C", {})
    async with scenario.running(worker):
        await scenario.until_ended(14)
    assert served[:6] == ["A", "B", "C", "A", "B", "C"]


@pytest.mark.asyncio
async def test_one_claim_at_a_time_is_open(scenario: Scenario) -> None:
    worker = scenario.worker(poll=20)
    open_now = most = 0

    async def count(_request: Any, forward: Any) -> Any:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            return await forward()
        finally:
            open_now -= 1

    scenario.network.fail("claim", count)
    worker.handler("X")(returner(None))
    async with scenario.running(worker):
        await scenario.clock.advance(5)
        for _ in range(5):
            scenario.enqueue("X", {})
            await scenario.clock.advance(1)
    assert most == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault",
    [refused, reply_lost, broken, answers(500), answers(401), answers(403), answers(429)],
    ids=["refused", "reply lost", "broken", "500", "401", "403", "429"],
)
async def test_an_outage_never_ends_the_worker(scenario: Scenario, fault: Any) -> None:
    worker = scenario.worker()
    worker.handler("X")(returner(None))
    scenario.network.fail("claim", fault)
    async with scenario.running(worker):
        await scenario.clock.advance(120)
        failures = [event for _, event in scenario.events if isinstance(event, ClaimFailed)]
        assert 5 < len(failures) < 15, "it slows down"
        assert worker.status().claim_error
        scenario.network.fail("none")
        task_id = scenario.enqueue("X", {})
        await scenario.clock.advance(35)
        assert scenario.task(task_id).status == "COMPLETED"
        assert not worker.status().claim_error


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "value"), [(429, "86400"), (503, "86400"), (429, "Fri, 31 Dec 2049 23:59:59 GMT"), (503, "inf")]
)
async def test_a_claim_is_sent_again_within_a_minute_whatever_the_server_says(
    scenario: Scenario, status: int, value: str
) -> None:
    worker = scenario.worker()
    worker.handler("X")(returner(None))
    scenario.network.fail("claim", answers(status, "later", retry_after=value), None)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(58)
        assert len(scenario.network.times("claim")) == 1, "it is heeded"
        await scenario.clock.advance(4)
        assert scenario.ended() == [(task_id, "completed")]


@pytest.mark.asyncio
async def test_a_bug_in_a_claim_never_ends_the_worker(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    defects = [ZeroDivisionError("ours")]

    def names(self: CommandOrder) -> list[str]:
        if defects:
            raise defects.pop()
        return original(self)

    original = CommandOrder.names
    monkeypatch.setattr(CommandOrder, "names", names)
    worker = scenario.worker()
    worker.handler("X")(returner(None))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]
    assert "ZeroDivisionError: ours" in caplog.text


@pytest.mark.asyncio
async def test_a_server_that_answers_long_polls_at_once_is_not_polled_in_a_tight_loop(scenario: Scenario) -> None:
    async def at_once(_request: Any, _forward: Any) -> Any:
        return httpx.Response(204)

    worker = scenario.worker(poll=20)
    worker.handler("X")(returner(None))
    scenario.network.fail("claim", at_once)
    async with scenario.running(worker):
        await scenario.clock.advance(30)
    assert len(scenario.network.times("claim")) <= 32


@pytest.mark.asyncio
async def test_a_task_of_the_open_poll_is_given_back_while_stopping(scenario: Scenario) -> None:
    worker = scenario.worker(poll=10)
    called: list[Job[Any]] = []

    @worker.handler("X")
    async def work(job: Job[Any]) -> None:
        called.append(job)

    async with scenario.running(worker) as run:
        await scenario.clock.advance(3)
        worker.stop()
        await scenario.clock.advance(1)
        assert not run.done()
        task_id = scenario.enqueue("X", {})
    assert called == []
    assert scenario.ended() == [(task_id, "abandoned")]
    assert (scenario.task(task_id).status, scenario.task(task_id).attempts) == ("PENDING", 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("grace", [0, 1])
async def test_with_a_grace_shorter_than_the_poll_tasks_are_abandoned_after_the_poll(
    scenario: Scenario, grace: float
) -> None:
    worker = scenario.worker(poll=10, grace=grace, concurrency=2)
    worker.handler("X")(sleeper(scenario.clock, 1000))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker) as run:
        await scenario.clock.advance(1)
        worker.stop()
        await scenario.clock.advance(8)
        assert not run.done()
        late = scenario.enqueue("X", {})
    assert scenario.ended() == [(late, "abandoned"), (task_id, "abandoned")], "not taken and abandoned once more"
    assert {scenario.task(each).status for each in (late, task_id)} == {"PENDING"}


@pytest.mark.asyncio
async def test_a_poll_without_an_answer_delays_a_stop_only_for_a_limited_time(scenario: Scenario) -> None:
    worker = scenario.worker(poll=10, grace=0)
    worker.handler("X")(returner(None))
    scenario.network.fail("claim", slow(scenario.clock, 1000))
    async with scenario.running(worker):
        await scenario.clock.advance(1)
    assert 15 < scenario.clock.monotonic() < 17


@pytest.mark.asyncio
async def test_running_handlers_drain_within_the_grace_period_with_their_leases_renewed(scenario: Scenario) -> None:
    worker = scenario.worker(lease=9, grace=60)
    worker.handler("X")(sleeper(scenario.clock, 50))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(1)
    assert scenario.ended() == [(task_id, "completed")]
    assert len(scenario.network.times("heartbeat")) >= 16


@pytest.mark.asyncio
async def test_handlers_that_outlast_the_grace_period_are_cancelled_and_their_tasks_abandoned(
    scenario: Scenario,
) -> None:
    worker = scenario.worker(grace=10)
    ends = []

    @worker.handler("X")
    async def work(_job: Job[Any], task: TaskContext) -> None:
        try:
            await scenario.clock.sleep(1000)
        finally:
            ends.append(task.end.value if task.end else None)

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(1)
    assert ends == ["shutdown"]
    assert scenario.clock.monotonic() < 13
    assert scenario.ended() == [(task_id, "abandoned")]
    assert scenario.task(task_id).attempts == 1, "a deploy is not a failure"


@pytest.mark.asyncio
async def test_a_cancelled_worker_abandons_its_tasks(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario.clock, 1000))
    task_id = scenario.enqueue("X", {})
    run = asyncio.create_task(worker.run(signals=False))
    await scenario.clock.advance(2)
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    assert scenario.task(task_id).status == "PENDING"
    assert not worker.status().running


@pytest.mark.asyncio
async def test_a_burst_ends_when_no_task_is_left(scenario: Scenario) -> None:
    worker = scenario.worker(concurrency=2)

    @worker.handler("X")
    async def work(job: Job[Any]) -> None:
        await scenario.clock.sleep(3)
        if job.payload:
            scenario.enqueue("X", job.payload - 1)

    scenario.enqueue("X", 3)
    await scenario.finished(worker.run(burst=True, signals=False))
    assert len(scenario.ended()) == 4


@pytest.mark.asyncio
async def test_a_stop_after_the_end_of_a_run_does_not_stop_the_next_one(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(returner(None))
    for count in (1, 2):
        scenario.enqueue("X", {})
        await scenario.finished(worker.run(burst=True, signals=False))
        worker.stop()
        assert len(scenario.ended()) == count


@pytest.mark.asyncio
async def test_a_stop_before_the_first_run_is_not_forgotten(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(returner(None))
    worker.stop()
    await scenario.finished(worker.run(signals=False))
    assert not scenario.network.times("claim")


@pytest.mark.parametrize(("lease_thread", "is_warned"), [(None, True), (False, False)])
def test_a_transport_that_keeps_leases_off_their_thread_is_warned_of(
    lease_thread: bool | None,  # noqa: FBT001 - parametrized
    is_warned: bool,  # noqa: FBT001 - parametrized
    caplog: pytest.LogCaptureFixture,
) -> None:
    codeq = CodeQ("http://a.test", worker_token="w", transport=no_server())
    worker = Worker(codeq, hooks=[lambda _event: worker.stop()], lease_thread=lease_thread)
    worker.handler("X")(returner(1))
    asyncio.run(worker.run(signals=False))
    assert ("leases are renewed in the worker's event loop" in caplog.text) is is_warned


@pytest.mark.asyncio
async def test_the_death_of_a_task_is_logged_as_an_error_with_its_exception(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    worker = scenario.worker()
    worker.handler("X")(raiser(OSError("disk full")))
    scenario.enqueue("X", {}, max_attempts=1)
    async with scenario.running(worker):
        await scenario.until_ended()
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "dead" in record.message
    assert record.exc_info
    assert str(record.exc_info[1]) == "disk full"


@pytest.mark.asyncio
async def test_a_permanent_exception_is_logged_without_a_traceback(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    worker = scenario.worker()
    worker.handler("X", permanent=OSError)(raiser(OSError("no such user")))
    scenario.enqueue("X", {})
    with caplog.at_level(logging.INFO):
        async with scenario.running(worker):
            await scenario.until_ended()
    assert "failed after 0.000 s: OSError: no such user" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


@pytest.mark.asyncio
async def test_a_refused_burst_raises(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(returner(None))
    scenario.network.fail("claim", answers(403, "event type not allowed"))
    with pytest.raises(Forbidden):
        await worker.run(burst=True, signals=False)


@pytest.mark.asyncio
async def test_a_burst_does_not_wait_for_a_missing_server(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(returner(None))
    scenario.network.fail("claim", refused)
    run = asyncio.create_task(worker.run(burst=True, signals=False))
    await scenario.clock.advance_until(run.done, within=10)
    with pytest.raises(Unavailable):
        await run
    assert len(scenario.network.times("claim")) == 4


@pytest.mark.asyncio
async def test_middleware_surrounds_the_handler_with_the_first_outermost(scenario: Scenario) -> None:
    calls = []

    async def outer(job: Job[Any], task: TaskContext, call_next: Next) -> Any:
        calls.append("outer")
        result = await call_next(job, task)
        return {"outer": result}

    worker = scenario.worker(middleware=[outer])

    @worker.middleware
    async def inner(job: Job[Any], task: TaskContext, call_next: Next) -> Any:
        calls.append("inner")
        return {"inner": await call_next(job, task)}

    worker.handler("X")(returner(1))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert calls == ["outer", "inner"]
    assert scenario.task(task_id).result == {"outer": {"inner": 1}}


@pytest.mark.asyncio
async def test_a_lifespan_surrounds_the_run_and_provides_the_state(scenario: Scenario) -> None:
    seen: list[Any] = []

    @contextlib.asynccontextmanager
    async def lifespan(worker: Worker) -> AsyncIterator[str]:
        seen.append(type(worker).__name__)
        yield "pool"
        seen.append("closed")

    worker = scenario.worker(lifespan=lifespan)

    @worker.handler("X")
    async def work(_job: Job[Any], task: TaskContext) -> None:
        seen.append(task.state)

    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert seen == ["Worker", "pool", "closed"]


@pytest.mark.asyncio
async def test_a_failing_hook_has_no_effect(scenario: Scenario, caplog: pytest.LogCaptureFixture) -> None:
    worker = scenario.worker()
    worker.hooks.append(lambda _event: [].pop())
    worker.handler("X")(returner(None))
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert "a hook failed at TaskEnded" in caplog.text


@pytest.mark.slow
@pytest.mark.asyncio
async def test_a_handler_sleeps_on_the_workers_clock(scenario: Scenario) -> None:
    worker = scenario.worker()

    @worker.handler("X")
    async def work(_job: Job[Any], task: TaskContext) -> None:
        await task.sleep(300)

    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(299)
        assert not scenario.ended()
        await scenario.clock.advance(2)
    assert [settled for _, settled in scenario.ended()] == ["completed"]


@pytest.mark.asyncio
async def test_log_records_carry_the_task(scenario: Scenario, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        worker = scenario.worker()

        @worker.handler("X")
        async def work(_job: Job[Any], task: TaskContext) -> None:
            task.log.warning("hello", extra={"more": 1})

        scenario.enqueue("X", {})
        async with scenario.running(worker):
            await scenario.until_ended()
    (record,) = [record for record in caplog.records if record.message == "hello"]
    assert {"command": "X", "attempts": 1, "more": 1}.items() <= record.__dict__.items()


@pytest.mark.parametrize(
    "settings",
    [{"concurrency": 0}, {"poll": 0}, {"grace": -1}, {"lease": 3}],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Worker(CodeQ("http://a.test", worker_token="w"), **settings)


def test_a_worker_without_token_handler_or_distinct_commands_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="worker token"):
        Worker(CodeQ("http://a.test", producer_token="p"))
    worker = Worker(CodeQ("http://a.test", worker_token="w"))
    with pytest.raises(ConfigurationError, match="no handler"):
        asyncio.run(worker.run())
    with pytest.raises(ConfigurationError, match="must take a job"):
        worker.handler("X")(lambda: None)  # type: ignore[arg-type,misc]  # the point
    worker.handler("X")(returner(1))
    with pytest.raises(ConfigurationError, match="a command that no other handler has"):
        worker.handler("x")


@pytest.mark.asyncio
async def test_a_lease_thread_needs_a_clock_that_threads_may_use(scenario: Scenario) -> None:
    with pytest.raises(ConfigurationError, match="thread-safe clock"):
        scenario.worker(lease_thread=True)


@pytest.mark.asyncio
async def test_run_in_thread_calls_plain_handlers(scenario: Scenario) -> None:
    threads = []

    async def run_here(function: Callable[[], Any]) -> Any:
        return function()

    worker = scenario.worker(run_in_thread=run_here)

    @worker.handler("X")
    def work(_job: Job[Any]) -> None:
        threads.append(threading.current_thread())

    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert threads == [threading.main_thread()]


def no_server() -> httpx.AsyncBaseTransport:
    return httpx.MockTransport(lambda _request: httpx.Response(204))


class LoopWithOwnTime(asyncio.SelectorEventLoop):
    def time(self) -> float:
        return super().time() + 3600


@pytest.mark.parametrize(("loop", "is_warned"), [(LoopWithOwnTime, True), (asyncio.new_event_loop, False)])
@pytest.mark.port
def test_a_lease_thread_warns_in_a_loop_with_its_own_time(
    loop: Callable[[], asyncio.AbstractEventLoop],
    is_warned: bool,  # noqa: FBT001 - parametrized
    caplog: pytest.LogCaptureFixture,
) -> None:
    worker = Worker(CodeQ("http://a.test", worker_token="w", transport=no_server), hooks=[lambda _event: worker.stop()])
    worker.handler("X")(returner(1))
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(worker.run(signals=False))
    assert ("LoopWithOwnTime has its own" in caplog.text) is is_warned


@pytest.mark.port
def test_a_worker_off_the_main_thread_warns_that_signals_do_not_stop_it(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(CodeQ("http://a.test", worker_token="w", transport=no_server), hooks=[lambda _event: worker.stop()])
    worker.handler("X")(returner(1))
    thread = threading.Thread(target=lambda: asyncio.run(worker.run()))
    thread.start()
    thread.join()
    assert "signals do not stop this worker" in caplog.text


def test_a_poll_is_never_longer_than_a_third_of_the_lease() -> None:
    assert Worker(CodeQ("http://a.test", worker_token="w"), lease=12, poll=30).poll == 4


@pytest.mark.asyncio
async def test_a_worker_whose_client_is_closed_ends_with_the_reason(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario.clock, 1))
    run = asyncio.create_task(worker.run(signals=False))
    await scenario.clock.advance(5)
    await scenario.codeq.aclose()
    with pytest.raises(ClientClosed, match="the client is closed"):
        await scenario.finished(run)


@pytest.mark.asyncio
async def test_a_worker_ends_at_once_if_the_certificate_is_not_trusted(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario.clock, 1))
    scenario.network.fail("claim", untrusted)
    with pytest.raises(CertificateError, match="set SSL_CERT_FILE"):
        await scenario.finished(worker.run(signals=False))
    assert len(scenario.network.times("claim")) == 1


@pytest.mark.asyncio
async def test_a_certificate_that_expires_while_a_worker_runs_may_be_renewed(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario.clock, 1))
    async with scenario.running(worker):
        await scenario.clock.advance(5)
        scenario.network.fail("claim", untrusted, untrusted, None)
        scenario.enqueue("X", {})
        await scenario.until_ended()
