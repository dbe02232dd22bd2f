"""What the official SDKs of CodeQ get wrong, one test for each; other tests look at the same things more closely."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from codeq_client import ClaimFailed, NewTask
from codeq_client._api import operations
from codeq_client.errors import (
    BadReply,
    BadRequest,
    Forbidden,
    TaskDead,
    TaskNotFound,
    Unauthorized,
    Unavailable,
)
from tests.client.api.support import LOST, TASK, Reply, Script, refusal, reply
from tests.client.support import Stage, answers, play, reply_lost, request_lost

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_client import Job, Worker

AWKWARD = {"snake_key": None, "camelKey": [None, {"Inner_Key": 1.5}], "": "", "ümlaut": "\u2028<&>"}


def test_no_key_inside_a_payload_or_a_result_is_renamed_and_no_none_is_dropped() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker()
        seen = []

        @worker.handler("X")
        async def work(job: Job[Any]) -> Any:
            seen.append(job.payload)
            return job.payload

        created = await stage.codeq.create("X", AWKWARD)
        async with stage.running(worker):
            await stage.until_ended()
        assert seen == [AWKWARD]
        assert (await stage.codeq.result(created.id)).record.result == AWKWARD

    play(scene)


def test_a_payload_arrives_as_the_value_that_it_is_and_not_as_a_text() -> None:
    script = Script([reply(200, {**TASK, "payload": '{"jobId":"1"}'})])
    task = script.run(operations.claim(script.core, ["X"]))
    assert task
    assert task.payload == {"jobId": "1"}


@pytest.mark.parametrize(
    "call",
    [
        lambda core: operations.create(core, "X", {}, idempotency_key=""),
        lambda core: operations.claim(core, ["X"]),
        lambda core: operations.nack(core, "t-1"),
    ],
    ids=["create without a key", "claim", "nack"],
)
def test_a_post_that_may_have_counted_is_not_sent_again(call: Any) -> None:
    script = Script([LOST])
    with pytest.raises(Unavailable):
        script.run(call(script.core))


def test_a_create_that_timed_out_makes_one_task_however_often_it_is_sent() -> None:
    async def scene(stage: Stage) -> None:
        stage.network.fail("create", reply_lost, request_lost, answers(503), None)
        creating = asyncio.create_task(stage.codeq.create("X", {}))
        await stage.clock.advance_until(creating.done)
        assert [task.id for task in stage.fake.tasks()] == [(await creating).id]
        assert len(stage.network.times("create")) == 4

    play(scene)


def test_a_claim_that_timed_out_orphans_its_task_for_one_short_lease_and_is_told() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(lease=6)

        @worker.handler("X")
        async def work(_job: Job[Any]) -> None: ...

        stage.network.fail("claim", reply_lost, None)
        task_id = stage.enqueue("X", {})
        async with stage.running(worker):
            await stage.clock.advance(15)
        (failed,) = [event for _, event in stage.events if isinstance(event, ClaimFailed)]
        assert failed.orphan
        assert stage.ended() == [(task_id, "completed")]

    play(scene)


@pytest.mark.parametrize("wait", [0, 10, 30])
def test_the_http_timeout_is_longer_than_the_longest_poll(wait: int) -> None:
    script = Script([reply(204)])
    script.run(operations.claim(script.core, ["X"], wait=wait))
    assert script.sent[0].timeout == wait + 30


@pytest.mark.parametrize(
    ("answers_", "error"),
    [
        ([refusal(401, "invalid token")], Unauthorized),
        ([refusal(403, "missing scope")], Forbidden),
        ([refusal(404, "not found")], TaskNotFound),
    ],
    ids=["401", "403", "404"],
)
def test_a_wait_hides_no_refusal_until_its_timeout(answers_: list[Reply], error: type[Exception]) -> None:
    script = Script(answers_)
    with pytest.raises(error):
        script.run(operations.wait_for_result(script.core, "t-1", 3600))
    assert not script.pauses


def test_a_wait_for_a_dead_letter_ends() -> None:
    async def scene(stage: Stage) -> None:
        task_id = stage.enqueue("X", {}, max_attempts=1)
        task = await stage.codeq.claim(["X"])
        assert task
        assert (await stage.codeq.nack(task, reason="no more")).dead
        with pytest.raises(TaskDead, match="no more"):
            await stage.codeq.wait_for_result(task_id)

    play(scene)


def test_queues_are_listed_in_the_servers_real_shape() -> None:
    async def scene(stage: Stage) -> None:
        sizes = await stage.codeq.queue_sizes()
        assert sizes["codeq:q:generate_master:pending:9"] == 0
        assert len(sizes) == 26

    play(scene)


def test_what_one_item_of_a_batch_met_is_kept() -> None:
    async def scene(stage: Stage) -> None:
        new = [NewTask(command="X", payload={}), NewTask(command="X", payload={}, webhook="ftp://no")]
        batch = await stage.codeq.create_batch(new)
        assert [type(item.error) for item in batch.rejected] == [BadRequest]
        assert (batch.rejected[0].index, len(batch.accepted)) == (1, 1)

    play(scene)


def run_for(seconds: float, break_it: Callable[[Stage], None]) -> Stage:
    async def scene(stage: Stage) -> None:
        worker: Worker = stage.worker(lease=30)

        @worker.handler("X")
        async def work(_job: Job[Any]) -> str:
            await stage.clock.sleep(25)
            return "done"

        stage.enqueue("X", {})
        break_it(stage)
        async with stage.running(worker):
            await stage.clock.advance(seconds)

    return play(scene)


def test_a_500_of_a_deleted_task_ends_the_heartbeats() -> None:
    stage = run_for(25, lambda stage: stage.network.fail("heartbeat", answers(500, "not-found")))
    assert len(stage.network.times("heartbeat")) == 1
    assert stage.ended()[0][1] == "lost"


def test_an_answer_that_is_no_json_is_not_asked_for_again() -> None:
    script = Script([Reply(200, {}, b"<html>")])
    with pytest.raises(BadReply, match="HTTP 200, but not a reply of CodeQ: '<html>'"):
        script.run(operations.get(script.core, "t-1"))


def test_a_result_that_was_not_taken_at_once_does_not_give_a_finished_task_back() -> None:
    stage = run_for(60, lambda stage: stage.network.fail("submit", request_lost, answers(500), reply_lost, None))
    assert not stage.network.times("nack")
    assert not stage.network.times("abandon")
    assert [settled for _, settled in stage.ended()] == ["completed"]


def test_a_claim_that_fails_ends_no_loop() -> None:
    stage = run_for(60, lambda stage: stage.network.fail("claim", answers(500), answers(401), request_lost, None))
    assert [settled for _, settled in stage.ended()][:1] == ["completed"]


def test_a_defect_in_a_renewal_does_not_end_the_heartbeats(caplog: pytest.LogCaptureFixture) -> None:
    async def defect(_request: Any, _forward: Any) -> Any:
        raise ZeroDivisionError

    stage = run_for(60, lambda stage: stage.network.fail("heartbeat", defect, None))
    assert "was not renewed, trying again" in caplog.text
    assert len(stage.network.times("heartbeat")) >= 2
    assert [settled for _, settled in stage.ended()] == ["completed"]


def test_no_second_claim_is_sent_while_a_long_poll_is_open() -> None:
    async def scene(stage: Stage) -> None:
        worker = stage.worker(poll=20, concurrency=4)

        @worker.handler("X")
        async def work(_job: Job[Any]) -> None: ...

        async with stage.running(worker):
            await stage.clock.advance(18)
            assert len(stage.network.times("claim")) == 1

    play(scene)
