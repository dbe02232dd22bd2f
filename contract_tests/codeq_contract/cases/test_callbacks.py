"""Section 11: the callback that tells a task's end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from codeq_contract.driver import TICK, TRACING, Answer, Received, Setup
from codeq_contract.recordings.format import signature
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case import Sighting, checks, needs, webhooks
from codeq_contract.suite.case_context import CaseContext, Hook

pytestmark = [webhooks, needs("webhooks")]

#: A text with all that callbacks escape differently from replies, and what they make of it.
ODD = '<&>\u2028\u2029\b\f\0\x1f\x7f\n\r\t"\\\\u003c\\\\b\\<\u00e9\ufffd'
IN_CALLBACKS = "<&>\u2028\u2029" + r"\u0008\u000c\u0000\u001f" + "\x7f" + r"\n\r\t\"\\\\u003c\\\\b\\<" + "\u00e9\ufffd"


@checks("W1.1", "W1.2", "W1.3", "W1.4", "W1.5", "W1.7", "W1.8", "W1.9", "W2.1")
def test_a_result_is_sent_to_the_webhook_of_its_task(contract: CaseContext) -> None:
    hook = contract.hook()
    task, record = completed(contract, hook, status="COMPLETED", result={"html": "<&>", "is": True, "n": 1})
    [callback] = received(contract, hook, 1)
    assert (callback.method, callback.headers["content-type"]) == ("POST", "application/json")
    assert b'"<&>"' in callback.body
    assert ordered(json.loads(callback.body)) == ordered(
        {
            "taskId": task["id"],
            "eventType": task["command"],
            "status": "COMPLETED",
            "result": {"html": "<&>", "is": True, "n": 1},
            "error": "",
            "artifacts": None,
            "completedAt": record["completedAt"],
        }
    )


@checks("W1.9", "W1.12")
@needs("artifacts")
def test_the_strings_of_a_callback_are_escaped_differently_from_those_of_a_reply(contract: CaseContext) -> None:
    hook, command = contract.hook(), contract.command() + ODD
    contract.producer.created(command, webhook=hook.url)
    fields = {"result": {ODD: [ODD, 1e21, 1e-7]}, "error": ODD, "artifacts": [{"name": ODD, "url": f"http://h/{ODD}"}]}
    contract.worker.submit(contract.worker.claimed(command), status="FAILED", **fields)
    [callback] = received(contract, hook, 1)
    for text in (
        f'"eventType":"{command.removesuffix(ODD)}{IN_CALLBACKS}"',
        f'"result":{{"{IN_CALLBACKS}":["{IN_CALLBACKS}",1e+21,1e-7]}}',
        f'"error":"{IN_CALLBACKS}"',
        f'"artifacts":[{{"name":"{IN_CALLBACKS}","url":"http://h/{IN_CALLBACKS}"}}]',
    ):
        assert text.encode() in callback.body


@checks("W1.3", "W1.4", "W1.5", "W1.8")
def test_a_failure_is_sent_with_its_error(contract: CaseContext) -> None:
    hook = contract.hook()
    task, record = completed(contract, hook, status="FAILED", error="it broke")
    [callback] = received(contract, hook, 1)
    assert json.loads(callback.body) == {
        "taskId": task["id"],
        "eventType": task["command"],
        "status": "FAILED",
        "result": None,
        "error": "it broke",
        "artifacts": None,
        "completedAt": record["completedAt"],
    }


@checks("W1.6")
@needs("artifacts")
def test_a_callback_names_the_artifacts_of_its_result(contract: CaseContext) -> None:
    hook, bare = contract.hook(), contract.hook()
    artifacts = [{"name": "a", "url": "https://x.test/?a&b"}, {"name": "b", "contentBase64": "aGVsbG8="}]
    _, record = completed(contract, hook, status="COMPLETED", result={}, artifacts=artifacts)
    [callback] = received(contract, hook, 1)
    assert len(record["artifacts"]) == 2
    assert json.loads(callback.body)["artifacts"] == record["artifacts"]
    completed(contract, bare, status="COMPLETED", result={}, artifacts=[])
    [callback] = received(contract, bare, 1)
    assert json.loads(callback.body)["artifacts"] is None


@checks("W1.11")
def test_a_refused_result_sends_no_callback(contract: CaseContext) -> None:
    hook = contract.hook()
    task = contract.leased(webhook=hook.url)
    assert contract.worker.submit(task, status="DONE", result={}).status == 400
    assert contract.worker.submit(task, status="COMPLETED").status == 400
    assert contract.worker.submit(task, status="FAILED", error="once").status == 200
    assert contract.worker.submit(task, status="COMPLETED", result={}).status == 409
    received(contract, hook, 1)
    contract.clock.sleep(1)
    assert [json.loads(callback.body)["error"] for callback in hook.received] == ["once"]


@checks("W1.10")
def test_no_callback_comes_before_the_end(contract: CaseContext) -> None:
    hook = contract.hook()
    command = contract.command()
    task = contract.producer.created(command, webhook=hook.url, maxAttempts=5)
    contract.worker.claimed(command)
    contract.worker.heartbeat(task, extendSeconds=60)
    contract.worker.abandon(task)
    contract.worker.claimed(command)
    contract.worker.nack(task, delaySeconds=1)
    contract.clock.sleep(2)
    assert contract.worker.seen(task)["status"] == "PENDING"
    assert hook.received == []


@checks("N4.7")
def test_no_callback_comes_for_a_dead_letter(contract: CaseContext) -> None:
    hook = contract.hook()
    task = contract.leased(webhook=hook.url, maxAttempts=1)
    contract.worker.nack(task)
    contract.clock.sleep(2)
    assert contract.worker.seen(task)["lastKnownLocation"] == "DLQ_SET"
    assert hook.received == []


@checks("S6.8")
@needs("batch")
def test_results_in_a_batch_of_known_tasks_call_no_webhook(contract: CaseContext) -> None:
    hook = contract.hook()
    task = contract.leased(webhook=hook.url)
    contract.worker.submit_batch([{"taskId": task["id"], "status": "COMPLETED", "result": {}}])
    contract.clock.sleep(1)
    assert hook.received == []


@checks("S6.10")
@needs("batch")
def test_results_in_a_batch_with_an_unknown_id_call_their_webhooks(contract: CaseContext) -> None:
    hook = contract.hook()
    item = {"taskId": contract.leased(webhook=hook.url)["id"], "status": "COMPLETED", "result": {}}
    contract.worker.submit_batch([{"taskId": "none", "status": "COMPLETED", "result": {}}, item])
    [callback] = received(contract, hook, 1)
    assert json.loads(callback.body)["taskId"] == item["taskId"]


@checks("W2.2", "W2.3", "W2.4")
@needs("known_settings")
def test_each_try_of_a_callback_has_a_new_signature(contract: CaseContext) -> None:
    hook = contract.hook(500, 500)
    completed(contract, hook)
    tries = received(contract, hook, 3)
    secret = contract.settings.callback_secret
    for callback in tries:
        stamp = callback.headers["x-codeq-timestamp"]
        assert callback.headers["x-codeq-signature"] == signature(secret, stamp, callback.body)
        assert contract.second_lies_before(callback, stamp)
    first, _, third = (int(callback.headers["x-codeq-timestamp"]) for callback in tries)
    assert third - first >= sum(pauses(contract)[:2]) // SECOND - 1


@checks("W2.5")
@needs("variants")
def test_without_a_secret_nothing_is_signed(contract: CaseContext) -> None:
    with contract.server({"WEBHOOK_HMAC_SECRET": ""}) as server:
        hook = server.hook()
        completed(server, hook)
        [callback] = received(server, hook, 1)
        assert not callback.headers.keys() & {"x-codeq-timestamp", "x-codeq-signature"}


@checks("W3.5", "W3.6", "W3.8", "W3.9", "W3.12")
@needs("known_settings")
def test_a_callback_is_tried_again_with_growing_pauses_and_then_given_up(contract: CaseContext) -> None:
    waits = pauses(contract)
    # Pauses count from before the result was sent: the suite may be late to see one request, and the next would seem
    # early.
    hook, began = contract.hook(*[503] * (len(waits) + 3)), contract.clock.now()
    completed(contract, hook)
    answered = contract.clock.now()
    tries = received(contract, hook, len(waits))
    check_pauses(contract, tries, waits, began=began, answered=answered)
    assert len({ordered(json.loads(callback.body)) for callback in tries}) == 1
    contract.clock.sleep(waits[-1] / SECOND + 2)
    assert len(hook.received) == len(waits)
    contract.saw(Sighting.CALLBACK_RETRY)


@checks("W3.5", "W3.6")
@needs("known_settings")
def test_callbacks_that_wait_at_once_are_each_tried_again_after_their_own_pause(contract: CaseContext) -> None:
    waits = pauses(contract)[:2]
    longer, shorter, began = contract.hook(503, 503), contract.hook(503), contract.clock.now()
    completed(contract, longer)
    answered = contract.clock.now()
    received(contract, longer, 2)
    # The one waits for its third try, which is due later, while the other waits for its second.
    began_shorter = contract.clock.now()
    completed(contract, shorter)
    answered_shorter = contract.clock.now()
    tries, tries_shorter = received(contract, longer, 3), received(contract, shorter, 2)
    check_pauses(contract, tries, waits, began=began, answered=answered)
    check_pauses(contract, tries_shorter, waits[:1], began=began_shorter, answered=answered_shorter)


@checks("W3.7")
@needs("variants")
def test_the_pauses_of_a_callback_are_capped(contract: CaseContext) -> None:
    settings = {"RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "7", "RESULT_WEBHOOK_MAX_BACKOFF_SECONDS": "8"}
    with contract.server(settings) as server:
        hook, began = server.hook(500, 500), server.clock.now()
        completed(server, hook)
        answered = server.clock.now()
        check_pauses(server, received(server, hook, 3), [7 * SECOND, 8 * SECOND], began=began, answered=answered)


@checks("W3.1")
def test_a_callback_that_is_answered_with_success_is_not_repeated(contract: CaseContext) -> None:
    hooks = [contract.hook(status) for status in (200, 201, 202, 204, 206, 226, 299)]
    for hook in hooks:
        completed(contract, hook)
    for hook in hooks:
        received(contract, hook, 1)
    contract.clock.sleep(3)
    assert [len(hook.received) for hook in hooks] == [1] * len(hooks)


@checks("W3.2", "W3.3", "W4.4")
@needs("known_settings")
def test_a_callback_that_is_answered_with_any_other_status_is_repeated(contract: CaseContext) -> None:
    statuses = (300, 304, 400, 401, 404, 408, 410, 422, 429, 499, 500, 501, 502, 503, 504, 599)
    hooks = [contract.hook(status) for status in statuses]
    for hook in hooks:
        completed(contract, hook)
    for hook in hooks:
        received(contract, hook, 2)


@checks("W3.4")
@needs("known_settings")
def test_a_callback_whose_connection_fails_is_repeated(contract: CaseContext) -> None:
    # The first connection must tell the suite of the try; nothing listens where it leads.
    hook = contract.hook(Answer(307, "http://127.0.0.1:1/"))
    completed(contract, hook)
    received(contract, hook, 2)


@checks("W3.10", "W3.11")
@needs("known_settings")
def test_a_callback_has_15_seconds_for_its_answer_and_its_result_does_not_wait(contract: CaseContext) -> None:
    never, slow = contract.hook(Answer(hangs=True)), contract.hook(Answer(after=13))
    began = contract.clock.now()
    for hook in (slow, never):
        asked = contract.clock.now()
        completed(contract, hook)
        assert contract.clock.now() - asked < 10 * SECOND
    answered = contract.clock.now()
    tries, wait = received(contract, never, 2), 15 * SECOND + pauses(contract)[0]
    check_pauses(contract, tries, [wait], began=began, answered=answered)
    assert len(slow.received) == 1


@checks("L1.15")
@needs("rate_limit", "variants")
def test_a_webhooks_rate_limit_delays_its_callbacks(contract: CaseContext) -> None:
    with contract.server({}, yaml="rateLimit: {webhook: {requestsPerMinute: 12, burstSize: 1}}\n") as server:
        hook, began = server.hook(), server.clock.now()
        for _ in range(2):
            completed(server, hook)
        first, second = received(server, hook, 2)
        assert second.at - began >= 5 * SECOND - TICK
        assert json.loads(first.body)["taskId"] != json.loads(second.body)["taskId"]


@checks("L1.15")
@needs("rate_limit", "variants")
def test_a_webhooks_rate_limit_delays_the_second_try_of_a_callback(contract: CaseContext) -> None:
    settings = {"RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "1"}
    with contract.server(settings, yaml="rateLimit: {webhook: {requestsPerMinute: 15, burstSize: 1}}\n") as server:
        hook = server.hook(500)
        completed(server, hook)
        first, second = received(server, hook, 2)
        assert second.at - first.at >= 4 * SECOND - TICK


@checks("W3.5", "W3.6", "W3.7")
@needs("long_waits", "variants")
def test_by_default_the_pauses_begin_with_2_seconds_and_grow_to_60(contract: CaseContext) -> None:
    with contract.other_server(Setup({"RESULT_WEBHOOK_MAX_ATTEMPTS": "8"})) as server:
        hook = server.hook(*[500] * 7)
        completed(server, hook)
        server.clock.sleep(2 + 4 + 8 + 16 + 32 + 60 + 60)
        tries = [each.at for each in hook.received]
        assert [(later - each) / SECOND for each, later in pairwise(tries)] == [2, 4, 8, 16, 32, 60, 60]


@checks("W2.6")
def test_a_callback_comes_from_the_http_client_of_go(contract: CaseContext) -> None:
    hook = contract.hook()
    completed(contract, hook)
    [callback] = received(contract, hook, 1)
    assert callback.headers["user-agent"] == "Go-http-client/1.1"
    assert callback.headers["accept-encoding"] == "gzip"


@checks("W4.8")
def test_what_follows_a_redirect_names_the_url_before_it_without_its_user(contract: CaseContext) -> None:
    end = contract.hook()
    middle = contract.hook(Answer(307, end.url))
    start = contract.hook(Answer(302, middle.url))
    contract.worker.submit(contract.leased(webhook=start.url.replace("://", "://user:secret@")))
    [last] = received(contract, end, 1)
    [first], [second] = start.received, middle.received
    assert "referer" not in first.headers
    assert [each.headers["referer"] for each in (second, last)] == [start.url, middle.url]


@checks("W4.1", "W4.2", "W4.7")
def test_a_redirect_keeps_the_post_or_makes_it_a_get(contract: CaseContext) -> None:
    for status, method in ((301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")):
        end = contract.hook()
        start = contract.hook(Answer(status, end.url))
        completed(contract, start)
        [redirected], [posted] = received(contract, end, 1), start.received
        assert (redirected.method, redirected.body) == (method, posted.body if method == "POST" else b""), status
        # Whether a GET keeps the content type depends on the Go that the server was built with.
        for name in ("x-codeq-timestamp", "x-codeq-signature", *(["content-type"] if method == "POST" else [])):
            assert redirected.headers.get(name) == posted.headers.get(name), (status, name)


@checks("W4.3")
@needs("known_settings")
def test_the_answer_at_the_end_of_redirects_decides(contract: CaseContext) -> None:
    sound, broken = contract.hook(), contract.hook(500)
    starts = [contract.hook(Answer(status, end.url)) for end in (sound, broken) for status in (303, 307)]
    for start in starts:
        completed(contract, start)
    # The first callback that came to the broken end was told to come again.
    contract.clock.eventually(lambda: sum(len(start.received) for start in starts) >= 5, within=contract.patience)
    contract.clock.sleep(2)
    assert [len(start.received) for start in starts[:2]] == [1, 1]
    assert sorted(len(start.received) for start in starts[2:]) == [1, 2]


@checks("W4.5", "W4.6")
@needs("known_settings")
def test_nine_redirects_are_followed_and_a_tenth_is_a_failure(contract: CaseContext) -> None:
    for redirects in (9, 10):
        end = contract.hook()
        hops = [end]
        for _ in range(redirects):
            hops.append(contract.hook(Answer(307, hops[-1].url)))
        completed(contract, hops[-1])
        # The last hook redirects only once, so its second request gets 200.
        if redirects == 9:
            received(contract, end, 1)
            contract.clock.sleep(3)
            assert [len(hop.received) for hop in hops] == [1] * 10
        else:
            received(contract, hops[-1], 2)
            assert [len(hop.received) for hop in hops] == [0, *[1] * 9, 2]


@checks("X1.7")
@needs("tracing", "variants")
def test_a_callback_carries_its_tasks_trace(contract: CaseContext) -> None:
    with contract.server(TRACING) as server:
        hook = server.hook()
        task, _ = completed(server, hook)
        [callback] = received(server, hook, 1)
        assert callback.headers["traceparent"].split("-")[1] == task["traceParent"].split("-")[1]


@checks("X1.8")
@needs("known_settings")
def test_without_tracing_a_callback_has_no_trace(contract: CaseContext) -> None:
    hook = contract.hook()
    completed(contract, hook)
    [callback] = received(contract, hook, 1)
    assert "traceparent" not in callback.headers


def completed(contract: CaseContext, hook: Hook, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A task with that webhook that has ended, and its record."""
    task = contract.leased(webhook=hook.url)
    reply = contract.worker.submit(task, **fields)
    assert reply.status == 200, reply
    return task, reply.json


def received(contract: CaseContext, hook: Hook, number: int) -> list[Received]:
    """The first `number` requests to the webhook, once they have come."""
    contract.clock.eventually(lambda: len(hook.received) >= number, within=contract.patience)
    return hook.received[:number]


def pauses(contract: CaseContext) -> list[int]:
    """The nanoseconds between the tries of a callback, and those after its last try if there were another (W3)."""
    base, cap = contract.settings.callback_base, contract.settings.callback_max
    return [min(base * 2**number, cap) * SECOND for number in range(contract.settings.callback_attempts)]


def check_pauses(
    contract: CaseContext, tries: Sequence[Received], waits: Sequence[int], *, began: int, answered: int
) -> None:
    """Check that each try came after its wait (ns): no earlier than counted from `began`, and not much later than that.

    Each may be late, and so may all after it. The first of them counts from the answer to the result.
    """
    earliest, latest = began, answered
    for callback, wait in zip(tries, [0, *waits], strict=False):
        earliest += wait
        assert earliest - TICK <= callback.at <= latest + wait + contract.time_bounds.lateness
        latest = callback.at


def ordered(value: object) -> str:
    """JSON with its keys in order, so that true is not 1 and 1 is not 1.0."""
    return json.dumps(value, sort_keys=True)
