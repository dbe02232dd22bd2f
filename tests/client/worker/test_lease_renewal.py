"""When the lease goes: renewals that fail, tasks that others take, races of the server. Nothing acts past its fence."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from codeq_client import Job, LeaseEnded, LeaseTerms, Renewed, Retry, TaskContext, TaskEnded
from codeq_client._api import settlement
from codeq_client._worker import lease_renewal
from codeq_client.errors import ConfigurationError, LeaseLost
from tests.client.support import Stage, answers, garbled, operation_of, play, refused, reply_lost, request_lost, slow

if TYPE_CHECKING:
    from collections.abc import Callable

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


def sleeper(stage: Stage, seconds: float, log: list[tuple[float, str]]) -> Any:
    """Return a handler that sleeps, and logs when it begins and ends, and why."""

    async def handler(_job: Job[Any], task: TaskContext) -> str:
        log.append((stage.clock.monotonic(), "begins"))
        try:
            await stage.clock.sleep(seconds)
        except asyncio.CancelledError:
            log.append((stage.clock.monotonic(), task.end.value if task.end else "cancelled"))
            raise
        log.append((stage.clock.monotonic(), "done"))
        return "done"

    return handler


def test_a_handler_that_outlives_many_leases_keeps_its_task() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=10)
        log: list[tuple[float, str]] = []
        worker.handler("X")(sleeper(stage, 300, log))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            for _ in range(120):
                await stage.clock.advance(2.5)
                assert await stage.calm.claim(["X"]) is None
            await stage.until_ended()
        assert stage.ended() == [(task_id, "completed")]
        extensions = {body for _, name, body in stage.network.log if name == "heartbeat"}
        assert extensions == {b'{"extendSeconds":10}'}, "a heartbeat never asks for less than the lease"

    play(scene)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_renewals_that_fail_for_a_while_lose_nothing(fault: Any) -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        worker.handler("X")(sleeper(stage, 100, []))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.clock.advance(5)
            stage.network.fail("heartbeat", fault)
            await stage.clock.advance(12)
            stage.network.fail("none")
            await stage.until_ended()
        assert stage.ended() == [(task_id, "completed")]

    play(scene)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("profile", ["kvrocks-2.8", "redis"])
def test_a_lease_that_cannot_be_renewed_ends_the_handler_before_anyone_else_gets_the_task(
    fault: Any, profile: str
) -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        log: list[tuple[float, str]] = []
        worker.handler("X")(sleeper(stage, 100, log))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.clock.advance(1)
            stage.network.fail("heartbeat", fault)
            await stage.clock.advance(26)
            assert log[-1][1] == "begins"
            await stage.until_ended()
            assert log[-1][1] == "expired"
            assert stage.task(task_id).status == "IN_PROGRESS", "nothing was sent for it"
        assert stage.ended()[0] == (task_id, "lost")  # a poll under way may bring it anew, to be given back
        (ended,) = [event for _, event in stage.events if isinstance(event, TaskEnded)]
        assert ended.wasted == ended.seconds > 25
        assert not stage.network.times("nack") + stage.network.times("abandon") + stage.network.times("submit")

    play(scene, profile)


def test_a_machine_that_was_suspended_past_its_lease_drops_the_task_when_it_wakes() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=60)
        log: list[tuple[float, str]] = []
        worker.handler("X")(sleeper(stage, 100, log))
        stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.clock.advance(5)
            await stage.suspend(600)
            await stage.clock.advance(1.25)
            at, why = log[1]
            assert (why, at <= 606.25) == ("expired", True)
            assert len(stage.network.times("heartbeat")) == 0

    play(scene)


def test_a_renewal_tells_how_much_of_the_lease_was_left() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        worker.handler("X")(sleeper(stage, 15, []))
        stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        (renewed,) = [event for _, event in stage.events if isinstance(event, Renewed)]
        assert renewed.outcome == "renewed"
        assert 17.5 < renewed.remaining < 19, "not what it was after the renewal"

    play(scene)


def test_a_task_that_another_worker_took_is_dropped_at_the_next_renewal() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        log: list[tuple[float, str]] = []
        worker.handler("X")(sleeper(stage, 100, log))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.clock.advance(1)
            stage.edit(task_id, state="READY", worker="", attempts=2)  # Z3: a fresh lease is revoked
            taken = await stage.calm.claim(["X"])
            assert taken
            await stage.until_ended()
            await stage.calm.complete(taken, "theirs")
        at, why = log[-1]
        assert 8.5 < at < 11
        assert why == "revoked"
        assert stage.ended()[0] == (task_id, "lost")  # a poll under way may bring it anew, to be given back
        assert stage.task(task_id).result == {"$value": "theirs"}

    play(scene)


def test_a_task_that_was_deleted_is_dropped_at_the_next_renewal() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        worker.handler("X")(sleeper(stage, 100, []))
        stage.network.fail("heartbeat", answers(500, "not-found"))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        assert stage.ended()[0] == (task_id, "lost")  # a poll under way may bring it anew, to be given back
        assert len(stage.network.times("heartbeat")) == 1, "a 500 that means not found is not tried again"

    play(scene)


def test_a_result_for_a_revoked_lease_is_reported_as_lost() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker()
        worker.handler("X")(sleeper(stage, 5, []))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.clock.advance(2)
            stage.edit(task_id, state="READY", worker="", attempts=2)
            await stage.calm.claim(["X"])
            await stage.until_ended()
        assert stage.ended()[0] == (task_id, "lost")  # a poll under way may bring it anew, to be given back

    play(scene)


@pytest.mark.parametrize("fault", [request_lost, reply_lost, refused, answers(500), garbled], ids=lambda f: f.__name__)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_submit_whose_answer_is_lost_still_completes_the_task_once(fault: Any, count: int) -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker()
        calls = 0

        @worker.handler("X")
        async def work(_job: Job[Any]) -> dict[str, int]:
            nonlocal calls
            calls += 1
            return {"calls": calls}

        stage.network.fail("submit", *[fault] * count, *([None] if count == 1 else []))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        assert stage.ended() == [(task_id, "completed")]
        assert stage.task(task_id).result == {"calls": 1}
        assert not stage.network.times("nack"), "a finished task is not given back"

    play(scene)


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
def test_a_lost_task_is_told_with_the_reason(operation: str, fault: Any, loss: str) -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30, grace=1)
        worker.handler("X")(sleeper(stage, 25 if operation == "submit" else 100, []))
        stage.network.fail(operation, fault)
        stage.enqueue("X", {})
        async with stage.running(worker):
            if operation == "abandon":
                await stage.clock.advance(1)
            else:
                await stage.until_ended()
        ended = [event for _, event in stage.events if isinstance(event, TaskEnded)]
        assert (ended[0].settled, ended[0].loss, ended[0].wasted) == ("lost", loss, ended[0].seconds)

    play(scene)


def test_a_task_that_is_lost_by_a_defect_of_ours_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_arguments: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(settlement, "end", end)

    async def scene(stage: Stage) -> None:
        worker = stage.worker()
        worker.handler("X")(sleeper(stage, 5, []))
        stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        ended = [event for _, event in stage.events if isinstance(event, TaskEnded)]
        assert (ended[0].settled, ended[0].loss, ended[0].wasted) == ("lost", "defect", ended[0].seconds)

    play(scene)


def later(call: Callable[[], object]) -> None:
    """Tell the worker's loop after what it has begun, as the lease loop does from its thread."""
    asyncio.get_running_loop().call_soon(call)


def test_a_delivery_that_waits_for_an_earlier_one_to_give_way_keeps_its_lease() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=6, concurrency=2)
        begun = []

        @worker.handler("X")
        async def work(job: Job[Any], task: TaskContext) -> None:
            begun.append((job.attempts, task.remaining() > 0, task.end))
            while job.attempts == 1 and stage.clock.monotonic() < 20:  # as one on a thread, it cannot be interrupted
                with contextlib.suppress(asyncio.CancelledError):
                    await stage.clock.sleep(1)

        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.clock.advance(1)
            stage.edit(task_id, state="READY", worker="", attempts=2)  # Z3: a fresh lease is revoked
            await stage.until_ended(2)
        assert stage.ended() == [(task_id, "lost"), (task_id, "completed")]
        assert begun == [(1, True, None), (3, True, None)]

    play(scene)


@pytest.mark.parametrize("plain", [False, True])
def test_no_handler_begins_past_its_fence(plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - parametrized
    monkeypatch.setattr(lease_renewal, "call_now", later)

    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=6)
        begun = []

        if plain:

            @worker.handler("X")
            def work(job: Job[Any]) -> None:
                begun.append(job.id)

        else:

            @worker.handler("X")
            async def work(job: Job[Any]) -> None:
                begun.append(job.id)

        stage.network.fail("claim", slow(stage.clock, 5), None)
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended(1)
            assert begun == []
        assert stage.ended()[0] == (task_id, "lost")

    play(scene)


def test_a_submit_is_tried_until_the_lease_is_lost_and_no_longer() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        worker.handler("X")(sleeper(stage, 5, []))
        down = answers(503, "down")
        stage.network.fault_for = lambda r: down if operation_of(r) in {"submit", "heartbeat"} else None
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        assert stage.ended()[0] == (task_id, "lost")  # a poll under way may bring it anew, to be given back
        assert len(stage.network.times("submit")) > 5
        assert max(stage.network.times("submit")) < 30 - 1.5

    play(scene)


@pytest.mark.parametrize("fault", [request_lost, reply_lost, answers(500)], ids=lambda f: f.__name__)
def test_a_nack_whose_answer_is_lost_costs_one_attempt_only(fault: Any) -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker()

        @worker.handler("X")
        async def work(_job: Job[Any]) -> None:
            raise Retry(1000)

        stage.network.fail("nack", fault, None)
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        assert stage.ended() == [(task_id, "retried")]
        assert stage.task(task_id).attempts == 2

    play(scene)


def test_no_renewal_is_sent_or_on_its_way_when_a_nack_is() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)

        @worker.handler("X")
        async def work(_job: Job[Any]) -> None:
            await stage.clock.sleep(10.5)  # a renewal has been sent at 10 s and is slow
            raise Retry(1000)

        async def slow(_request: Any, forward: Any) -> Any:
            await stage.clock.sleep(3)
            return await forward()

        stage.network.fail("heartbeat", slow)
        stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        (nacked,) = stage.network.times("nack")
        renewed = [at for at, event in stage.events if isinstance(event, Renewed)]
        assert renewed[0] <= nacked
        assert max(stage.network.times("heartbeat")) < nacked

    play(scene)


@pytest.mark.parametrize(("limit", "end"), [("max_runtime", "overdue"), ("stall", "stalled")])
def test_a_handler_over_its_limit_is_ended_and_its_task_tried_again(limit: str, end: str) -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=LeaseTerms(30, **{limit: 70.0}))  # type: ignore[arg-type]  # parametrized
        log: list[tuple[float, str]] = []
        worker.handler("X")(sleeper(stage, 1000, log))
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        at, why = log[-1]
        assert 70 <= at < 70.5
        assert why == end
        assert stage.ended()[0] == (task_id, "retried")
        assert [event.end.value for _, event in stage.events if isinstance(event, LeaseEnded)] == [end]

    play(scene)


def test_a_handler_that_reports_progress_is_not_stalled() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=LeaseTerms(30, stall=10))

        @worker.handler("X")
        async def work(_job: Job[Any], task: TaskContext) -> None:
            for _ in range(10):
                await stage.clock.sleep(9)
                task.progress()

        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        assert stage.ended() == [(task_id, "completed")]

    play(scene)


def test_guard_enters_only_with_enough_of_the_lease_left() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        left = []

        @worker.handler("X")
        async def work(_job: Job[Any], task: TaskContext) -> None:
            with pytest.raises(ConfigurationError):
                async with task.guard(29):
                    pass
            await stage.clock.sleep(8)
            async with task.guard(25):
                left.append(task.remaining())

        stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        assert left[0] >= 25
        assert stage.ended()[0][1] == "completed"

    play(scene)


def test_guard_raises_when_the_lease_is_lost_meanwhile() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=30)
        caught = []

        @worker.handler("X")
        async def work(_job: Job[Any], task: TaskContext) -> None:
            await stage.clock.sleep(8)
            try:
                async with task.guard(25):
                    raise AssertionError
            except (LeaseLost, asyncio.CancelledError) as error:
                caught.append(type(error).__name__)
                raise

        stage.network.fail("heartbeat", refused)
        stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.until_ended()
        assert caught
        assert stage.ended()[0][1] == "lost"

    play(scene)
