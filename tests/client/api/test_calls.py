"""What each call sends, what it refuses to send, and how its answers are read."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from codeq_client import Artifact, NewTask, Requeued, Status, Task
from codeq_client._api import calls, operations, request_bodies
from codeq_client.errors import BadReply, ConfigurationError, EncodeError
from tests.client.api.support import TASK, ScriptedServer, reply


def test_create_sends_only_the_given_fields_and_a_new_key() -> None:
    server = ScriptedServer([reply(202, TASK), reply(202, TASK)])
    server.run(operations.create(server.core, "X", {"jobId": "1", "none": None}))
    server.run(operations.create(server.core, "X", {}))
    first, second = server.bodies()
    assert first.pop("idempotencyKey") != second.pop("idempotencyKey")
    assert first == {"command": "X", "payload": {"jobId": "1", "none": None}}


def test_create_sends_every_field() -> None:
    server = ScriptedServer([reply(202, TASK)])
    server.run(
        operations.create(
            server.core,
            "X",
            [1],
            priority=9,
            webhook="http://a.test/h",
            max_attempts=3,
            run_at=datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=2))),
            idempotency_key="k",
            trace_parent="00-a-b-01",
        )
    )
    assert server.bodies() == [
        {
            "command": "X",
            "payload": [1],
            "priority": 9,
            "webhook": "http://a.test/h",
            "maxAttempts": 3,
            "runAt": "2026-11-24T07:30:00+00:00",
            "idempotencyKey": "k",
        }
    ]
    assert dict(server.sent[0].call.headers)["traceparent"] == "00-a-b-01"


@pytest.mark.parametrize(("delay", "seconds"), [(2, 2), (0.2, 1), (timedelta(minutes=1), 60)])
def test_a_delay_is_rounded_up_to_whole_seconds(delay: float | timedelta, seconds: int) -> None:
    server = ScriptedServer([reply(202, TASK)])
    server.run(operations.create(server.core, "X", {}, delay=delay))
    assert server.bodies()[0]["delaySeconds"] == seconds


@pytest.mark.parametrize(
    ("new", "error"),
    [
        (NewTask(command=" ", payload={}), ConfigurationError),
        (NewTask(command="X", payload=None), EncodeError),
        (NewTask(command="X", payload={}, delay=-1), ConfigurationError),
        (NewTask(command="X", payload={}, delay=float("nan")), ConfigurationError),
        (NewTask(command="X", payload={}, run_at=datetime(2026, 1, 1)), ConfigurationError),  # noqa: DTZ001 - the point
        (NewTask(command="X", payload={}, delay=1, run_at=datetime(2027, 1, 1, tzinfo=UTC)), ConfigurationError),
    ],
)
def test_arguments_that_the_server_would_refuse_or_misread_are_not_sent(new: NewTask, error: type[Exception]) -> None:
    with pytest.raises(error):
        request_bodies.new_item(new, "key")


@pytest.mark.parametrize("task_id", ["", ".", "..", "a/b"])
def test_an_id_that_would_change_the_path_is_refused(task_id: str) -> None:
    with pytest.raises(ConfigurationError):
        calls.get(task_id)


def test_an_id_is_quoted_in_the_path() -> None:
    assert calls.get("a b?c").path == "/v1/codeq/tasks/a%20b%3Fc"


def test_a_heartbeat_never_asks_for_the_servers_default() -> None:
    with pytest.raises(ConfigurationError):
        calls.heartbeat("t-1", extend=0)


def test_a_string_is_not_a_list_of_commands() -> None:
    with pytest.raises(ConfigurationError):
        calls.claim("X", lease=60, wait=0)


def test_a_claim_waits_at_most_30_seconds() -> None:
    call = calls.claim(["X"], lease=60, wait=90)
    assert (call.wait, json.loads(call.body or b"")["waitSeconds"]) == (30, 30)


def test_artifacts_are_sent_by_url_or_by_content() -> None:
    server = ScriptedServer(
        [reply(200, {"taskId": "t-1", "status": "COMPLETED", "completedAt": "2026-11-24T00:00:00Z"})]
    )
    artifacts = [Artifact(name="a", url="http://x.test/a"), Artifact(name="b", content=b"\x00", content_type="x/y")]
    record = server.run(operations.complete(server.core, "t-1", {"ok": True}, artifacts=artifacts))
    assert server.bodies()[0]["artifacts"] == [
        {"name": "a", "url": "http://x.test/a"},
        {"name": "b", "contentType": "x/y", "contentBase64": base64.b64encode(b"\x00").decode()},
    ]
    assert record.result == {}, "an empty result object is left out by the server (S2)"


def test_a_failed_task_always_has_an_error_text() -> None:
    record = {"taskId": "t-1", "status": "FAILED", "error": "unknown error"}
    server = ScriptedServer([reply(200, record), reply(200, record)])
    server.run(operations.fail(server.core, "t-1", ""))
    server.run(operations.fail(server.core, "t-1", "  "))
    assert [body["error"] for body in server.bodies()] == ["unknown error", "unknown error"]


def test_a_task_is_read_with_its_payload_decoded_and_unknown_fields_kept() -> None:
    wire = {
        "id": "t-1",
        "command": "X",
        "payload": '{"camelCase":null,"snake_case":[1,2.5]}',
        "status": "PENDING",
        "lastKnownLocation": "DELAYED_ZSET",
        "createdAt": "2026-11-24T03:00:00.123456789-03:00",
        "maxAttempts": 5,
        "newField": {"a": 1},
    }
    server = ScriptedServer([reply(200, wire)])
    task = server.run(operations.get(server.core, "t-1"))
    assert task == Task(
        id="t-1",
        command="X",
        payload={"camelCase": None, "snake_case": [1, 2.5]},
        status=Status.PENDING,
        location="DELAYED_ZSET",
        created_at=datetime(2026, 11, 24, 6, 0, 0, 123456, tzinfo=UTC),
        max_attempts=5,
        extra={"newField": {"a": 1}},
    )


@pytest.mark.parametrize("body", [[], {"id": "t-1"}, {**TASK, "payload": "{"}, {**TASK, "createdAt": "noon"}, None])
def test_an_answer_that_is_not_a_task_is_a_bad_reply(body: object) -> None:
    server = ScriptedServer([reply(200, body)])
    with pytest.raises(BadReply):
        server.run(operations.get(server.core, "t-1"))


def test_nothing_to_claim_is_none() -> None:
    server = ScriptedServer([reply(204)])
    assert server.run(operations.claim(server.core, ["X"])) is None


def test_a_nack_returns_the_delay_or_that_the_task_is_dead() -> None:
    server = ScriptedServer(
        [reply(200, {"status": "dlq", "delaySeconds": 0}), reply(200, {"status": "requeued", "delaySeconds": 7})]
    )
    assert server.run(operations.nack(server.core, "t-1")) == Requeued(delay=0, dead=True)
    assert server.run(operations.nack(server.core, "t-1", delay=7)) == Requeued(delay=7, dead=False)


def test_admin_calls_are_read() -> None:
    stats = {"command": "X", "ready": 1, "delayed": 2, "inProgress": 3, "dlq": 4}
    server = ScriptedServer(
        [
            reply(200, {"codeq:q:x:dlq": 4}),
            reply(200, stats),
            reply(200, {"deleted": 2, "before": "2026-11-24T00:00:00Z"}),
        ]
    )
    assert server.run(operations.queue_sizes(server.core)) == {"codeq:q:x:dlq": 4}
    assert server.run(operations.queue_stats(server.core, "X")).in_progress == 3
    assert server.run(operations.cleanup(server.core, limit=5)).deleted == 2
    assert {send.token for send in server.sent} == {"producer"}, "the admin token defaults to the producer's (A8)"
