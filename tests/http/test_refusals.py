"""Each refusal of the core on each route where it can occur: status, text, and no effect."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from codeq_fake.core import errors
from codeq_fake.http import OPERATIONS
from codeq_fake.http.limits import MOST_ARTIFACTS, MOST_COMMANDS
from codeq_fake.http.rejections import status_and_text
from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, SUBSCRIPTIONS, TASKS, Answer, ask, bearer

if TYPE_CHECKING:
    from codeq_fake.core.errors import Refused


class Row(NamedTuple):
    """A refused call. `path` may name the tasks `held` (by `worker`), `waiting`, `done` and `dead`."""

    operation: str
    refusal: type[Refused]
    status: int
    text: str
    path: str
    body: dict[str, Any] | None
    caller: str = "worker"

    @property
    def name(self) -> str:
        return f"{self.operation}-{self.refusal.__name__}-{self.path.rpartition('tasks')[2]}-{self.caller}"


HOOK = "http://hooks.test/"
GOOD: dict[str, Any] = {"command": "A", "payload": 1}
DONE = {"status": "COMPLETED", "result": {}}
BROKEN = {"name": "a.txt", "contentBase64": "?"}

ROWS = [
    # Create: C2, C3, C6.
    Row("create", errors.InvalidCommand, 400, "invalid command", TASKS, GOOD | {"command": " "}, "producer"),
    Row("create", errors.InvalidWebhook, 400, "invalid webhook url", TASKS, GOOD | {"webhook": "x"}, "producer"),
    Row("create", errors.InvalidRunAt, 400, "invalid 'runAt' (use RFC3339)", TASKS, GOOD | {"runAt": "x"}, "producer"),
    Row(
        "create",
        errors.InvalidDelay,
        400,
        "invalid 'delaySeconds' (must be >= 0)",
        TASKS,
        GOOD | {"delaySeconds": -1},
        "producer",
    ),
    # Claim: K1, A9.
    Row("claim", errors.EventTypeNotAllowed, 403, "event type not allowed", CLAIM, {"commands": ["A"]}, "packer"),
    Row("claim", errors.WorkerRequired, 500, "workerId is required", CLAIM, {"commands": ["A"]}, "nameless"),
    Row(
        "claim_batch",
        errors.EventTypeNotAllowed,
        403,
        "event type not allowed",
        f"{CLAIM}/batch",
        {"commands": ["A"], "count": 1},
        "packer",
    ),
    Row(
        "claim_batch",
        errors.WorkerRequired,
        500,
        "workerId is required",
        f"{CLAIM}/batch",
        {"commands": ["A"], "count": 1},
        "nameless",
    ),
    # A held task: H2, D2, N1, A9.
    *[
        Row(operation, errors.TaskNotFound, status, "not-found", f"{TASKS}/none/{operation}", {})
        for operation, status in (("heartbeat", 500), ("abandon", 500), ("nack", 404))
    ],
    Row("nack", errors.WorkerRequired, 500, "workerId is required", f"{TASKS}/none/nack", {}, "nameless"),
    *[
        Row(operation, errors.NotOwner, 403, "not-owner", f"{TASKS}/{task}/{operation}", {}, caller)
        for operation in ("heartbeat", "abandon", "nack")
        for task, caller in (("held", "other"), ("waiting", "worker"), ("done", "worker"), ("dead", "worker"))
    ],
    # Submit: S1, S5.
    Row("submit", errors.TaskNotFound, 404, "task not found", f"{TASKS}/none/result", DONE),
    Row("submit", errors.NotOwner, 403, "not-owner", f"{TASKS}/held/result", DONE, "other"),
    *[
        Row("submit", errors.NotInProgress, 409, "not-in-progress", f"{TASKS}/{task}/result", DONE)
        for task in ("waiting", "done", "dead")
    ],
    Row(
        "submit",
        errors.ArtifactUndecodable,
        400,
        "artifact a.txt base64 decode: illegal base64 data at input byte 0",
        f"{TASKS}/held/result",
        DONE | {"artifacts": [BROKEN]},
    ),
    Row(
        "submit",
        errors.ResultRequired,
        400,
        "result required when status=COMPLETED",
        f"{TASKS}/held/result",
        {"status": "COMPLETED"},
    ),
    Row(
        "submit",
        errors.ErrorRequired,
        400,
        "error required when status=FAILED",
        f"{TASKS}/held/result",
        {"status": "FAILED", "error": " "},
    ),
    Row("submit", errors.InvalidStatus, 400, "invalid status", f"{TASKS}/held/result", {"status": "DONE"}),
    # Reading: S7, S8.
    Row("get", errors.TaskNotFound, 404, "not found", f"{TASKS}/none", None),
    Row("result", errors.TaskNotFound, 404, "task not found", f"{TASKS}/none/result", None),
    *[
        Row("result", errors.ResultNotFound, 404, "result not found", f"{TASKS}/{task}/result", None)
        for task in ("held", "dead")
    ],
    # Subscriptions: U1, U2.
    Row("renew", errors.SubscriptionNotFound, 404, "not-found", f"{SUBSCRIPTIONS}/none/heartbeat", {}),
    Row("subscribe", errors.InvalidCallbackUrl, 400, "invalid callback url", SUBSCRIPTIONS, {"callbackUrl": "x"}),
    Row(
        "subscribe",
        errors.InvalidDeliveryMode,
        400,
        "invalid deliveryMode",
        SUBSCRIPTIONS,
        {"callbackUrl": HOOK, "deliveryMode": "some"},
    ),
    Row(
        "subscribe",
        errors.GroupRequired,
        400,
        "groupId is required",
        SUBSCRIPTIONS,
        {"callbackUrl": HOOK, "deliveryMode": "group"},
    ),
]


@pytest.fixture
def fake(codeq: FakeCodeQ) -> FakeCodeQ:
    """A fake with a task in each place."""
    codeq.next(ids=["dead", "done", "held", "waiting"])
    with codeq.client("worker") as worker:
        for max_attempts in (1, 5, 5, 5):
            codeq.enqueue("A", tenant="acme", max_attempts=max_attempts)
        for _ in range(3):
            worker.post(CLAIM, json={"commands": ["A"]})
        assert worker.post(f"{TASKS}/dead/nack", json={}).json()["status"] == "dlq"
        assert worker.post(f"{TASKS}/done/result", json=DONE).status_code == 200
    return codeq


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_refusal_has_its_status_and_text_and_changes_nothing(fake: FakeCodeQ, row: Row) -> None:
    method = "GET" if row.body is None else "POST"
    before = fake.state()
    with fake.client(row.caller) as client:
        reply = client.request(method, row.path, json=row.body)
    assert (reply.status_code, reply.json()) == (row.status, {"error": row.text})
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert fake.state() == before


def test_every_refusal_is_tested() -> None:
    of_main = {errors.InvalidTopic, errors.TopicNotFound, errors.ArtifactRefused}  # recordings show them
    assert {row.refusal for row in ROWS} == set(errors.Refused.__subclasses__()) - of_main


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_rows_name_the_operations_that_they_call(row: Row) -> None:
    assert row.operation in {operation.name for operation in OPERATIONS}
    if row.refusal is not errors.ArtifactUndecodable:
        assert status_and_text(row.refusal(), row.operation) == (row.status, row.text)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("command", " ", "invalid command"),
        ("webhook", "x", "invalid webhook url"),
        ("runAt", "x", "invalid 'runAt' (use RFC3339)"),
        ("delaySeconds", -1, "invalid 'delaySeconds' (must be >= 0)"),
    ],
)
def test_c9_an_item_of_a_batch_is_refused_with_the_same_text(
    fake: FakeCodeQ, field: str, value: object, text: str
) -> None:
    before = fake.state()
    with fake.client("producer") as producer:
        reply = producer.post(f"{TASKS}/batch", json={"tasks": [GOOD | {field: value}]})
    assert (reply.status_code, reply.json()) == (200, {"results": [{"error": text}]})
    assert fake.state() == before


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.operation == "submit" and row.refusal is not errors.ArtifactUndecodable],
    ids=lambda row: row.name,
)
def test_s6_an_item_of_a_batch_is_refused_with_the_same_text(fake: FakeCodeQ, row: Row) -> None:
    task_id = row.path.split("/")[-2]
    before = fake.state()
    with fake.client(row.caller) as client:
        reply = client.post(f"{TASKS}/batch/results", json={"results": [{"taskId": task_id, **(row.body or {})}]})
    assert (reply.status_code, reply.json()) == (200, {"results": [{"taskId": task_id, "error": row.text}]})
    assert fake.state() == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{TASKS}/claim", {"commands": ["A"]}),
        (f"{TASKS}/claim/batch", {"commands": ["A"], "count": 1}),
        (SUBSCRIPTIONS, {"eventTypes": ["A"], "callbackUrl": "http://127.0.0.1/"}),
    ],
)
def test_more_commands_than_a_request_may_name_are_refused(path: str, body: dict[str, Any]) -> None:
    """A million of them would hold up all others at each attempt of a long poll, and at each notice."""
    names = "eventTypes" if "eventTypes" in body else "commands"

    async def asked(count: int) -> Answer:
        content = json.dumps({**body, names: body[names] * count}).encode()
        return await ask(FakeCodeQ().app, "POST", path, [content], bearer("dev-token"))

    assert asyncio.run(asked(MOST_COMMANDS)).status < 300
    refused = asyncio.run(asked(MOST_COMMANDS + 1))
    assert (refused.status, refused.json) == (400, {"error": "commands exceed maximum of 10000"})


@pytest.mark.parametrize("path", ["held/result", "batch/results"])
def test_more_artifacts_than_a_request_may_have_are_refused_and_nothing_is_stored(fake: FakeCodeQ, path: str) -> None:
    """A hundred thousand of them would hold up all others for a second."""
    result: dict[str, Any] = {"taskId": "held", "status": "COMPLETED", "result": {}}
    halves = [{**result, "artifacts": [{"name": "a", "url": "u"}] * (MOST_ARTIFACTS // 2)} for _ in range(2)]
    whole = {**result, "artifacts": halves[0]["artifacts"] * 2}

    def body(*more: dict[str, str]) -> dict[str, Any]:
        if path == "batch/results":
            return {"results": [halves[0], {**halves[1], "artifacts": [*halves[1]["artifacts"], *more]}]}
        return {**whole, "artifacts": [*whole["artifacts"], *more]}

    before = fake.state()
    with fake.client("worker") as client:
        refused = client.post(f"{TASKS}/{path}", json=body({}))
        assert refused.status_code == 400
        assert refused.json() == {"error": f"artifacts exceed maximum of {MOST_ARTIFACTS}"}
        assert fake.state() == before
        assert client.post(f"{TASKS}/{path}", json=body()).status_code == 200
