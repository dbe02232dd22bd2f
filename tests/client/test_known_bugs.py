"""Known bugs of CodeQ's official SDKs, one test for each; other tests cover the same in more detail."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_client import ClaimFailed, Job, NewTask, Worker
from codeq_client._api import operations, result_waiting
from codeq_client.errors import (
    BadReply,
    BadRequest,
    Forbidden,
    TaskDead,
    TaskNotFound,
    Unauthorized,
    Unavailable,
)
from tests.client.api.support import LOST, TASK, Reply, ScriptedServer, refusal, reply
from tests.client.support import Fault, Scenario, answers, reply_lost, request_lost

AWKWARD = {"snake_key": None, "camelKey": [None, {"Inner_Key": 1.5}], "": "", "ümlaut": "\u2028<&>"}


@pytest.mark.asyncio
async def test_no_key_inside_a_payload_or_a_result_is_renamed_and_no_none_is_dropped(scenario: Scenario) -> None:
    worker = scenario.worker()
    seen = []

    @worker.handler("X")
    async def work(job: Job[Any]) -> Any:
        seen.append(job.payload)
        return job.payload

    created = await scenario.codeq.create("X", AWKWARD)
    async with scenario.running(worker):
        await scenario.until_ended()
    assert seen == [AWKWARD]
    assert (await scenario.codeq.result(created.id)).record.result == AWKWARD


def test_a_payload_arrives_as_a_value_and_not_as_a_string() -> None:
    server = ScriptedServer([reply(200, {**TASK, "payload": '{"jobId":"1"}'})])
    task = server.run(operations.claim(server.core, ["X"]))
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
def test_a_post_that_may_have_been_accepted_is_not_sent_again(call: Any) -> None:
    server = ScriptedServer([LOST])
    with pytest.raises(Unavailable):
        server.run(call(server.core))


@pytest.mark.asyncio
async def test_a_create_that_timed_out_makes_one_task_even_if_it_is_sent_often(scenario: Scenario) -> None:
    scenario.network.fail("create", reply_lost, request_lost, answers(503), None)
    created = await scenario.finished(scenario.codeq.create("X", {}))
    assert [task.id for task in scenario.fake.tasks()] == [created.id]
    assert len(scenario.network.times("create")) == 4


@pytest.mark.asyncio
@pytest.mark.differs_on("main/pebble", "P6")
async def test_a_claim_that_timed_out_orphans_its_task_for_one_short_lease_and_is_reported(scenario: Scenario) -> None:
    worker = scenario.worker(lease=6)

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None: ...

    scenario.network.fail("claim", reply_lost, None)
    task_id = scenario.enqueue("X", {})
    async with scenario.running(worker):
        await scenario.clock.advance(15)
    (failed,) = [event for _, event in scenario.events if isinstance(event, ClaimFailed)]
    assert failed.orphan
    assert scenario.ended() == [(task_id, "completed")]


@pytest.mark.parametrize("wait", [0, 10, 30])
def test_the_http_timeout_is_longer_than_the_longest_poll(wait: int) -> None:
    server = ScriptedServer([reply(204)])
    server.run(operations.claim(server.core, ["X"], wait=wait))
    assert server.sent[0].timeout == wait + 30


@pytest.mark.parametrize(
    ("answers_", "error"),
    [
        ([refusal(401, "invalid token")], Unauthorized),
        ([refusal(403, "missing scope")], Forbidden),
        ([refusal(404, "not found")], TaskNotFound),
    ],
    ids=["401", "403", "404"],
)
def test_a_wait_raises_a_refusal_at_once(answers_: list[Reply], error: type[Exception]) -> None:
    server = ScriptedServer(answers_)
    with pytest.raises(error):
        server.run(result_waiting.wait_for_result(server.core, "t-1", 3600))
    assert not server.pauses


@pytest.mark.asyncio
async def test_a_wait_for_a_dead_letter_ends(scenario: Scenario) -> None:
    task_id = scenario.enqueue("X", {}, max_attempts=1)
    task = await scenario.codeq.claim(["X"])
    assert task
    assert (await scenario.codeq.nack(task, reason="no more")).dead
    with pytest.raises(TaskDead, match="no more"):
        await scenario.codeq.wait_for_result(task_id)


@pytest.mark.asyncio
@pytest.mark.differs_on("main/pebble", "P12")
async def test_queues_are_listed_in_the_servers_real_shape(scenario: Scenario) -> None:
    sizes = await scenario.codeq.queue_sizes()
    assert sizes["codeq:q:generate_master:pending:9"] == 0
    assert len(sizes) == 26


@pytest.mark.asyncio
async def test_the_error_of_one_batch_item_is_kept(scenario: Scenario) -> None:
    new = [NewTask(command="X", payload={}), NewTask(command="X", payload={}, webhook="ftp://no")]
    batch = await scenario.codeq.create_batch(new)
    assert [type(item.error) for item in batch.rejected] == [BadRequest]
    assert (batch.rejected[0].index, len(batch.accepted)) == (1, 1)


async def work_with_faults(scenario: Scenario, seconds: float, operation: str, *faults: Fault | None) -> None:
    """Run a worker with one task of 25 s while these faults happen to an operation."""
    worker: Worker = scenario.worker(lease=30)

    @worker.handler("X")
    async def work(_job: Job[Any]) -> str:
        await scenario.clock.sleep(25)
        return "done"

    scenario.enqueue("X", {})
    scenario.network.fail(operation, *faults)
    async with scenario.running(worker):
        await scenario.clock.advance(seconds)


@pytest.mark.asyncio
async def test_a_500_of_a_deleted_task_ends_the_heartbeats(scenario: Scenario) -> None:
    await work_with_faults(scenario, 25, "heartbeat", answers(500, "not-found"))
    assert len(scenario.network.times("heartbeat")) == 1
    assert scenario.ended()[0][1] == "lost"


def test_an_answer_that_is_not_json_is_not_retried() -> None:
    server = ScriptedServer([Reply(200, {}, b"<html>")])
    with pytest.raises(BadReply, match="HTTP 200, but not a reply of CodeQ: '<html>'"):
        server.run(operations.get(server.core, "t-1"))


@pytest.mark.asyncio
async def test_a_result_that_was_first_refused_does_not_give_a_finished_task_back(scenario: Scenario) -> None:
    await work_with_faults(scenario, 60, "submit", request_lost, answers(500), reply_lost, None)
    assert not scenario.network.times("nack")
    assert not scenario.network.times("abandon")
    assert [settled for _, settled in scenario.ended()] == ["completed"]


@pytest.mark.asyncio
async def test_a_claim_that_fails_ends_no_loop(scenario: Scenario) -> None:
    await work_with_faults(scenario, 60, "claim", answers(500), answers(401), request_lost, None)
    assert [settled for _, settled in scenario.ended()][:1] == ["completed"]


@pytest.mark.asyncio
async def test_a_bug_in_a_renewal_does_not_end_the_heartbeats(
    scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    async def defect(_request: Any, _forward: Any) -> Any:
        raise ZeroDivisionError

    await work_with_faults(scenario, 60, "heartbeat", defect, None)
    assert "was not renewed, trying again" in caplog.text
    assert len(scenario.network.times("heartbeat")) >= 2
    assert [settled for _, settled in scenario.ended()] == ["completed"]


@pytest.mark.asyncio
async def test_no_second_claim_is_sent_while_a_long_poll_is_open(scenario: Scenario) -> None:
    worker = scenario.worker(poll=20, concurrency=4)

    @worker.handler("X")
    async def work(_job: Job[Any]) -> None: ...

    async with scenario.running(worker):
        await scenario.clock.advance(18)
        assert scenario.network.times("claim") == [0, 0], "one that shows that the server answers, and the long poll"
