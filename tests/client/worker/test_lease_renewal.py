"""Lost leases: failed renewals, tasks that other workers take, races of the server. No handler acts past its fence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from codeq_client import (
    Abandon,
    Complete,
    Fail,
    Job,
    LeaseEnded,
    LeaseTerms,
    Outcome,
    Renewed,
    Retry,
    TaskContext,
    TaskEnded,
)
from codeq_client._api import settlement
from codeq_client._worker import lease_renewal
from codeq_client._worker.lease_renewal import HeldLease, LeaseRenewal
from codeq_client._worker.lease_timing import Lease
from codeq_client.errors import ConfigurationError, LeaseLost
from codeq_fake.testing import Profile
from tests.client.support import (
    Scenario,
    answers,
    garbled,
    operation_of,
    refused,
    reply_lost,
    request_lost,
    slow,
    slow_to_connect,
)

pytestmark = pytest.mark.slow

FAULTS = {
    "refused": refused,
    "request lost": request_lost,
    "reply lost": reply_lost,
    "500": answers(500),
    "429": answers(429, retry_after="1"),
    "401": answers(401, "invalid token"),
    "missing scope": answers(403, "missing scope"),
    "garbled": garbled,
}


def sleeper(scenario: Scenario, seconds: float, log: list[tuple[float, str]]) -> Any:
    """Return a handler that sleeps, and logs when and why it starts and ends."""

    async def handler(_job: Job[Any], task: TaskContext) -> str:
        log.append((scenario.clock.monotonic(), "begins"))
        try:
            await scenario.clock.sleep(seconds)
        except asyncio.CancelledError:
            log.append((scenario.clock.monotonic(), task.end.value if task.end else "cancelled"))
            raise
        log.append((scenario.clock.monotonic(), "done"))
        return "done"

    return handler


@pytest.mark.asyncio
async def test_a_handler_that_outlives_many_leases_keeps_its_task(scenario: Scenario) -> None:
    worker = scenario.worker(lease=10)
    log: list[tuple[float, str]] = []
    worker.handler("X")(sleeper(scenario, 300, log))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        for _ in range(120):
            await scenario.clock.advance(2.5)
            assert await scenario.calm.claim(["X"]) is None
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]
    extensions = {body for _, name, body in scenario.network.log if name == "heartbeat"}
    assert extensions == {b'{"extendSeconds":10}'}, "a heartbeat never asks for less than the lease"


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_renewals_that_fail_for_a_while_lose_nothing(scenario: Scenario, fault: Any) -> None:
    worker = scenario.worker(lease=30)
    worker.handler("X")(sleeper(scenario, 100, []))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(5)
        scenario.network.fail("heartbeat", fault)
        await scenario.clock.advance(12)
        scenario.network.fail("none")
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("profile", ["kvrocks-2.8", "redis"])
async def test_a_lease_that_cannot_be_renewed_ends_the_handler_before_another_gets_the_task(
    fault: Any, profile: Profile
) -> None:
    scenario = Scenario(profile)
    worker = scenario.worker(lease=30)
    log: list[tuple[float, str]] = []
    worker.handler("X")(sleeper(scenario, 100, log))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(1)
        scenario.network.fail("heartbeat", fault)
        await scenario.clock.advance(26)
        assert log[-1][1] == "begins"
        await scenario.until_ended()
        assert log[-1][1] == "expired"
        assert scenario.task(task_id).status == "IN_PROGRESS", "nothing was sent for it"
    assert scenario.ended()[0] == (task_id, "lost")  # the open poll may claim it again, and then it is given back
    (ended,) = [event for _, event in scenario.events if isinstance(event, TaskEnded)]
    assert ended.wasted == ended.seconds > 25
    assert not scenario.network.times("nack") + scenario.network.times("abandon") + scenario.network.times("submit")


@pytest.mark.asyncio
async def test_a_machine_that_was_suspended_past_its_lease_drops_the_task_when_it_wakes(scenario: Scenario) -> None:
    worker = scenario.worker(lease=60)
    log: list[tuple[float, str]] = []
    worker.handler("X")(sleeper(scenario, 100, log))
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(5)
        await scenario.suspend(600)
        await scenario.clock.advance(1.25)
        at, why = log[1]
        assert (why, at <= 606.25) == ("expired", True)
        assert len(scenario.network.times("heartbeat")) == 0


@pytest.mark.asyncio
async def test_a_renewal_reports_how_much_of_the_lease_was_left(scenario: Scenario) -> None:
    worker = scenario.worker(lease=30)
    worker.handler("X")(sleeper(scenario, 15, []))
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    (renewed,) = [event for _, event in scenario.events if isinstance(event, Renewed)]
    assert renewed.outcome == "renewed"
    assert 17.5 < renewed.remaining < 19, "not what it was after the renewal"


@pytest.mark.asyncio
async def test_a_task_that_another_worker_took_is_dropped_at_the_next_renewal(scenario: Scenario) -> None:
    worker = scenario.worker(lease=30)
    log: list[tuple[float, str]] = []
    worker.handler("X")(sleeper(scenario, 100, log))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(1)
        scenario.edit(task_id, state="READY", worker="", attempts=2)  # Z3: a fresh lease is revoked
        taken = await scenario.calm.claim(["X"])
        assert taken
        await scenario.until_ended()
        await scenario.calm.complete(taken, "theirs")
    at, why = log[-1]
    assert 8.5 < at < 11
    assert why == "revoked"
    assert scenario.ended()[0] == (task_id, "lost")  # the open poll may claim it again, and then it is given back
    assert scenario.task(task_id).result == {"$value": "theirs"}


@pytest.mark.asyncio
async def test_a_task_that_was_deleted_is_dropped_at_the_next_renewal(scenario: Scenario) -> None:
    worker = scenario.worker(lease=30)
    worker.handler("X")(sleeper(scenario, 100, []))
    scenario.network.fail("heartbeat", answers(500, "not-found"))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended()[0] == (task_id, "lost")  # the open poll may claim it again, and then it is given back
    assert len(scenario.network.times("heartbeat")) == 1, "a 500 that means not found is not retried"


@pytest.mark.asyncio
async def test_a_result_for_a_revoked_lease_is_reported_as_lost(scenario: Scenario) -> None:
    worker = scenario.worker()
    worker.handler("X")(sleeper(scenario, 5, []))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(2)
        scenario.edit(task_id, state="READY", worker="", attempts=2)
        await scenario.calm.claim(["X"])
        await scenario.until_ended()
    assert scenario.ended()[0] == (task_id, "lost")  # the open poll may claim it again, and then it is given back


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [request_lost, reply_lost, refused, answers(500), garbled], ids=lambda f: f.__name__)
@pytest.mark.parametrize("count", [1, 2, 4])
async def test_a_submit_whose_answer_is_lost_still_completes_the_task_once(
    scenario: Scenario, fault: Any, count: int
) -> None:
    worker = scenario.worker()
    calls = 0

    @worker.handler("X")
    async def work(_job: Job[Any]) -> dict[str, int]:
        nonlocal calls
        calls += 1
        return {"calls": calls}

    scenario.network.fail("submit", *[fault] * count, *([None] if count == 1 else []))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]
    assert scenario.task(task_id).result == {"calls": 1}
    assert not scenario.network.times("nack"), "a finished task is not given back"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("operation", "fault", "loss"),
    [
        ("heartbeat", refused, "expired"),
        ("heartbeat", answers(403, "not-owner"), "revoked"),
        ("submit", answers(409, "not-in-progress"), "revoked"),
        ("submit", answers(404, "task not found"), "revoked"),
        ("submit", answers(403, "missing scope"), "refused"),
        ("abandon", answers(503), "unanswered"),
    ],
    ids=["expired", "revoked", "taken", "deleted", "no scope", "unanswered"],
)
async def test_a_lost_task_is_reported_with_the_reason(
    scenario: Scenario, operation: str, fault: Any, loss: str
) -> None:
    worker = scenario.worker(lease=30, grace=1)
    worker.handler("X")(sleeper(scenario, 25 if operation == "submit" else 100, []))
    scenario.network.fail(operation, fault)
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        if operation == "abandon":
            await scenario.clock.advance(1)
        else:
            await scenario.until_ended()
    ended = [event for _, event in scenario.events if isinstance(event, TaskEnded)]
    assert (ended[0].settled, ended[0].loss, ended[0].wasted) == ("lost", loss, ended[0].seconds)


@pytest.mark.asyncio
async def test_a_task_that_is_lost_by_a_bug_is_reported_too(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_arguments: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(settlement, "end", end)
    worker = scenario.worker(concurrency=1)
    worker.handler("X")(sleeper(scenario, 5, []))
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    ended = [event for _, event in scenario.events if isinstance(event, TaskEnded)]
    assert (ended[0].settled, ended[0].loss, ended[0].wasted) == ("lost", "defect", ended[0].seconds)


def later(call: Callable[[], object]) -> None:
    """Call the function after what the worker's loop has already scheduled, as a renewal loop does from its thread."""
    asyncio.get_running_loop().call_soon(call)


@pytest.mark.asyncio
async def test_a_delivery_that_replaces_an_earlier_one_keeps_its_lease(scenario: Scenario) -> None:
    worker = scenario.worker(lease=6, concurrency=2)
    started = []

    @worker.handler("X")
    async def work(job: Job[Any], task: TaskContext) -> None:
        started.append((job.attempts, task.remaining() > 0, task.end))
        while (
            job.attempts == 1 and scenario.clock.monotonic() < 2
        ):  # like a handler on a thread, it cannot be interrupted
            with contextlib.suppress(asyncio.CancelledError):
                await scenario.clock.sleep(0.25)

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(1)
        scenario.edit(task_id, state="READY", worker="", attempts=2)  # Z3: a fresh lease is revoked
        await scenario.until_ended(2)
    assert scenario.ended() == [(task_id, "lost"), (task_id, "completed")]
    assert started == [(1, True, None), (3, True, None)]


@pytest.mark.asyncio
@pytest.mark.parametrize("batch_results", [False, True])
async def test_no_result_leaves_past_its_fence_because_its_connection_took_so_long(
    scenario: Scenario,
    batch_results: bool,  # noqa: FBT001 - parametrized
) -> None:
    worker = scenario.worker(lease=60, concurrency=2, batch_results=batch_results)
    worker.handler("X")(sleeper(scenario, 52, []))
    faults = {"heartbeat": request_lost, "submit": slow_to_connect(scenario.clock, until=58)}  # the fence is at 57.4
    scenario.network.fault_for = lambda request: faults.get(operation_of(request))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
        assert scenario.ended() == [(task_id, "lost")]
        await scenario.clock.advance(2)
        assert "completed" not in [event["what"] for event in scenario.task(task_id).history]
        scenario.network.fault_for = lambda _request: None


@pytest.mark.asyncio
@pytest.mark.parametrize("plain", [False, True])
async def test_no_handler_starts_past_its_fence(
    scenario: Scenario,
    plain: bool,  # noqa: FBT001 - parametrized
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lease_renewal, "call_now", later)
    worker = scenario.worker(lease=6)
    started = []

    if plain:

        @worker.handler("X")
        def work(job: Job[Any]) -> None:
            started.append(job.id)

    else:

        @worker.handler("X")
        async def work(job: Job[Any]) -> None:
            started.append(job.id)

    scenario.network.fail("claim", slow(scenario.clock, 5), None)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended(1)
        assert started == []
    assert scenario.ended()[0] == (task_id, "lost")


@pytest.mark.asyncio
async def test_a_submit_is_tried_only_until_the_lease_is_lost(scenario: Scenario) -> None:
    worker = scenario.worker(lease=30)
    worker.handler("X")(sleeper(scenario, 5, []))
    down = answers(503, "down")
    scenario.network.fault_for = lambda r: down if operation_of(r) in {"submit", "heartbeat"} else None
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended()[0] == (task_id, "lost")  # the open poll may claim it again, and then it is given back
    assert len(scenario.network.times("submit")) > 5
    assert max(scenario.network.times("submit")) < 30 - 1.5


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [request_lost, reply_lost, answers(500)], ids=lambda f: f.__name__)
async def test_a_nack_whose_answer_is_lost_costs_one_attempt_only(scenario: Scenario, fault: Any) -> None:
    worker = scenario.worker()

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None:
        raise Retry(1000)

    scenario.network.fail("nack", fault, None)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "retried")]
    assert scenario.task(task_id).attempts == 2


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("outcome", "operation"),
    [(Complete("done"), "submit"), (Fail("no"), "submit"), (Retry(1000), "nack"), (Abandon(), "abandon")],
    ids=["complete", "fail", "retry", "abandon"],
)
@pytest.mark.parametrize(
    ("seconds", "renewals"),
    [(8, 0), (10.5, 1), (20.5, 2)],
    ids=["due meanwhile", "under way before", "the second under way before"],
)
async def test_no_renewal_is_under_way_while_a_task_is_ended(
    scenario: Scenario, outcome: Complete | Outcome, operation: str, seconds: float, renewals: int
) -> None:
    worker = scenario.worker(lease=30)  # renewed at 10 s and at 20 s

    @worker.handler("X")
    async def work(_job: Job[Any]) -> Complete | Outcome:
        await scenario.clock.sleep(seconds)
        worker.stop()
        return outcome

    scenario.network.fault_for = lambda request: (
        slow(scenario.clock, 4) if operation_of(request) in {operation, "heartbeat"} else None
    )
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    sent = scenario.network.times(operation)[0]
    renewed = scenario.network.times("heartbeat")
    assert len(renewed) == renewals
    assert all(moment + 4 <= sent for moment in renewed)


class OvertakenLease(Lease):
    """Its task is ended by the worker's thread between two steps of the thread that renews it."""

    def renewal_due(self, now: float) -> bool:
        """Return whether it is due, and stop."""
        is_due = super().renewal_due(now)
        self.stop()
        return is_due


@pytest.mark.asyncio
async def test_a_renewal_that_the_end_of_its_task_overtakes_is_not_sent(scenario: Scenario) -> None:
    sent: list[str] = []

    async def renew(task_id: str) -> None:
        sent.append(task_id)

    now = scenario.clock.monotonic()
    lease = OvertakenLease(LeaseTerms(60), sent=now - 20, now=now, random=lambda: 0.0)
    held = HeldLease("t-1", lease, cancel=lambda _: None)
    post = lease_renewal.call_now
    renewal = LeaseRenewal(renew, scenario.clock, emit=lambda _: None, post=post, wake=post)
    renewal.add(held)
    running = asyncio.create_task(renewal.run())
    await asyncio.sleep(0)
    assert lease.renewing
    await renewal.finish(held)
    running.cancel()
    assert sent == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("limit", "end"), [("max_runtime", "overdue"), ("stall", "stalled")])
async def test_a_handler_over_its_limit_is_ended_and_its_task_tried_again(
    scenario: Scenario, limit: str, end: str
) -> None:
    worker = scenario.worker(lease=LeaseTerms(30, **{limit: 70.0}))  # type: ignore[arg-type]  # parametrized
    log: list[tuple[float, str]] = []
    worker.handler("X")(sleeper(scenario, 1000, log))
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    at, why = log[-1]
    assert 70 <= at < 70.5
    assert why == end
    assert scenario.ended()[0] == (task_id, "retried")
    assert [event.end.value for _, event in scenario.events if isinstance(event, LeaseEnded)] == [end]


@pytest.mark.asyncio
async def test_a_handler_that_reports_progress_is_not_stalled(scenario: Scenario) -> None:
    worker = scenario.worker(lease=LeaseTerms(30, stall=10))

    @worker.handler("X")
    async def work(_job: Job[Any], task: TaskContext) -> None:
        for _ in range(10):
            await scenario.clock.sleep(9)
            task.progress()

    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert scenario.ended() == [(task_id, "completed")]


@pytest.mark.asyncio
async def test_guard_enters_only_with_enough_of_the_lease_left(scenario: Scenario) -> None:
    worker = scenario.worker(lease=30)
    left = []

    @worker.handler("X")
    async def work(_job: Job[Any], task: TaskContext) -> None:
        with pytest.raises(ConfigurationError):
            async with task.guard(29):
                pass
        await scenario.clock.sleep(8)
        async with task.guard(25):
            left.append(task.remaining())

    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert left[0] >= 25
    assert scenario.ended()[0][1] == "completed"


@pytest.mark.asyncio
async def test_guard_raises_if_the_lease_is_lost_meanwhile(scenario: Scenario) -> None:
    worker = scenario.worker(lease=30)
    caught = []

    @worker.handler("X")
    async def work(_job: Job[Any], task: TaskContext) -> None:
        await scenario.clock.sleep(8)
        try:
            async with task.guard(25):
                raise AssertionError
        except (LeaseLost, asyncio.CancelledError) as error:
            caught.append(type(error).__name__)
            raise

    scenario.network.fail("heartbeat", refused)
    scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.until_ended()
    assert caught
    assert scenario.ended()[0][1] == "lost"
