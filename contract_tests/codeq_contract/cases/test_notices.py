"""Section 12: what queue-ready subscriptions are sent, and when.

No case waits for a notice: it has come before the create answers (U4.1).
"""

from __future__ import annotations

import json

from codeq_contract.cases.subscriptions import counts, subscribed, two_groups, with_retry
from codeq_contract.driver import TICK, Answer
from codeq_contract.recordings.format import signature
from codeq_contract.recordings.times import MILLISECOND, SECOND, parse_moment
from codeq_contract.suite.case import InconclusiveError, checks, needs, unless, webhooks
from codeq_contract.suite.case_context import CaseContext

pytestmark = [webhooks, needs("subscriptions", "webhooks")]


@checks("U3.1", "U4.1", "U4.2", "U4.3", "U4.4", "U4.5", "U4.6", "U4.7", "U4.8")
def test_a_task_in_an_empty_queue_causes_a_notice_before_create_answers(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscription = subscribed(contract, hook, command)
    created = contract.producer.create(command)
    [notice] = hook.received
    assert (notice.method, notice.headers["content-type"]) == ("POST", "application/json")
    body = json.loads(notice.body)
    assert contract.second_lies_after(created, 0, body.pop("sentAt"))
    assert body.pop("available") is True
    assert body == {
        "eventType": command,
        "queueDepth": 0,
        "claimUrl": "/v1/codeq/tasks/claim",
        "notificationId": f"ntf-{subscription}",
    }


@checks("U4.14")
def test_the_strings_of_a_notice_are_escaped_as_those_of_a_callback(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    odd, escaped = '<&>\u2028\b\f\0\n"\\', '<&>\u2028\\u0008\\u000c\\u0000\\n\\"\\\\'
    subscribed(contract, hook, command + odd)
    contract.producer.created(command + odd)
    assert f'"eventType":"{command}{escaped}"'.encode() in hook.received[0].body


@checks("U4.9")
@needs("known_settings")
def test_a_notice_is_signed(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command)
    contract.producer.created(command)
    [notice] = hook.received
    stamp = notice.headers["x-codeq-timestamp"]
    assert notice.headers["x-codeq-signature"] == signature(contract.settings.callback_secret, stamp, notice.body)
    assert contract.second_lies_before(notice, stamp)


@checks("U4.1", "U4.11")
def test_notices_are_sent_one_after_another_and_create_waits_for_each(contract: CaseContext) -> None:
    command, slow, quick = contract.command(), contract.hook(Answer(after=2)), contract.hook()
    subscribed(contract, quick, command, ttlSeconds=300)
    subscribed(contract, slow, command, ttlSeconds=200)
    created = contract.producer.create(command)
    assert len(slow.received) == len(quick.received) == 1
    assert slow.received[0].at + 2 * SECOND - TICK <= quick.received[0].at <= created.returned + TICK


@checks("U4.10")
def test_a_notice_is_tried_once(contract: CaseContext) -> None:
    commands, hooks = [contract.command() for _ in range(3)], [contract.hook(status) for status in (302, 404, 500)]
    for command, hook in zip(commands, hooks, strict=True):
        subscribed(contract, hook, command)
        contract.producer.created(command)
    contract.clock.sleep(3)
    assert counts(hooks) == [1, 1, 1]


@checks("U4.13")
def test_a_notice_follows_a_redirect(contract: CaseContext) -> None:
    for status, method in ((302, "GET"), (307, "POST")):
        command, end = contract.command(), contract.hook()
        subscribed(contract, contract.hook(Answer(status, end.url)), command)
        contract.producer.created(command)
        assert [notice.method for notice in end.received] == [method]


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


@checks("U5.4")
def test_an_interval_that_the_store_refuses_stops_the_notices_of_all(contract: CaseContext) -> None:
    alone, together = contract.command(), contract.command()
    refused, hook = contract.hook(), contract.hook()
    for command in (alone, together):
        subscribed(contract, refused, command, minIntervalSeconds=2**63 - 1)
    subscribed(contract, hook, together, minIntervalSeconds=1)
    for command in (alone, together):
        contract.producer.created(command)
    assert counts([refused, hook]) == [0, 0]


@checks("U5.6")
@unless("pebble")
def test_an_interval_of_no_nanoseconds_lets_one_notice_through(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command, minIntervalSeconds=2**55)
    for priority in range(2):
        contract.producer.created(command, priority=priority)
        contract.clock.sleep(1.5)
    assert len(hook.received) == 1


@checks("U5.5")
@unless("pebble")
def test_only_the_first_of_a_group_is_asked_with_its_interval(contract: CaseContext) -> None:
    for intervals, told in (((1, 2**63 - 1), 1), ((2**63 - 1, 1), 0)):
        command, hook = contract.command(), contract.hook()
        subscribed(contract, hook, command, minIntervalSeconds=1)
        for number, interval in enumerate(intervals):
            fields = {"deliveryMode": "group", "groupId": "g", "minIntervalSeconds": interval}
            subscribed(contract, contract.hook(), command, ttlSeconds=200 + 10 * number, **fields)
        contract.producer.created(command)
        assert counts([hook]) == [told]


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
    contract.worker.submit(task)
    contract.clock.sleep(1)
    assert hook.received == []


@checks("U3.7", "U3.9")
def test_a_queue_that_a_claim_emptied_causes_a_notice_at_the_next_new_task(contract: CaseContext) -> None:
    command, hook, key = contract.command(), contract.hook(), contract.names.key()
    subscribed(contract, hook, command, minIntervalSeconds=1)
    first = contract.producer.create(command, idempotencyKey=key)
    contract.worker.claimed(command)
    contract.wait_out(contract.time_bounds.throttle_end(first.called, first.returned, 1))
    assert contract.producer.created(command, idempotencyKey=key)["id"] == first.json["id"]
    assert len(hook.received) == 1
    contract.producer.created(command)
    assert len(hook.received) == 2


@checks("U3.8")
@needs("batch")
@unless("pebble")
def test_a_batch_of_tasks_causes_notices(contract: CaseContext) -> None:
    commands, hook = [contract.command(), contract.command()], contract.hook()
    for command in commands:
        subscribed(contract, hook, command)
    tasks = [{"command": command, "payload": {}} for command in (commands[0], commands[0], commands[1])]
    contract.producer.create_batch(tasks)
    assert [json.loads(notice.body)["eventType"] for notice in hook.received] == commands


@checks("U1.12")
def test_a_subscription_is_one_to_all_of_its_event_types(contract: CaseContext) -> None:
    commands, hooks = [contract.command(), contract.command()], [contract.hook(), contract.hook()]
    for hook, command in zip(hooks, commands, strict=True):
        contract.worker.subscribe(callbackUrl=hook.url, eventTypes=[contract.command(), *commands])
        contract.producer.created(command)
        assert json.loads(hook.received[-1].body)["eventType"] == command


@checks("U8.1", "C2.4", "U4.3")
@needs("tenants")
@unless("pebble")
def test_a_task_of_any_tenant_causes_a_notice_whatever_the_case_of_its_command(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscribed(contract, hook, command)
    contract.caller("other_producer").created(command.lower())
    assert json.loads(hook.received[0].body)["eventType"] == command.lower()


@checks("U1.9", "U1.10", "U5.1", "U5.2", "U5.3", "U6.1")
def test_without_a_mode_all_get_notices_and_without_an_interval_again_after_5_seconds(contract: CaseContext) -> None:
    command = contract.command()
    fields: list[dict[str, object]] = [
        {},
        {"minIntervalSeconds": 0, "deliveryMode": ""},
        {"minIntervalSeconds": -1, "deliveryMode": "fanout"},
        {"minIntervalSeconds": 3},
    ]
    hooks = [contract.hook() for _ in fields]
    for hook, given in zip(hooks, fields, strict=True):
        subscribed(contract, hook, command, **given)
    first = contract.producer.create(command)
    assert counts(hooks) == [1, 1, 1, 1]
    of_3, of_5 = (contract.time_bounds.throttle_end(first.called, first.returned, seconds) for seconds in (3, 5))
    contract.just_before(of_3)
    soon = contract.producer.create(command, priority=1)
    contract.surely_before(soon, of_3.earliest)
    assert counts(hooks) == [1, 1, 1, 1]
    contract.wait_out(of_3)
    then = contract.producer.create(command, priority=2)
    contract.surely_before(then, of_5.earliest)
    assert counts(hooks) == [1, 1, 1, 2]
    contract.just_before(of_5)
    soon = contract.producer.create(command, priority=3)
    contract.surely_before(soon, of_5.earliest)
    assert counts(hooks) == [1, 1, 1, 2]
    contract.wait_out(of_5)
    contract.producer.created(command, priority=4)
    assert counts(hooks[:3]) == [2, 2, 2]


@checks("U6.2", "U6.3")
def test_notices_are_sent_in_the_order_of_their_subscriptions_ends_and_ids(contract: CaseContext) -> None:
    command, hook, order = contract.command(), contract.hook(), []
    for seconds in (300, 250, 200, 200, 200, 200, 200, 250):
        reply = contract.worker.subscribe(callbackUrl=hook.url, eventTypes=[command], ttlSeconds=seconds)
        order.append((parse_moment(reply.json["expiresAt"]) // SECOND, reply.json["subscriptionId"]))
        contract.clock.sleep(0.001)
    contract.producer.created(command)
    assert [json.loads(notice.body)["notificationId"] for notice in hook.received] == [
        f"ntf-{subscription}" for _, subscription in sorted(order)
    ]


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
    assert counts(hooks) == [0, 0]
    contract.wait_out(contract.time_bounds.throttle_end(third.called, third.returned, pause))
    contract.producer.created(command, priority=3)
    assert counts(hooks) == [1, 0]


@checks("U6.4", "U6.5")
@unless("pebble")
def test_the_turns_of_a_group_of_three_go_round(contract: CaseContext) -> None:
    command = contract.command()
    hooks = [contract.hook() for _ in range(3)]
    for number, hook in enumerate(hooks):
        fields = {"deliveryMode": "group", "groupId": "g", "minIntervalSeconds": 1}
        subscribed(contract, hook, command, ttlSeconds=200 + 10 * number, **fields)
    # Turns of the second, the third and the first member.
    for priority, expected in enumerate((0, 0, 1, 1, 1, 2)):
        turn = contract.producer.create(command, priority=priority)
        assert counts(hooks) == [expected, 0, 0]
        contract.wait_out(contract.time_bounds.throttle_end(turn.called, turn.returned, 1))


@checks("U6.9")
def test_notices_to_all_come_before_those_to_groups_and_these_before_those_to_hashes(contract: CaseContext) -> None:
    command, hook = contract.command(), contract.hook()
    subscriptions = [
        subscribed(contract, hook, command, ttlSeconds=ttl, deliveryMode=mode, groupId="g")
        for mode, ttl in (("fanout", 220), ("group", 210), ("hash", 200))
    ]
    contract.producer.created(command)
    told = [json.loads(notice.body)["notificationId"] for notice in hook.received]
    assert told == [f"ntf-{subscription}" for subscription in subscriptions]


@checks("U6.6", "U6.7")
@unless("pebble")
def test_groups_have_separate_turns_for_each_id_and_command(contract: CaseContext) -> None:
    commands = [contract.command(), contract.command()]
    hooks = two_groups(contract, commands, minIntervalSeconds=1)
    # The first turn of each group and command is the second member's, and lost; the second turn is the first member's.
    for priority, command, expected in (
        (0, commands[0], [0, 0, 0, 0]),
        (0, commands[1], [0, 0, 0, 0]),
        (1, commands[0], [1, 0, 1, 0]),
        (1, commands[1], [2, 0, 2, 0]),
    ):
        turn = contract.producer.create(command, priority=priority)
        assert counts(hooks) == expected
        contract.wait_out(contract.time_bounds.throttle_end(turn.called, turn.returned, 1))


@checks("U6.8", "U7.3")
def test_a_hash_goes_by_the_minute_and_only_the_first_gets_notices(contract: CaseContext) -> None:
    command = contract.command()
    hooks = [contract.hook(), contract.hook()]
    for number, hook in enumerate(hooks):
        fields = {"deliveryMode": "hash", "groupId": str(number)}  # group ids do not matter here
        subscribed(contract, hook, command, ttlSeconds=200 + 10 * number, **fields)
    reply = contract.producer.create(command)
    minutes = {moment // (60 * SECOND) for moment in (reply.called - 2 * SECOND, reply.returned + 2 * SECOND)}
    if len(minutes) > 1:
        contract.clock.sleep(5)
        raise InconclusiveError("a minute began, or might have on the server")
    assert counts(hooks) == ([1, 0] if minutes.pop() % 2 == 0 else [0, 0])


@checks("U6.8", "U7.3")
@needs("long_waits")
def test_a_hash_has_a_turn_for_each_minute(contract: CaseContext) -> None:
    command = contract.command()
    hooks = [contract.hook() for _ in range(3)]
    for number, hook in enumerate(hooks):
        fields = {"deliveryMode": "hash", "minIntervalSeconds": 1}
        subscribed(contract, hook, command, ttlSeconds=600 + 10 * number, **fields)
    expected = 0
    for priority in range(6):
        expected += contract.clock.now() // (60 * SECOND) % 3 == 0
        contract.producer.created(command, priority=priority)
        assert counts(hooks) == [expected, 0, 0]
        contract.clock.sleep(60)
    assert expected == 2


@checks("U2.4", "U9.1", "U9.2")
def test_an_expired_subscription_gets_no_notice_until_it_is_renewed(contract: CaseContext) -> None:
    command, seconds = contract.command(), contract.seconds(4)
    hooks = [contract.hook(), contract.hook(), contract.hook()]
    longer = subscribed(contract, hooks[1], command, ttlSeconds=seconds, minIntervalSeconds=1)
    shorter = subscribed(contract, hooks[2], command, ttlSeconds=60 * seconds, minIntervalSeconds=1)
    contract.worker.renew(longer, ttlSeconds=60 * seconds)
    began = contract.worker.renew(shorter, ttlSeconds=seconds)
    expiring = subscribed(contract, hooks[0], command, ttlSeconds=seconds, minIntervalSeconds=1)
    subscribed_at = contract.clock.now()
    contract.clock.until(began.called + (seconds - 2) * SECOND)
    soon = contract.producer.create(command)
    contract.surely_before(soon, began.called + (seconds - 1) * SECOND)
    assert counts(hooks) == [1, 1, 1]
    # The end counts in whole seconds.
    contract.clock.until(subscribed_at + (seconds + 1) * SECOND + contract.time_bounds.lateness // 10)
    contract.producer.created(command, priority=1)
    assert counts(hooks) == [1, 2, 1]
    contract.worker.renew(expiring)
    again = contract.producer.create(command, priority=2)
    assert counts([hooks[0], hooks[2]]) == [2, 1], again


@checks("U9.1")
@needs("long_waits")
@unless("pebble")
def test_a_subscription_gets_notices_up_to_its_end_and_none_in_the_rest_of_that_second(contract: CaseContext) -> None:
    commands, hooks = [contract.command(), contract.command()], [contract.hook(), contract.hook()]
    ends = {
        contract.worker.subscribe(callbackUrl=hook.url, eventTypes=[command], ttlSeconds=3).json["expiresAt"]
        for command, hook in zip(commands, hooks, strict=True)
    }
    [end] = map(parse_moment, ends)  # the clock stands still
    assert end % SECOND + MILLISECOND < SECOND
    contract.clock.until(end)
    contract.producer.created(commands[0])
    contract.clock.until(end + MILLISECOND)
    contract.producer.created(commands[1])
    assert counts(hooks) == [1, 0]


@checks("U9.3", "U9.4")
@needs("variants")
def test_an_expired_subscription_of_a_built_in_command_is_swept(contract: CaseContext) -> None:
    with contract.server({"SUBSCRIPTION_CLEANUP_INTERVAL_SECONDS": "2"}) as server:
        kept = subscribed(server, server.hook(), server.command(), ttlSeconds=1)
        swept = subscribed(server, server.hook(), "GENERATE_MASTER", ttlSeconds=1)
        live = subscribed(server, server.hook(), "GENERATE_CREATIVE", ttlSeconds=60)
        if server.time_bounds.exact:
            at_the_sweep = subscribed(server, server.hook(), "GENERATE_MASTER", ttlSeconds=2)
            server.clock.sleep(2.001)
            assert server.worker.renew(at_the_sweep).status == 404
        server.clock.sleep(7)
        assert [server.worker.renew(each).status for each in (swept, live, kept)] == [404, 200, 200]


@checks("U9.5")
@needs("variants")
def test_the_sweep_comes_no_sooner_because_of_a_callback(contract: CaseContext) -> None:
    with contract.server({}) as server:
        expired = subscribed(server, server.hook(), "GENERATE_MASTER", ttlSeconds=1)
        with_retry(server)
        server.clock.sleep(2)
        assert server.worker.renew(expired).status == 200


@checks("U9.5")
@needs("variants", "long_waits")
def test_the_sweep_comes_every_minute(contract: CaseContext) -> None:
    with contract.server({}) as server:
        began = server.clock.now()
        swept, revived = (subscribed(server, server.hook(), "GENERATE_MASTER", ttlSeconds=1) for _ in range(2))
        server.clock.until(began + 60 * SECOND - MILLISECOND)
        assert server.worker.renew(revived, ttlSeconds=1).status == 200
        server.clock.until(began + 60 * SECOND + MILLISECOND)
        assert server.worker.renew(swept).status == 404
        server.clock.until(began + 120 * SECOND - MILLISECOND)
        assert server.worker.renew(revived, ttlSeconds=1).status == 200


@checks("U1.8", "U4.12")
@needs("variants")
def test_a_subscription_without_event_types_is_one_to_the_built_in_commands(contract: CaseContext) -> None:
    with contract.server({"WEBHOOK_HMAC_SECRET": ""}) as server:
        hooks = [server.hook(), server.hook()]
        server.worker.subscribe(callbackUrl=hooks[0].url, minIntervalSeconds=1)
        server.worker.subscribe(callbackUrl=hooks[1].url, minIntervalSeconds=1, eventTypes=[])
        for command in ("GENERATE_CREATIVE", server.command(), "GENERATE_MASTER"):
            reply = server.producer.create(command)
            server.wait_out(server.time_bounds.throttle_end(reply.called, reply.returned, 1))
        for hook in hooks:
            told = [json.loads(notice.body)["eventType"] for notice in hook.received]
            assert told == ["GENERATE_CREATIVE", "GENERATE_MASTER"]
            assert not hook.received[0].headers.keys() & {"x-codeq-timestamp", "x-codeq-signature"}
