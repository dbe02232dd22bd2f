"""Queue-ready subscriptions (U1 to U9)."""

from __future__ import annotations

from typing import Any

import pytest

from codeq_fake.core import PROFILES, RateLimit, errors
from codeq_fake.core.effects import NoticeDue
from codeq_fake.core.times import MILLISECOND, MINUTE, SECOND
from tests.core.support import HOOK, START, Server


def heard(server: Server, command: str = "A", **request: Any) -> list[str]:
    """Who hears of a create into an empty queue, which is empty again afterwards."""
    task = server.create(command, **request)
    server.leased(command, tenant=task.tenant)
    return server.notified()


@pytest.mark.parametrize("url", ["", "hooks.test", "ftp://hooks.test/", "http://"])
def test_u1_a_callback_url_that_is_no_absolute_http_url_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidCallbackUrl):
        Server().subscribe(url, delivery_mode="some")


@pytest.mark.parametrize("mode", ["some", "FANOUT", " "])
def test_u1_a_mode_that_is_none_is_refused(mode: str) -> None:
    with pytest.raises(errors.InvalidDeliveryMode):
        Server().subscribe(delivery_mode=mode)


def test_u1_a_group_needs_an_id() -> None:
    server = Server()
    with pytest.raises(errors.GroupRequired):
        server.subscribe(delivery_mode="group")
    server.subscribe(delivery_mode="group", group_id=" ")
    server.subscribe(delivery_mode="hash")


def test_u1_defaults() -> None:
    server = Server()
    subscription = server.broker.subscribe(HOOK, now=server.now)
    assert subscription.commands == ("generate_master", "generate_creative")
    assert (subscription.mode, subscription.interval) == ("fanout", 5)
    assert subscription.expires_at == START + 300 * SECOND


@pytest.mark.parametrize("asked", [0, -1])
def test_u1_what_is_not_positive_is_the_default(asked: int) -> None:
    server = Server()
    subscription = server.broker.subscribe(HOOK, ttl_seconds=asked, min_interval_seconds=asked, now=server.now)
    assert (subscription.expires_at, subscription.interval) == (START + 300 * SECOND, 5)


def test_u2_a_renewal_gives_a_new_expiry() -> None:
    server = Server()
    subscription = server.subscribe(ttl_seconds=60)
    server.wait(10)
    renewed = server.broker.renew_subscription(subscription, ttl_seconds=60, now=server.now)
    assert (renewed.id, renewed.expires_at) == (subscription, START + 70 * SECOND)
    assert server.broker.renew_subscription(subscription, now=server.now).expires_at == START + 310 * SECOND


def test_u2_an_unknown_subscription_is_refused() -> None:
    with pytest.raises(errors.SubscriptionNotFound):
        Server().broker.renew_subscription("missing", now=START)


def test_u3_a_create_into_an_empty_queue_notifies() -> None:
    server = Server()
    subscription = server.subscribe(event_types=("Pack",), min_interval_seconds=1)
    server.create("PACK")
    assert server.effects() == [NoticeDue(subscription, HOOK, "PACK")]


def test_u3_a_create_beside_another_task_of_its_priority_is_silent() -> None:
    server = Server()
    server.subscribe(min_interval_seconds=1)
    server.create(priority=3)
    server.wait(2)
    assert len(server.notified()) == 1
    server.create(priority=3)
    assert server.notified() == []
    server.create(priority=4)
    assert len(server.notified()) == 1


def test_u3_a_create_of_another_command_or_tenant_has_its_own_queue() -> None:
    server = Server()
    server.subscribe(event_types=("A", "B"), min_interval_seconds=1)
    for command, tenant in (("A", "acme"), ("B", "acme"), ("A", "beta")):
        server.create(command, tenant=tenant)
        server.wait(1)
    assert len(server.notified()) == 3


def test_u3_what_comes_due_or_is_given_back_is_silent() -> None:
    server = Server()
    server.subscribe(ttl_seconds=3600, min_interval_seconds=1)
    task = server.create(delay_seconds=1)
    server.wait(1)
    server.leased()
    server.broker.abandon(task.id, worker="w-1", now=server.now)
    server.leased(lease_seconds=1)
    server.broker.nack(task.id, worker="w-1", delay_seconds=1, now=server.now)
    server.wait(1)
    server.leased()
    assert server.notified() == []


def test_u5_a_subscription_hears_once_in_its_interval() -> None:
    server = Server()
    subscription = server.subscribe(min_interval_seconds=5)
    assert heard(server) == [subscription]
    server.wait(4.999)
    assert heard(server) == []
    server.wait(ms=1)
    assert heard(server) == [subscription]


def test_u5_an_interval_that_wraps_around_to_no_time_never_ends() -> None:
    server = Server()
    subscription = server.subscribe(ttl_seconds=7200, min_interval_seconds=2**55)
    assert heard(server) == [subscription]
    server.wait(3600)
    assert heard(server) == []


def test_u5_the_interval_is_rounded_as_the_store_rounds() -> None:
    server = Server("kvrocks-2.8", now=START + 500 * MILLISECOND)
    server.subscribe(min_interval_seconds=1)
    assert len(heard(server)) == 1
    server.wait(ms=499)
    assert heard(server) == []
    server.wait(ms=1)  # K8: 1.5 s, rounded down
    assert len(heard(server)) == 1


def test_u6_active_subscriptions_are_ordered_by_expiry_second_then_id() -> None:
    server = Server()
    last = server.subscribe(ttl_seconds=61)
    server.wait(ms=900)
    second = server.subscribe(ttl_seconds=59)  # 59.900
    server.wait(ms=200)
    third = server.subscribe(ttl_seconds=58)  # 59.100
    first = server.subscribe(ttl_seconds=57)
    assert heard(server) == [first, second, third, last]


def test_u6_fanout_lets_all_hear_of_what_is_theirs() -> None:
    server = Server()
    both = server.subscribe(event_types=("A", "B"))
    server.subscribe(event_types=("B",))
    mine = server.subscribe(event_types=("a",))
    assert heard(server) == [both, mine]


def test_u6_a_group_takes_turns_and_the_second_comes_first() -> None:
    server = Server()
    members = [
        server.subscribe(delivery_mode="group", group_id="g", min_interval_seconds=1, ttl_seconds=ttl)
        for ttl in (301, 302, 303)
    ]
    turns = []
    for _ in range(6):
        turns.append(heard(server))
        server.wait(1)
    # U7: a turn that falls on any but the first is lost; the third create is the first one's.
    assert turns == [[], [], [members[0]], [], [], [members[0]]]


def test_u6_a_group_of_one_hears_every_time() -> None:
    server = Server()
    only = server.subscribe(delivery_mode="group", group_id="g", min_interval_seconds=1)
    turns = []
    for _ in range(3):
        turns.append(heard(server))
        server.wait(1)
    assert turns == [[only]] * 3


def test_u6_each_command_and_group_has_its_own_counter() -> None:
    server = Server()
    for group in ("g", "h"):
        for ttl in (301, 302):
            server.subscribe(
                event_types=("A", "B"),
                delivery_mode="group",
                group_id=group,
                min_interval_seconds=1,
                ttl_seconds=ttl,
            )
    assert heard(server, "A") == []  # both groups' first turn is their second member's
    server.wait(1)
    assert heard(server, "B") == []
    server.wait(1)
    assert heard(server, "A") == ["sub-001", "sub-003"]
    server.wait(1)
    assert heard(server, "B") == ["sub-001", "sub-003"]


def test_u6_hash_chooses_by_the_minute() -> None:
    server = Server()
    assert START // MINUTE % 2 == 1  # so it begins with the second one's turn
    first, _ = (server.subscribe(delivery_mode="hash", min_interval_seconds=1, ttl_seconds=ttl) for ttl in (600, 601))
    turns = []
    for _ in range(4):
        turns.append(heard(server))
        server.wait(59.999)
        turns.append(heard(server))
        server.wait(ms=1)
    # U7: the second one's turns are lost; the first one's throttle holds at the edge of a minute.
    assert turns == [[], [], [], [first], [], [], [], [first]]


def test_u7_the_first_ones_throttle_decides_for_all_of_a_group() -> None:
    server = Server()
    first, _ = (
        server.subscribe(delivery_mode="group", group_id="g", min_interval_seconds=60, ttl_seconds=ttl)
        for ttl in (301, 302)
    )
    assert heard(server) == []  # the second one's turn: nothing is sent, and the first one's throttle begins
    server.wait(59)
    assert heard(server) == []
    server.wait(1)
    assert heard(server) == []  # the counter went up while the throttle held
    server.wait(60)
    assert heard(server) == [first]


def test_u8_any_tenants_create_notifies() -> None:
    server = Server()
    subscription = server.subscribe(min_interval_seconds=1)
    assert heard(server, tenant="beta") == [subscription]
    server.wait(1)
    assert heard(server, tenant="") == [subscription]


@pytest.mark.parametrize(("ns", "hears"), [(0, True), (1, False)])
def test_u9_an_expired_subscription_hears_nothing(ns: int, *, hears: bool) -> None:
    server = Server()
    server.subscribe(ttl_seconds=10)
    server.wait(10, ns=ns)
    assert bool(heard(server)) is hears


def test_u9_an_expired_subscription_can_be_revived() -> None:
    server = Server()
    subscription = server.subscribe(ttl_seconds=10)
    server.wait(3600)
    server.broker.renew_subscription(subscription, ttl_seconds=10, now=server.now)
    assert heard(server) == [subscription]


def test_u9_a_sweep_deletes_expired_subscriptions_of_the_built_in_commands() -> None:
    server = Server(subscription_cleanup_interval_seconds=60)
    swept = server.subscribe(event_types=("A", "generate_master"), ttl_seconds=59)
    kept = server.subscribe(event_types=("A",), ttl_seconds=1)
    lasting = server.subscribe(event_types=("GENERATE_CREATIVE",), ttl_seconds=61)
    server.wait(59.999)
    assert set(server.broker.subscriptions.by_id) == {swept, kept, lasting}
    server.wait(ms=1)
    assert set(server.broker.subscriptions.by_id) == {kept, lasting}
    server.wait(60)
    assert set(server.broker.subscriptions.by_id) == {kept}


def test_u9_sweeps_go_by_the_servers_start() -> None:
    server = Server(subscription_cleanup_interval_seconds=60)
    server.wait(59)
    subscription = server.subscribe(event_types=(), ttl_seconds=1)
    assert server.broker.next_due() == START + 60 * SECOND
    server.wait(61)
    with pytest.raises(errors.SubscriptionNotFound):
        server.broker.renew_subscription(subscription, now=server.now)


def test_u9_what_cannot_be_swept_makes_no_sweep_due() -> None:
    server = Server()
    server.subscribe(event_types=("A",), ttl_seconds=1)
    assert server.broker.next_due() is None
    server.broker.fire(now=server.now)  # and a fire that comes early does nothing
    assert len(server.broker.subscriptions.by_id) == 1


def test_l1_the_webhooks_rate_limit_drops_a_notice() -> None:
    server = Server(rate_limit={"webhook": RateLimit(requests_per_minute=6, burst_size=1)})
    subscription = server.subscribe(min_interval_seconds=1)
    assert heard(server) == [subscription]
    server.wait(1)
    assert heard(server) == []
    server.wait(9)
    assert heard(server) == [subscription]


@pytest.mark.parametrize("profile", PROFILES)
def test_u5_two_subscriptions_of_one_url_have_a_throttle_each(profile: str) -> None:
    server = Server(profile)
    first, second = server.subscribe(), server.subscribe()
    assert heard(server) == [first, second]
