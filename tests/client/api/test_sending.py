"""Which calls are retried after a failure, what each refusal means, and when tokens are renewed."""

from __future__ import annotations

import base64
import json
import math
import time  # noqa: TID251 - for the zone of the process
from collections.abc import Callable
from typing import Any

import pytest

from codeq_client import NewTask, Task
from codeq_client._api import calls, operations
from codeq_client._api.calls import Call, Role
from codeq_client._api.sending import Core, Flow
from codeq_client.errors import (
    BadReply,
    BadRequest,
    CodeQError,
    ConfigurationError,
    Forbidden,
    NotFound,
    NotInProgress,
    NotOwner,
    RateLimited,
    Refused,
    ResultNotFound,
    ServerError,
    SubjectChanged,
    SubscriptionNotFound,
    TaskNotFound,
    Unauthorized,
    Unavailable,
)
from tests.client.api.support import LOST, TASK, UNREACHED, Reply, ScriptedServer, refusal, reply

Make = Callable[[Core], Flow[Any]]


def create_all(core: Core) -> Flow[list[Task]]:
    return (yield from operations.create_batch(core, [NewTask(command="X", payload={})])).all()


REPEATABLE: dict[str, Make] = {
    "create": lambda core: operations.create(core, "X", {}),
    "create_batch": create_all,
    "heartbeat": lambda core: operations.heartbeat(core, "t-1"),
    "get": lambda core: operations.get(core, "t-1"),
    "result": lambda core: operations.result(core, "t-1"),
    "renew": lambda core: operations.renew_subscription(core, "s-1"),
    "queue_stats": lambda core: operations.queue_stats(core, "X"),
    "cleanup": operations.cleanup,
}
NOT_REPEATABLE: dict[str, Make] = {
    "create without a key": lambda core: operations.create(core, "X", {}, idempotency_key=""),
    "claim": lambda core: operations.claim(core, ["X"]),
    "claim_batch": lambda core: operations.claim_batch(core, ["X"]),
    "nack": lambda core: operations.nack(core, "t-1"),
    "abandon": lambda core: operations.abandon(core, "t-1"),
    "complete": lambda core: operations.complete(core, "t-1", {}),
    "subscribe": lambda core: operations.subscribe(core, "http://a.test/"),
}


@pytest.mark.parametrize("make", REPEATABLE.values(), ids=REPEATABLE)
@pytest.mark.parametrize(
    "failure",
    [LOST, UNREACHED, refusal(500, "boom"), refusal(429, "slow down")],
    ids=["lost", "unreached", "500", "429"],
)
def test_repeatable_calls_are_retried_up_to_the_limit(make: Make, failure: Reply | CodeQError) -> None:
    server = ScriptedServer([failure] * 4)
    with pytest.raises((Unavailable, ServerError, RateLimited)):
        server.run(make(server.core))
    assert len(server.sent) == 4
    assert len({send.call.body for send in server.sent}) == 1, "the same request, with the same idempotency key"


@pytest.mark.parametrize("make", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
@pytest.mark.parametrize("failure", [LOST, refusal(500, "boom")], ids=["lost", "500"])
def test_calls_that_may_have_been_accepted_are_not_retried(make: Make, failure: Reply | CodeQError) -> None:
    server = ScriptedServer([failure])
    with pytest.raises((Unavailable, ServerError)):
        server.run(make(server.core))


@pytest.mark.parametrize("make", NOT_REPEATABLE.values(), ids=NOT_REPEATABLE)
@pytest.mark.parametrize("failure", [UNREACHED, refusal(429, "slow down")], ids=["unreached", "429"])
def test_calls_that_were_certainly_not_accepted_are_retried(make: Make, failure: Reply | CodeQError) -> None:
    server = ScriptedServer([failure] * 4)
    with pytest.raises((Unavailable, RateLimited)):
        server.run(make(server.core))
    assert len(server.sent) == 4


@pytest.mark.parametrize("make", [*REPEATABLE.values(), *NOT_REPEATABLE.values()], ids=[*REPEATABLE, *NOT_REPEATABLE])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 302])
def test_a_refusal_is_not_repeated(make: Make, status: int) -> None:
    server = ScriptedServer([refusal(status, "no")])
    with pytest.raises(CodeQError):
        server.run(make(server.core))


def test_an_unreadable_answer_is_not_retried() -> None:
    server = ScriptedServer([reply(200, "?")])
    with pytest.raises(BadReply):
        server.run(operations.get(server.core, "t-1"))


def test_pauses_double_with_jitter_up_to_a_maximum() -> None:
    server = ScriptedServer([LOST] * 10, retries=9)
    with pytest.raises(Unavailable):
        server.run(operations.get(server.core, "t-1"))
    assert server.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0, 5.0]


def test_a_rate_limit_is_waited_out() -> None:
    server = ScriptedServer([refusal(429, "slow down", retry_after="7"), reply(200, TASK)])
    server.run(operations.get(server.core, "t-1"))
    assert server.pauses == [7.0]


@pytest.mark.parametrize("value", ["86400", "inf", "1e400"])
def test_a_retry_after_is_limited_to_a_minute(value: str) -> None:
    server = ScriptedServer([refusal(429, "slow down", retry_after=value), reply(200, TASK)])
    server.run(operations.get(server.core, "t-1"))
    assert server.pauses == [60.0]


@pytest.mark.parametrize(
    ("status", "value", "sent", "seconds"),
    [
        (429, "soon", "", 1.0),
        (429, "nan", "", 0.0),
        (429, "-5", "", 0.0),
        (503, "7", "", 7.0),
        (503, "", "", 0.0),
        (503, "Wed, 21 Oct 2026 07:28:09 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 9.0),
        (503, "Wednesday, 21-Oct-26 07:28:09 GMT", "Wed, 21 Oct 2026 07:28:00 GMT", 9.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:09 GMT", 0.0),
        (429, "Thu, 01 Jan 1970 00:16:45 GMT", "", 5.0),
        (429, "Wed, 99 Oct 2026 07:28:00 GMT", "", 1.0),
    ],
)
def test_a_retry_after_may_be_a_number_or_a_date(status: int, value: str, sent: str, seconds: float) -> None:
    server = ScriptedServer([refusal(status, "slow down", retry_after=value, date=sent)], retries=0)
    with pytest.raises(Refused) as caught:
        server.run(operations.get(server.core, "t-1"))
    assert caught.value.retry_after == seconds


def test_a_retry_after_without_a_zone_is_in_utc_wherever_the_client_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        sent = "Wed, 21 Oct 2026 07:28:00 GMT"
        answer = refusal(503, "slow down", retry_after="Wed Oct 21 07:28:09 2026", date=sent)
        server = ScriptedServer([answer], retries=0)
        with pytest.raises(Refused) as caught:
            server.run(operations.get(server.core, "t-1"))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert caught.value.retry_after == 9


def test_a_retry_after_of_a_503_is_heeded() -> None:
    server = ScriptedServer([refusal(503, "restarting", retry_after="7"), reply(200, TASK)])
    server.run(operations.get(server.core, "t-1"))
    assert server.pauses == [7.0]


@pytest.mark.parametrize(
    ("call", "status", "text", "error"),
    [
        (calls.get("t"), 404, "not found", TaskNotFound),
        (calls.result("t"), 404, "task not found", TaskNotFound),
        (calls.result("t"), 404, "result not found", ResultNotFound),
        (calls.heartbeat("t", extend=60), 500, "not-found", TaskNotFound),
        (calls.abandon("t"), 500, "not-found", TaskNotFound),
        (calls.nack("t", delay=0, reason=""), 404, "not-found", TaskNotFound),
        (calls.renew_subscription("s", ttl=1), 404, "not-found", SubscriptionNotFound),
        (calls.heartbeat("t", extend=60), 403, "not-owner", NotOwner),
        (calls.heartbeat("t", extend=60), 403, "missing scope", Forbidden),
        (calls.nack("t", delay=0, reason=""), 409, "not-in-progress", NotInProgress),
        (calls.queue_sizes(), 401, "unauthorized. Admin only", Unauthorized),
        (calls.claim(["X"], lease=60, wait=0), 500, "workerId is required", ServerError),
        (calls.claim(["X"], lease=60, wait=0), 400, "invalid body", BadRequest),
    ],
)
def test_a_refusal_is_recognized_by_status_and_message(
    call: Call[Any], status: int, text: str, error: type[CodeQError]
) -> None:
    server = ScriptedServer([refusal(status, text, x_request_id="r-1")], retries=0)
    with pytest.raises(error) as caught:
        server.run(server.core.send(call))
    assert type(caught.value) is error
    assert str(caught.value) == f"{text} (HTTP {status}, request r-1)"


def test_a_refusal_without_json_still_has_a_message() -> None:
    server = ScriptedServer([Reply(404, {}, b"404 page not found")])
    with pytest.raises(NotFound, match=r"404 page not found \(HTTP 404\)"):
        server.run(operations.get(server.core, "t-1"))


def token(subject: str, expires: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"sub": subject, "exp": expires}).encode()).decode().rstrip("=")
    return f"e30.{body}.signature"


def test_a_provider_is_called_once_and_again_before_its_token_expires() -> None:
    tokens = iter([token("w", 1100), token("w", 9000)])
    server = ScriptedServer([reply(204)] * 3, worker=lambda: next(tokens))
    for at in (1000, 1069, 1071):
        server.clock.now = at
        server.run(operations.claim(server.core, ["X"]))
    assert [send.token for send in server.sent] == [token("w", 1100), token("w", 1100), token("w", 9000)]


def test_a_token_that_lives_shortly_is_used_for_half_of_its_life() -> None:
    tokens = iter([token("w", 1020), token("w", 1031)])
    server = ScriptedServer([reply(204)] * 3, worker=lambda: next(tokens))
    for at in (1000, 1009, 1011):
        server.clock.now = at
        server.run(operations.claim(server.core, ["X"]))
    assert [send.token for send in server.sent] == [token("w", 1020), token("w", 1020), token("w", 1031)]


@pytest.mark.parametrize("claims", ['{"exp": %s}' % ("9" * 400), "[" * 50_000, '{"exp": "soon"}', "7"])
def test_a_token_whose_expiry_cannot_be_read_is_kept(claims: str) -> None:
    odd = f"e30.{base64.urlsafe_b64encode(claims.encode()).decode().rstrip('=')}.signature"
    tokens = iter([odd, "another"])
    server = ScriptedServer([reply(204)] * 2, worker=lambda: next(tokens))
    for _ in range(2):
        server.run(operations.claim(server.core, ["X"]))
    assert [send.token for send in server.sent] == [odd, odd]


def test_after_a_401_a_provider_is_called_once_more() -> None:
    tokens = iter("abc")
    server = ScriptedServer([refusal(401, "invalid token"), reply(204)], worker=lambda: next(tokens))
    assert server.run(operations.claim(server.core, ["X"])) is None
    assert [send.token for send in server.sent] == ["a", "b"]
    refused = ScriptedServer([refusal(401, "invalid token")] * 2, worker=lambda: "same")
    with pytest.raises(Unauthorized):
        refused.run(operations.claim(refused.core, ["X"]))


def test_a_401_for_an_old_token_does_not_discard_the_new_one() -> None:
    tokens = iter("ab")
    server = ScriptedServer([reply(204), reply(204)], worker=lambda: next(tokens))
    server.run(operations.claim(server.core, ["X"]))
    assert server.token(Role.WORKER).note_refusal("an older one")
    server.run(operations.claim(server.core, ["X"]))
    assert [send.token for send in server.sent] == ["a", "a"]


def test_a_failing_provider_leaves_a_valid_token_in_use() -> None:
    def provider() -> Any:
        return answers.pop(0)

    answers: list[object] = [token("w", 1100), Unavailable("no token today", sent=False)]
    server = ScriptedServer([reply(204)] * 2, worker=provider)
    server.run(operations.claim(server.core, ["X"]))
    server.clock.now = 1080
    server.run(operations.claim(server.core, ["X"]))
    assert [send.token for send in server.sent] == [token("w", 1100)] * 2


def test_a_changed_subject_is_refused_while_leases_are_held() -> None:
    answers = [token("w", 1100), token("other", 9000), token("other", 9000)]
    server = ScriptedServer([reply(204)] * 2, worker=lambda: answers.pop(0))
    server.run(operations.claim(server.core, ["X"]))
    held = server.token(Role.WORKER)
    held.hold()
    server.clock.now = 1200
    with pytest.raises(SubjectChanged):
        server.run(operations.claim(server.core, ["X"]))
    held.release()
    server.run(operations.claim(server.core, ["X"]))
    assert server.sent[-1].token == token("other", 9000)


def test_a_call_without_its_token_names_it() -> None:
    server = ScriptedServer([], worker="")
    with pytest.raises(ConfigurationError, match="worker token"):
        server.run(operations.claim(server.core, ["X"]))


def test_reads_use_the_workers_token_or_else_the_producers() -> None:
    with_worker, without = ScriptedServer([reply(200, TASK)]), ScriptedServer([reply(200, TASK)], worker="")
    with_worker.run(operations.get(with_worker.core, "t-1"))
    without.run(operations.get(without.core, "t-1"))
    assert [with_worker.sent[0].token, without.sent[0].token] == ["worker", "producer"]


def test_a_long_poll_has_an_http_timeout_beyond_its_wait() -> None:
    server = ScriptedServer([reply(204)])
    server.run(operations.claim(server.core, ["X"], wait=30))
    assert server.sent[0].timeout == 60


def test_a_hostile_text_is_short_and_printable_in_the_error() -> None:
    text = "\x1b[2J\x07" + "x" * 10_000_000
    for body in (reply(400, {"error": text}), Reply(400, {}, text.encode()), Reply(200, {}, text.encode())):
        server = ScriptedServer([body])
        with pytest.raises(CodeQError) as caught:
            server.run(operations.get(server.core, "t-1"))
        assert len(str(caught.value)) < 1000
        assert "\x1b" not in str(caught.value) + repr(caught.value)
    batch = ScriptedServer([reply(200, {"results": [{"error": text}]})])
    (rejected,) = batch.run(operations.create_batch(batch.core, [NewTask(command="X", payload={})])).rejected
    assert len(str(rejected.error)) < 1000
    assert f"({len(text)} characters)" in str(rejected.error)


def test_a_connection_has_as_long_as_the_request_unless_that_must_leave_before() -> None:
    server = ScriptedServer([reply(200, TASK)] * 3)
    for send_by in (math.inf, server.clock.now + 4, server.clock.now):
        server.run(server.core.send(calls.get("t-1"), send_by=send_by))
    assert [(step.timeout, step.connect) for step in server.sent] == [(30, 30), (30, 4), (30, 0.001)]
