"""Section 11: the callback that tells a task's end."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

from codeq_contract.driver import TRACING, Answer, Received
from codeq_contract.recordings.format import signature
from codeq_contract.recordings.times import SECOND
from codeq_contract.suite.case import Sighting, checks, needs, webhooks
from codeq_contract.suite.case_context import CaseContext, Hook

pytestmark = [webhooks, needs("webhooks")]

#: A timer may go off a tick early. Pauses count from before the result was sent: the suite may be late to see one
#: request, and the next would seem early.
TICK = SECOND // 10


@checks("W1.1", "W1.2", "W1.3", "W1.4", "W1.5", "W1.7", "W1.8", "W1.9", "W2.1")
def test_a_result_is_sent_to_the_webhook_of_its_task(contract: CaseContext) -> None:
    hook = contract.hook()
    task, record = completed(contract, hook, status="COMPLETED", result={"html": "<&>"})
    [callback] = received(contract, hook, 1)
    assert (callback.method, callback.headers["content-type"]) == ("POST", "application/json")
    assert b"<&>" in callback.body
    assert json.loads(callback.body) == {
        "taskId": task["id"],
        "eventType": task["command"],
        "status": "COMPLETED",
        "result": {"html": "<&>"},
        "error": "",
        "artifacts": None,
        "completedAt": record["completedAt"],
    }


@checks("W1.3", "W1.4", "W1.5")
def test_a_failure_is_sent_with_its_error(contract: CaseContext) -> None:
    hook = contract.hook()
    completed(contract, hook, status="FAILED", error="it broke")
    [callback] = received(contract, hook, 1)
    body = json.loads(callback.body)
    assert (body["status"], body["error"], body["result"]) == ("FAILED", "it broke", None)


@checks("W1.10", "N4.7")
def test_no_callback_comes_before_the_end_or_for_a_dead_letter(contract: CaseContext) -> None:
    hook = contract.hook()
    command = contract.command()
    task = contract.producer.created(command, webhook=hook.url, maxAttempts=3)
    contract.worker.claimed(command)
    contract.worker.heartbeat(task, extendSeconds=60)
    contract.worker.nack(task, delaySeconds=1)
    contract.eventually_claimed(contract.worker, command)
    contract.worker.nack(task)
    contract.clock.sleep(2)
    assert contract.worker.seen(task)["lastKnownLocation"] == "DLQ_SET"
    assert hook.received == []


@checks("S6.8", "S6.10")
@needs("batch")
def test_results_in_a_batch_of_known_tasks_call_no_webhook(contract: CaseContext) -> None:
    silent, told = contract.hook(), contract.hook()
    first, second = (contract.leased(webhook=hook.url) for hook in (silent, told))
    contract.worker.submit_batch([{"taskId": first["id"], "status": "COMPLETED", "result": {}}])
    item = {"taskId": second["id"], "status": "COMPLETED", "result": {}}
    contract.worker.submit_batch([{"taskId": "none", "status": "COMPLETED", "result": {}}, item])
    received(contract, told, 1)
    contract.clock.sleep(1)
    assert silent.received == []


@checks("W2.2", "W2.3")
@needs("known_settings")
def test_each_try_of_a_callback_has_a_new_signature(contract: CaseContext) -> None:
    hook = contract.hook(500)
    completed(contract, hook)
    first, second = received(contract, hook, 2)
    secret = contract.settings.callback_secret
    for callback in (first, second):
        stamp = callback.headers["x-codeq-timestamp"]
        assert callback.headers["x-codeq-signature"] == signature(secret, stamp, callback.body)
        assert abs(int(stamp) - callback.at // SECOND) <= contract.patience
    assert int(second.headers["x-codeq-timestamp"]) > int(first.headers["x-codeq-timestamp"]) - 1


@checks("W2.5")
@needs("variants")
def test_without_a_secret_nothing_is_signed(contract: CaseContext) -> None:
    with contract.server({"WEBHOOK_HMAC_SECRET": ""}) as server:
        hook = server.hook()
        completed(server, hook)
        [callback] = received(server, hook, 1)
        assert not callback.headers.keys() & {"x-codeq-timestamp", "x-codeq-signature"}


@checks("W3.2", "W3.3", "W3.5", "W3.12")
@needs("known_settings")
def test_a_callback_is_tried_again_with_growing_pauses(contract: CaseContext) -> None:
    hook, began = contract.hook(500, 404), contract.clock.now()
    completed(contract, hook)
    tries = received(contract, hook, 3)
    base, cap = contract.settings.callback_base, contract.settings.callback_max
    pauses = [min(base * 2**number, cap) * SECOND for number in range(2)]
    for told, pause in zip(tries, accumulate([0, *pauses]), strict=True):
        assert told.at - began >= pause - TICK
    assert len({json.loads(callback.body)["completedAt"] for callback in tries}) == 1
    contract.saw(Sighting.CALLBACK_RETRY)


@checks("W3.8", "W3.9")
@needs("known_settings")
def test_a_callback_is_given_up_after_its_tries(contract: CaseContext) -> None:
    tries = contract.settings.callback_attempts
    hook = contract.hook(*[503] * (tries + 3))
    completed(contract, hook)
    received(contract, hook, tries)
    contract.clock.sleep(2 * contract.settings.callback_max)
    assert len(hook.received) == tries


@checks("W3.1")
def test_a_callback_that_is_answered_is_not_repeated(contract: CaseContext) -> None:
    hook = contract.hook(204)
    completed(contract, hook)
    received(contract, hook, 1)
    contract.clock.sleep(3)
    assert len(hook.received) == 1


@checks("W3.10")
@needs("known_settings")
def test_a_callback_that_is_not_answered_in_15_seconds_is_tried_again(contract: CaseContext) -> None:
    hook, began = contract.hook(Answer(hangs=True)), contract.clock.now()
    completed(contract, hook)
    _, second = received(contract, hook, 2)
    assert second.at - began >= (15 + contract.settings.callback_base) * SECOND - TICK


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


@checks("W4.1", "W4.2")
def test_a_redirect_keeps_the_post_or_makes_it_a_get(contract: CaseContext) -> None:
    for status, method in ((301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")):
        end = contract.hook()
        start = contract.hook(Answer(status, end.url))
        completed(contract, start)
        [callback] = received(contract, end, 1)
        assert (callback.method, bool(callback.body)) == (method, method == "POST"), status


@checks("W4.4")
def test_a_redirect_without_a_location_is_a_failure(contract: CaseContext) -> None:
    for status in (300, 304):
        hook = contract.hook(status)
        completed(contract, hook)
        received(contract, hook, 2)


@checks("X1.7")
@needs("tracing", "variants")
def test_a_callback_carries_its_tasks_trace(contract: CaseContext) -> None:
    with contract.server(TRACING) as server:
        hook = server.hook()
        task, _ = completed(server, hook)
        [callback] = received(server, hook, 1)
        assert callback.headers["traceparent"].split("-")[1] == task["traceParent"].split("-")[1]


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
