"""Section 12: what queue-ready subscriptions are sent, and when."""

from __future__ import annotations

import json
from typing import Any

from codeq_contract.driver import Reply
from codeq_contract.recordings.format import signature
from codeq_contract.recordings.times import SECOND, parse_moment
from codeq_contract.suite.case import InconclusiveError, checks, needs, webhooks
from codeq_contract.suite.case_context import CaseContext, Hook

pytestmark = [webhooks, needs("subscriptions", "webhooks")]


@checks("U3.1", "U4.1", "U4.3", "U4.4", "U4.5", "U4.6", "U4.7", "U4.8", "U4.9")
@needs("known_settings")
def test_a_task_in_an_empty_queue_causes_a_notice_before_create_answers(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscription = subscribed(contract, hook, command)
    contract.producer.created(command)
    [notice] = hook.received
    body = json.loads(notice.body)
    sent = parse_moment(body.pop("sentAt"))
    assert body == {
        "eventType": command,
        "available": True,
        "queueDepth": 0,
        "claimUrl": "/v1/codeq/tasks/claim",
        "notificationId": f"ntf-{subscription}",
    }
    assert abs(sent - notice.at) <= 5 * SECOND
    stamp = notice.headers["x-codeq-timestamp"]
    assert notice.headers["x-codeq-signature"] == signature(contract.settings.callback_secret, stamp, notice.body)


@checks("U4.10")
def test_a_notice_is_tried_once(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook(500)
    subscribed(contract, hook, command)
    contract.producer.created(command)
    contract.clock.sleep(3)
    assert len(hook.received) == 1


@checks("L1.16")
@needs("rate_limit", "variants")
def test_a_webhooks_rate_limit_drops_notices(contract: CaseContext) -> None:
    with contract.server({}, yaml="rateLimit: {webhook: {requestsPerMinute: 1, burstSize: 1}}\n") as server:
        hook, commands = server.hook(), [server.command(), server.command()]
        for command in commands:
            subscribed(server, hook, command)
        first, _ = (server.producer.create(command) for command in commands)
        contract.surely_before(first, hook.received[0].at + 60 * SECOND)
        assert [json.loads(notice.body)["eventType"] for notice in hook.received] == commands[:1]


@checks("U3.2", "U3.3", "U5.1", "U5.2")
def test_the_first_task_of_a_priority_causes_a_notice_but_not_too_often(contract: CaseContext) -> None:
    command, hook, pause = contract.command(), contract.hook(), contract.seconds(4)
    subscribed(contract, hook, command, minIntervalSeconds=pause)
    first = contract.producer.create(command)
    throttled = contract.time_bounds.throttle_end(first.called, first.returned, pause)
    soon = contract.producer.create(command, priority=1)
    contract.surely_before(soon, throttled.earliest)
    assert len(hook.received) == 1
    contract.wait_out(throttled)
    contract.producer.created(command)
    contract.producer.created(command, priority=1)
    assert len(hook.received) == 1
    contract.producer.created(command, priority=2)
    assert len(hook.received) == 2


@checks("U3.4", "U3.5", "U3.6")
@needs("known_settings")
def test_a_task_that_comes_back_or_becomes_due_causes_no_notice(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command, minIntervalSeconds=1)
    delayed = contract.producer.create(command, delaySeconds=2)
    contract.wait_out(contract.delay_end(delayed, 2))
    task = contract.worker.claimed(command)
    contract.worker.abandon(task)
    contract.worker.claimed(command)
    contract.worker.nack(task, delaySeconds=1)
    contract.eventually_claimed(contract.worker, command)
    assert hook.received == []


@checks("U8.1", "C2.4", "U4.3")
@needs("tenants")
def test_a_task_of_any_tenant_causes_a_notice_whatever_the_case_of_its_command(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command)
    contract.caller("other_producer").created(command.lower())
    assert json.loads(hook.received[0].body)["eventType"] == command.lower()


@checks("U6.1")
def test_fanout_subscriptions_get_notices_in_the_order_of_their_ends(contract: CaseContext) -> None:
    command, late, soon = contract.command(), contract.hook(), contract.hook()
    subscribed(contract, late, command, ttlSeconds=300)
    subscribed(contract, soon, command, ttlSeconds=200)
    contract.producer.created(command)
    assert len(late.received) == len(soon.received) == 1
    assert soon.received[0].at <= late.received[0].at


@checks("U6.4", "U6.5", "U7.1", "U7.2")
def test_the_second_of_a_group_has_the_first_turn_and_gets_no_notice(contract: CaseContext) -> None:
    command, pause = contract.command(), contract.seconds(4)
    hooks = [contract.hook(), contract.hook()]
    for number, hook in enumerate(hooks):
        fields = {"deliveryMode": "group", "groupId": "g", "minIntervalSeconds": pause}
        subscribed(contract, hook, command, ttlSeconds=200 + 10 * number, **fields)
    lost = contract.producer.create(command)
    throttled = contract.time_bounds.throttle_end(lost.called, lost.returned, pause)
    soon = contract.producer.create(command, priority=1)
    contract.surely_before(soon, throttled.earliest)
    assert counts(hooks) == [0, 0]
    contract.wait_out(throttled)
    # Turns: 1 to the second, 2 to the first but throttled, 3 to the second, 4 to the first.
    third = contract.producer.create(command, priority=2)
    contract.wait_out(contract.time_bounds.throttle_end(third.called, third.returned, pause))
    contract.producer.created(command, priority=3)
    assert counts(hooks) == [1, 0]


@checks("U6.8", "U7.3")
def test_a_hash_goes_by_the_minute_and_only_the_first_gets_notices(contract: CaseContext) -> None:
    command = contract.command()
    hooks = [contract.hook(), contract.hook()]
    for number, hook in enumerate(hooks):
        subscribed(contract, hook, command, ttlSeconds=200 + 10 * number, deliveryMode="hash")
    reply = contract.producer.create(command)
    minutes = {moment // (60 * SECOND) for moment in (reply.called - 2 * SECOND, reply.returned + 2 * SECOND)}
    if len(minutes) > 1:
        contract.clock.sleep(5)
        raise InconclusiveError("a minute began, or might have on the server")
    assert counts(hooks) == ([1, 0] if minutes.pop() % 2 == 0 else [0, 0])


@checks("U9.1", "U9.2")
def test_an_expired_subscription_gets_no_notice_until_it_is_renewed(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscription = subscribed(contract, hook, command, ttlSeconds=2, minIntervalSeconds=1)
    contract.clock.sleep(4)
    contract.producer.created(command)
    assert hook.received == []
    assert contract.worker.renew(subscription).status == 200
    contract.producer.created(command, priority=1)
    assert len(hook.received) == 1


@checks("U9.3", "U9.4")
@needs("long_waits", "variants")
def test_an_expired_subscription_of_a_built_in_command_is_swept(contract: CaseContext) -> None:
    with contract.server({"SUBSCRIPTION_CLEANUP_INTERVAL_SECONDS": "60"}) as server:
        swept = subscribed(server, server.hook(), "GENERATE_MASTER", ttlSeconds=1)
        kept = subscribed(server, server.hook(), server.command(), ttlSeconds=1)
        server.clock.sleep(130)
        assert [server.worker.renew(swept).status, server.worker.renew(kept).status] == [404, 200]


@checks("U1.8")
@needs("variants")
def test_a_subscription_without_event_types_is_one_to_the_built_in_commands(contract: CaseContext) -> None:
    with contract.server({}) as server:
        hook = server.hook()
        assert server.worker.subscribe(callbackUrl=hook.url, minIntervalSeconds=1).status == 200
        server.producer.created("GENERATE_CREATIVE")
        server.producer.created(server.command())
        assert [json.loads(notice.body)["eventType"] for notice in hook.received] == ["GENERATE_CREATIVE"]


def subscribed(contract: CaseContext, hook: Hook, command: str, **fields: Any) -> str:
    """The id of a new subscription to the command."""
    reply: Reply = contract.worker.subscribe(callbackUrl=hook.url, eventTypes=[command], **fields)
    assert reply.status == 200, reply
    subscription: str = reply.json["subscriptionId"]
    return subscription


def counts(hooks: list[Hook]) -> list[int]:
    """How many notices each got."""
    return [len(hook.received) for hook in hooks]
