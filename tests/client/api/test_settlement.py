"""Settlement with lost answers: resolved by reading the task, never guessed, never repeated blindly."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_client import Requeued, Task
from codeq_client._api import calls, operations
from codeq_client._api.json_values import wrap_result
from codeq_client._api.settlement import RetryPolicy, end
from codeq_client.errors import LeaseLost, NotInProgress, NotOwner, TaskNotFound, Unavailable
from tests.client.api.support import LOST, TASK, UNREACHED, ScriptedServer, refusal, reply

CLAIMED = Task(id="t-1", command="X", status="IN_PROGRESS", attempts=1)
DONE = {"taskId": "t-1", "status": "COMPLETED", "result": {"ok": 1}, "completedAt": "2026-11-24T00:00:00Z"}


def now(status: str, attempts: int = 1, **more: Any) -> Any:
    return reply(200, {**TASK, "status": status, "attempts": attempts, **more})


def ended(result: object = None, **record: Any) -> Any:
    stored = {**DONE, **({"result": wrap_result(result)} if result is not None else {}), **record}
    return reply(200, {"task": {**TASK, "status": stored["status"]}, "result": stored})


def test_an_accepted_submit_whose_answer_was_lost_is_a_success() -> None:
    server = ScriptedServer([LOST, now("COMPLETED"), ended([1, 2.0])])
    record = server.run(operations.complete(server.core, CLAIMED, [1, 2]))
    assert record.result == [1, 2]
    assert server.paths == ["POST /tasks/t-1/result", "GET /tasks/t-1", "GET /tasks/t-1/result"]


def test_a_submit_that_was_lost_before_the_server_is_sent_again() -> None:
    server = ScriptedServer([LOST, now("IN_PROGRESS"), reply(200, DONE)])
    assert server.run(operations.complete(server.core, CLAIMED, {"ok": 1})).result == {"ok": 1}
    assert server.paths == ["POST /tasks/t-1/result", "GET /tasks/t-1", "POST /tasks/t-1/result"]


def test_a_submit_that_was_accepted_while_it_was_sent_again_is_a_success() -> None:
    server = ScriptedServer([LOST, now("IN_PROGRESS"), refusal(403, "not-owner"), now("COMPLETED"), ended()])
    assert server.run(operations.complete(server.core, CLAIMED, {"ok": 1})).result == {"ok": 1}


def test_a_lost_submit_after_which_another_worker_ended_the_task_is_a_lost_lease() -> None:
    server = ScriptedServer([LOST, now("COMPLETED", 3), ended({"ok": 2})])
    with pytest.raises(LeaseLost, match="another worker ended it: COMPLETED"):
        server.run(operations.complete(server.core, CLAIMED, {"ok": 1}))


@pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS"])
def test_a_lost_submit_is_not_repeated_into_another_workers_lease(status: str) -> None:
    server = ScriptedServer([LOST, now(status, 3)])
    with pytest.raises(LeaseLost, match=f"it was requeued, and is {status} now"):
        server.run(operations.complete(server.core, CLAIMED, {"ok": 1}))


def test_a_dead_letter_is_not_our_failure() -> None:
    server = ScriptedServer([LOST, now("FAILED", 3, lastKnownLocation="DLQ_SET")])
    with pytest.raises(LeaseLost):
        server.run(operations.fail(server.core, CLAIMED, "boom"))


def test_a_lost_failure_is_compared_by_its_error() -> None:
    server = ScriptedServer([LOST, now("FAILED"), ended(status="FAILED", error="boom")])
    assert server.run(operations.fail(server.core, CLAIMED, "boom")).error == "boom"
    other = ScriptedServer([LOST, now("FAILED"), ended(status="FAILED", error="bang")])
    with pytest.raises(LeaseLost):
        other.run(operations.fail(other.core, CLAIMED, "boom"))


@pytest.mark.parametrize(
    ("status", "text", "error"), [(403, "not-owner", NotOwner), (409, "not-in-progress", NotInProgress)]
)
def test_a_refusal_of_the_first_try_is_raised_without_reading_the_task(
    status: int, text: str, error: type[Exception]
) -> None:
    server = ScriptedServer([refusal(status, text)])
    with pytest.raises(error):
        server.run(operations.complete(server.core, CLAIMED, {}))


def test_a_task_that_was_deleted_meanwhile_is_reported() -> None:
    server = ScriptedServer([LOST, refusal(404, "not found")])
    with pytest.raises(TaskNotFound):
        server.run(operations.complete(server.core, CLAIMED, {}))


def test_a_request_that_was_never_sent_is_repeated_without_reading_the_task() -> None:
    server = ScriptedServer([UNREACHED, reply(200, DONE)])
    server.run(operations.complete(server.core, CLAIMED, {"ok": 1}))
    assert server.paths == ["POST /tasks/t-1/result"] * 2


@pytest.mark.parametrize("look", [LOST, refusal(500, "boom"), reply(200, "?")], ids=["lost", "500", "garbled"])
def test_a_failed_read_of_the_task_is_repeated(look: Any) -> None:
    server = ScriptedServer([LOST, look, now("IN_PROGRESS"), reply(200, DONE)])
    server.run(operations.complete(server.core, CLAIMED, {"ok": 1}))


def test_policy_ends_with_the_last_error() -> None:
    server = ScriptedServer([LOST] * 4)
    with pytest.raises(Unavailable):
        server.run(operations.complete(server.core, CLAIMED, {}))


@pytest.mark.parametrize(
    ("found", "requeued"),
    [
        (now("PENDING", 2), Requeued(delay=0, dead=False)),
        (now("FAILED", 2, lastKnownLocation="DLQ_SET"), Requeued(delay=0, dead=True)),
        (now("IN_PROGRESS", 3), Requeued(delay=0, dead=False)),
        (now("FAILED", 5, lastKnownLocation="DLQ_SET"), Requeued(delay=0, dead=False)),
    ],
    ids=["waiting", "dead", "claimed again", "dead later"],
)
def test_a_nack_that_was_accepted_but_whose_answer_was_lost_is_not_sent_again(found: Any, requeued: Requeued) -> None:
    server = ScriptedServer([LOST, found])
    assert server.run(operations.nack(server.core, CLAIMED)) == requeued


@pytest.mark.parametrize("found", [now("PENDING"), now("COMPLETED"), now("FAILED")], ids=["waits", "ended", "failed"])
def test_a_nack_that_did_not_requeue_the_task_is_a_lost_lease(found: Any) -> None:
    server = ScriptedServer([LOST, found])
    with pytest.raises(LeaseLost, match="not because of this NACK"):
        server.run(operations.nack(server.core, CLAIMED))


@pytest.mark.parametrize("found", [now("PENDING", 2), now("COMPLETED")], ids=["expired", "ended"])
def test_an_abandon_that_did_not_give_the_task_back_is_a_lost_lease(found: Any) -> None:
    server = ScriptedServer([LOST, found])
    with pytest.raises(LeaseLost, match="was not abandoned"):
        server.run(operations.abandon(server.core, CLAIMED))


@pytest.mark.parametrize("found", [now("PENDING"), now("IN_PROGRESS", 2)], ids=["waits", "claimed again"])
def test_an_abandon_whose_answer_was_lost_is_not_sent_again(found: Any) -> None:
    server = ScriptedServer([LOST, found])
    server.run(operations.abandon(server.core, CLAIMED))


def test_a_lost_abandon_is_sent_again_only_while_the_lease_is_ours() -> None:
    again = ScriptedServer([LOST, now("IN_PROGRESS"), reply(200, {"status": "requeued"})])
    again.run(operations.abandon(again.core, CLAIMED))
    assert again.paths == ["POST /tasks/t-1/abandon", "GET /tasks/t-1", "POST /tasks/t-1/abandon"]
    once = ScriptedServer([LOST, now("IN_PROGRESS", 2)])
    once.run(operations.abandon(once.core, CLAIMED))


def test_a_lost_answer_for_only_an_id_is_not_retried() -> None:
    server = ScriptedServer([LOST])
    with pytest.raises(Unavailable):
        server.run(operations.abandon(server.core, "t-1"))


def test_nothing_is_sent_once_the_policy_forbids_it() -> None:
    server = ScriptedServer([LOST])
    call = calls.submit("t-1", result={}, error="", artifacts=())
    policy = RetryPolicy(may_retry=lambda *_: True, may_send=lambda: not server.pauses)
    with pytest.raises(LeaseLost, match="it expired before"):
        server.run(end(server.core, CLAIMED, call, policy))
    assert len(server.sent) == 1
