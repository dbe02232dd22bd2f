"""Operations over several calls: batches beyond the server's limits, and waiting for a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from codeq_client import Artifact, NewTask, Rejected, Submission, Task
from codeq_client._api import operations, result_waiting
from codeq_client._api.sending import Send
from codeq_client.errors import (
    BadReply,
    BadRequest,
    ConfigurationError,
    DecodeError,
    EncodeError,
    Forbidden,
    LeaseLost,
    NoFreeConnection,
    NotInProgress,
    RateLimited,
    ServerError,
    TaskDead,
    TaskFailed,
    TaskNotFound,
    Unauthorized,
    Unavailable,
    WaitTimeout,
)
from tests.client.api.support import LOST, TASK, UNREACHED, Reply, ScriptedServer, refusal, reply


def created(count: int) -> Reply:
    return reply(200, {"results": [{"task": {**TASK, "id": f"t-{n}"}} for n in range(count)]})


def new(count: int) -> list[NewTask]:
    return [NewTask(command="X", payload=n) for n in range(count)]


def test_a_batch_beyond_the_limit_is_split_and_its_answers_are_joined() -> None:
    server = ScriptedServer([created(100), created(100), created(50)])
    batch = server.run(operations.create_batch(server.core, new(250)))
    assert [len(body["tasks"]) for body in server.bodies()] == [100, 100, 50]
    assert [task["payload"] for body in server.bodies() for task in body["tasks"]] == list(range(250))
    assert len(batch.all()) == 250
    keys = {task["idempotencyKey"] for body in server.bodies() for task in body["tasks"]}
    assert len(keys) == 250


def test_an_empty_batch_sends_nothing() -> None:
    server = ScriptedServer([])
    assert server.run(operations.create_batch(server.core, [])).items == ()


def test_rejected_batch_items_are_reported_by_index() -> None:
    answer = {"results": [{"task": TASK}, {"error": "invalid webhook url"}]}
    server = ScriptedServer([reply(200, answer)])
    batch = server.run(operations.create_batch(server.core, new(2)))
    assert [task.id for task in batch.accepted] == ["t-1"]
    (rejected,) = batch.rejected
    assert (rejected.index, str(rejected.error)) == (1, "invalid webhook url (HTTP 200)")
    with pytest.raises(BadRequest):
        batch.all()


def test_a_failed_part_of_a_batch_does_not_affect_the_others() -> None:
    server = ScriptedServer([created(100), LOST, created(1)], retries=0)
    batch = server.run(operations.create_batch(server.core, new(201)))
    assert len(batch.accepted) == 101
    assert [rejected.index for rejected in batch.rejected] == list(range(100, 200))


def test_a_batch_that_fails_as_a_whole_raises() -> None:
    server = ScriptedServer([refusal(403, "no")])
    with pytest.raises(Forbidden):
        server.run(operations.create_batch(server.core, new(3)))


def test_a_batch_claim_is_split_and_ends_at_the_first_short_answer() -> None:
    def claimed(count: int) -> Reply:
        return reply(200, {"tasks": [TASK] * count}) if count else reply(204)

    server = ScriptedServer([claimed(10), claimed(3)])
    assert len(server.run(operations.claim_batch(server.core, ["X"], count=25))) == 13
    assert [body["count"] for body in server.bodies()] == [10, 10]
    exact = ScriptedServer([claimed(10), claimed(2)])
    assert len(exact.run(operations.claim_batch(exact.core, count=12))) == 12
    none = ScriptedServer([claimed(0)])
    assert none.run(operations.claim_batch(none.core)) == []


def test_a_batch_claim_that_fails_late_returns_what_was_claimed() -> None:
    server = ScriptedServer([reply(200, {"tasks": [TASK] * 10}), LOST])
    assert len(server.run(operations.claim_batch(server.core, count=20))) == 10
    early = ScriptedServer([LOST])
    with pytest.raises(Unavailable):
        early.run(operations.claim_batch(early.core, count=20))


def task(number: int, **more: Any) -> Task:
    return Task(id=f"t-{number}", command="X", status="IN_PROGRESS", attempts=1, **more)


def stored(number: int) -> dict[str, Any]:
    return {"taskId": f"t-{number}", "status": "COMPLETED", "result": {"$value": number}}


def test_results_that_the_batch_route_would_truncate_are_sent_singly() -> None:
    submissions = [
        Submission(task(0), 0),
        Submission(task(1, webhook="http://a.test/"), 1),
        Submission(task(2), 2, artifacts=(Artifact(name="a", content=b"x"),)),
        Submission("t-3", 3),
        Submission(task(4), error="boom"),
    ]
    together = reply(
        200, {"results": [{"taskId": "t-0", "result": stored(0)}, {"taskId": "t-4", "error": "not-in-progress"}]}
    )
    server = ScriptedServer([together, reply(200, stored(1)), reply(200, stored(2)), reply(200, stored(3))])
    batch = server.run(operations.submit_batch(server.core, submissions))
    assert server.paths == ["POST /tasks/batch/results", *(f"POST /tasks/t-{n}/result" for n in (1, 2, 3))]
    assert server.bodies()[0] == {
        "results": [
            {"taskId": "t-0", "status": "COMPLETED", "result": {"$value": 0}},
            {"taskId": "t-4", "status": "FAILED", "error": "boom"},
        ]
    }
    assert [record.result for record in batch.accepted] == [0, 1, 2, 3]
    (rejected,) = batch.rejected
    assert (rejected.index, type(rejected.error)) == (4, NotInProgress)


def test_one_failing_result_does_not_lose_the_others() -> None:
    server = ScriptedServer([refusal(404, "task not found"), reply(200, stored(1))])
    batch = server.run(operations.submit_batch(server.core, [Submission("t-0", 0), Submission("t-1", 1)]))
    assert isinstance(batch.items[0], Rejected)
    assert [record.result for record in batch.accepted] == [1]


def test_an_item_that_cannot_be_sent_is_rejected_and_the_others_are_sent() -> None:
    items = [*new(3), NewTask(command="X", payload=None), NewTask(command=" ", payload=1), *new(98)]
    server = ScriptedServer([created(100), created(1)])
    batch = server.run(operations.create_batch(server.core, items))
    assert [len(body["tasks"]) for body in server.bodies()] == [100, 1]
    assert [(rejected.index, type(rejected.error)) for rejected in batch.rejected] == [
        (3, EncodeError),
        (4, ConfigurationError),
    ]
    assert len(batch.accepted) == 101
    unsent = ScriptedServer([])
    assert len(unsent.run(operations.create_batch(unsent.core, items[3:5])).rejected) == 2


def test_a_result_that_cannot_be_sent_is_rejected_and_the_others_are_sent() -> None:
    server = ScriptedServer([reply(200, {"results": [{"taskId": "t-0", "result": stored(0)}]}), reply(200, stored(2))])
    submissions = [
        Submission(task(0), 0),
        Submission(task(1), object()),
        Submission("t-2", 2),
        Submission("t-3", object()),
    ]
    batch = server.run(operations.submit_batch(server.core, submissions))
    assert [record.result for record in batch.accepted] == [0, 2]
    assert [(rejected.index, type(rejected.error)) for rejected in batch.rejected] == [
        (1, EncodeError),
        (3, EncodeError),
    ]


@pytest.mark.parametrize("failure", [LOST, refusal(502, "proxy"), reply(200, {"results": []})], ids=str)
def test_a_batch_of_results_whose_answer_is_lost_is_resolved_task_by_task(failure: Any) -> None:
    ours, counted = task(0), task(1)
    elsewhere = task(2)
    server = ScriptedServer(
        [
            failure,
            reply(200, {**TASK, "id": "t-0"}),  # still ours: the result is sent
            reply(200, stored(0)),
            reply(200, {**TASK, "id": "t-1", "status": "COMPLETED"}),  # the batch ended it
            reply(200, {"task": {**TASK, "status": "COMPLETED"}, "result": stored(1)}),
            reply(200, {**TASK, "id": "t-2", "attempts": 2}),  # another worker has it
        ]
    )
    submissions = [Submission(item, number) for number, item in enumerate([ours, counted, elsewhere])]
    batch = server.run(operations.submit_batch(server.core, submissions))
    assert [record.result for record in batch.accepted] == [0, 1]
    assert [(rejected.index, type(rejected.error)) for rejected in batch.rejected] == [(2, LeaseLost)]
    assert server.paths[1:4] == ["GET /tasks/t-0", "POST /tasks/t-0/result", "GET /tasks/t-1"]


def test_an_unavailable_server_is_not_called_for_each_task_of_a_lost_batch() -> None:
    server = ScriptedServer([LOST] * 5)
    batch = server.run(operations.submit_batch(server.core, [Submission(task(n), n) for n in range(9)]))
    assert [rejected.error for rejected in batch.rejected] == [LOST] * 9
    assert len(server.sent) == 5


def test_a_batch_of_results_that_was_not_sent_needs_no_resolving() -> None:
    server = ScriptedServer([UNREACHED], retries=0)
    with pytest.raises(Unavailable):
        server.run(operations.submit_batch(server.core, [Submission(task(0), 0)]))


@dataclass
class Master:
    url: str


def seen(status: str, **more: Any) -> Reply:
    return reply(200, {**TASK, "status": status, **more})


def result(**record: Any) -> Reply:
    return reply(200, {"task": {**TASK, "status": record["status"]}, "result": {"taskId": "t-1", **record}})


def test_waiting_polls_with_growing_pauses_and_returns_the_typed_result() -> None:
    done = result(status="COMPLETED", result={"url": "u"})
    server = ScriptedServer([seen("PENDING")] * 12 + [seen("COMPLETED"), done])
    assert server.run(result_waiting.wait_for_result(server.core, "t-1", 60, kind=Master)) == Master("u")
    assert server.pauses[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert server.pauses[-1] == 2.0


def test_waiting_polls_fast_again_after_a_change_of_the_task() -> None:
    states = [seen("PENDING", attempts=0)] * 6 + [seen("IN_PROGRESS")] * 2 + [seen("PENDING")] * 2
    server = ScriptedServer([*states, seen("COMPLETED"), result(status="COMPLETED", result={})])
    server.run(result_waiting.wait_for_result(server.core, "t-1", 60))
    assert server.pauses[4:] == pytest.approx([0.1 * 1.5**4, 0.1 * 1.5**5, 0.1, 0.15, 0.1, 0.15])


def test_a_wait_of_hours_polls_every_half_minute() -> None:
    server = ScriptedServer([seen("IN_PROGRESS")] * 1600)
    with pytest.raises(WaitTimeout):
        server.run(result_waiting.wait_for_result(server.core, "t-1", 36_000))
    assert max(server.pauses) == 30.0
    assert len(server.sent) < 1600  # every 2 s it would be 18,000
    waited = [sum(server.pauses[:count]) for count in range(len(server.pauses))]
    assert all(pause <= max(2.0, before / 50) for pause, before in zip(server.pauses, waited, strict=True))


@pytest.mark.parametrize("failure", [LOST, refusal(503, "down"), refusal(429, "slow", retry_after="3")])
def test_waiting_for_a_server_that_does_not_answer_ends_in_time(failure: Any) -> None:
    server = ScriptedServer([seen("PENDING"), *[failure] * 9], retries=9)
    with pytest.raises((Unavailable, ServerError, RateLimited)):
        server.run(result_waiting.wait_for_result(server.core, "t-1", 2))
    assert sum(server.pauses) <= 2
    assert all(send.timeout <= 2 for send in server.sent)


@pytest.mark.parametrize("failure", [LOST, UNREACHED, refusal(503, "down"), refusal(429, "slow", retry_after="3")])
def test_waiting_continues_through_an_outage(failure: Any) -> None:
    done = result(status="COMPLETED", result={"$value": 7})
    server = ScriptedServer([seen("PENDING"), *[failure] * 12, seen("COMPLETED"), *[failure] * 12, done], retries=0)
    assert server.run(result_waiting.wait_for_result(server.core, "t-1", 600)) == 7


def test_waiting_polls_a_last_time_at_its_end() -> None:
    server = ScriptedServer(
        [refusal(503, "down")] * 6 + [seen("COMPLETED"), result(status="COMPLETED", result={"$value": 7})]
    )
    assert server.run(result_waiting.wait_for_result(server.core, "t-1", 10)) == 7
    assert sum(server.pauses) == pytest.approx(10)


def test_waiting_continues_while_no_token_is_available() -> None:
    def provider() -> Any:
        return answers.pop(0)

    answers: list[object] = [Unavailable("no token now", sent=False), Unavailable("no token now", sent=False), "w"]
    server = ScriptedServer([seen("COMPLETED"), result(status="COMPLETED", result={"$value": 7})], worker=provider)
    assert server.run(result_waiting.wait_for_result(server.core, "t-1", 10)) == 7


def test_waiting_ends_at_its_timeout_with_the_last_state() -> None:
    server = ScriptedServer([seen("IN_PROGRESS")] * 10)
    with pytest.raises(WaitTimeout, match="is still IN_PROGRESS after 1 s") as caught:
        server.run(result_waiting.wait_for_result(server.core, "t-1", 1))
    assert isinstance(caught.value, TimeoutError)
    assert sum(server.pauses) == pytest.approx(1.0)


def test_waiting_for_a_dead_letter_ends_though_it_has_no_result() -> None:
    server = ScriptedServer([seen("FAILED", lastKnownLocation="DLQ_SET", error="MAX_ATTEMPTS")])
    with pytest.raises(TaskDead, match="MAX_ATTEMPTS"):
        server.run(result_waiting.wait_for_result(server.core, "t-1"))


def test_waiting_for_a_task_that_failed_raises_the_workers_error() -> None:
    server = ScriptedServer([seen("FAILED"), result(status="FAILED", error="no such master")])
    with pytest.raises(TaskFailed, match="no such master") as caught:
        server.run(result_waiting.wait_for_result(server.core, "t-1"))
    assert type(caught.value) is TaskFailed


def test_waiting_raises_a_refusal() -> None:
    for answers, error in (
        ([refusal(401, "invalid token")], Unauthorized),
        ([refusal(403, "no")], Forbidden),
        ([refusal(404, "not found")], TaskNotFound),
        ([reply(200, "a proxy's page")], BadReply),
    ):
        server = ScriptedServer(answers)
        with pytest.raises(error):
            server.run(result_waiting.wait_for_result(server.core, "t-1", 1000))


def test_a_result_of_another_type_is_a_decode_error() -> None:
    server = ScriptedServer([seen("COMPLETED"), result(status="COMPLETED", result={"$value": 3})])
    with pytest.raises(DecodeError):
        server.run(result_waiting.wait_for_result(server.core, "t-1", kind=Master))


def test_a_wait_whose_last_read_finds_no_connection_is_a_wait_timeout() -> None:
    server = ScriptedServer([reply(200, {**TASK, "status": "PENDING"})] * 3 + [UNREACHED])
    with pytest.raises(WaitTimeout, match=r"still PENDING after 0\.4 s"):
        server.run(result_waiting.wait_for_result(server.core, "t-1", 0.4))


@pytest.mark.parametrize(
    ("error", "raised"),
    [(NoFreeConnection("all are in use"), WaitTimeout), (Unavailable("no route", sent=False), Unavailable)],
    ids=["busy client", "outage"],
)
def test_a_busy_client_is_no_outage_of_the_server(error: Unavailable, raised: type[Exception]) -> None:
    def in_vain(send: Send) -> Any:
        server.clock.now += send.timeout
        return error

    server = ScriptedServer([reply(200, {**TASK, "status": "PENDING"}), *[in_vain] * 9])
    with pytest.raises(raised):
        server.run(result_waiting.wait_for_result(server.core, "t-1", 20))


def test_a_wait_that_never_reached_the_server_says_so() -> None:
    server = ScriptedServer([UNREACHED] * 50)
    with pytest.raises(Unavailable, match="connection refused"):
        server.run(result_waiting.wait_for_result(server.core, "t-1", 0.4))


def test_a_hostile_error_of_a_task_is_short_and_printable_in_the_exception_and_whole_in_its_message() -> None:
    text = "\x1b[2J" + "x" * 1_000_000
    server = ScriptedServer(
        [
            reply(200, {**TASK, "status": "FAILED", "location": "DLQ_SET", "error": text}),
            refusal(404, "result not found"),
        ]
    )
    with pytest.raises(TaskFailed) as caught:
        server.run(result_waiting.wait_for_result(server.core, "t-1", 1))
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)
    assert caught.value.message == text


FAILED: dict[str, Any] = {
    **TASK,
    "status": "FAILED",
    "payload": '{"a":1}',
    "priority": 3,
    "webhook": "http://a.test",
    "maxAttempts": 2,
    "lastKnownLocation": "DLQ_SET",
}


def test_a_dead_letter_is_created_again_with_all_that_it_was_created_with() -> None:
    server = ScriptedServer([reply(200, FAILED), reply(202, {**TASK, "id": "t-2"})])
    assert server.run(operations.recreate(server.core, "t-1")).id == "t-2"
    assert server.bodies()[-1] == {
        "command": "X",
        "payload": {"a": 1},
        "priority": 3,
        "webhook": "http://a.test",
        "maxAttempts": 2,
        "idempotencyKey": "recreated t-1",
    }


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (TASK, "task t-1 is IN_PROGRESS"),
        ({**TASK, "status": "COMPLETED"}, "task t-1 is COMPLETED"),
    ],
)
def test_another_task_is_not_created_again(task: dict[str, Any], message: str) -> None:
    server = ScriptedServer([reply(200, task)])
    with pytest.raises(ConfigurationError, match=message):
        server.run(operations.recreate(server.core, "t-1"))
