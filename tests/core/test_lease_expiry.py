"""The expiry of leases by store (K8), and its effect on tasks (K7, N5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core import Location, QueueStats, Status, errors, manual_operations
from codeq_fake.core.profiles import STORES, Store
from codeq_fake.core.times import MILLISECOND, SECOND
from tests.core.support import START, Server

#: Profile, milliseconds after a whole second at which the lease of 3 s begins, milliseconds after which it is over.
EDGES = [
    # From 499 ms before its end: TTL is (E - now + 500) / 1000.
    ("redis", 0, 2501),
    ("redis", 499, 2501),
    ("redis", 999, 2501),
    # From 999 ms before its end: TTL is (E - now) / 1000.
    ("kvrocks-2.9", 0, 2001),
    ("kvrocks-2.9", 499, 2001),
    ("kvrocks-2.9", 999, 2001),
    # The end is (ms + 499) / 1000 whole seconds, and the rest as above.
    ("kvrocks-2.8", 0, 2001),
    ("kvrocks-2.8", 1, 2000),
    ("kvrocks-2.8", 500, 1501),
    ("kvrocks-2.8", 501, 2500),
    ("kvrocks-2.8", 999, 2002),
]


def held_since(profile: str, begins_ms: int, lease_seconds: int = 3) -> Server:
    """A server whose one task, `task-001`, was leased so many milliseconds after a whole second."""
    server = Server(profile, now=START + begins_ms * MILLISECOND)
    server.create()
    server.leased(lease_seconds=lease_seconds)
    return server


@pytest.mark.parametrize(("profile", "begins_ms", "over_ms"), EDGES)
def test_k8_a_lease_is_over_to_the_millisecond(profile: str, begins_ms: int, over_ms: int) -> None:
    server = held_since(profile, begins_ms)
    server.wait(ms=over_ms - 1)
    server.claim()
    assert server.broker.get("task-001").status is Status.IN_PROGRESS
    server.wait(ms=1)
    server.claim()
    assert server.broker.get("task-001").status is Status.PENDING


@pytest.mark.parametrize(("profile", "begins_ms", "over_ms"), EDGES)
def test_k8_the_same_rounding_applies_to_heartbeats(profile: str, begins_ms: int, over_ms: int) -> None:
    server = held_since(profile, 123, lease_seconds=60)
    server.wait(ms=10_000 - 123 + begins_ms)
    server.broker.heartbeat("task-001", worker="w-1", extend_seconds=3, now=server.now)
    server.wait(ms=over_ms - 1)
    server.claim()
    assert server.broker.get("task-001").status is Status.IN_PROGRESS
    server.wait(ms=1)
    server.claim()
    assert server.broker.get("task-001").status is Status.PENDING


@pytest.mark.parametrize(("store", "begins_ms", "over_ms"), EDGES)
def test_k8_on_main_a_lease_is_over_at_the_same_millisecond_and_repaired_at_most_twice_a_second(
    store: str, begins_ms: int, over_ms: int
) -> None:
    in_time = held_since(f"main/{store}", begins_ms)
    in_time.wait(ms=over_ms)
    in_time.claim()
    assert in_time.broker.get("task-001").status is Status.PENDING
    too_early = held_since(f"main/{store}", begins_ms)
    too_early.wait(ms=over_ms - 1)
    for wait_ms, status in ((0, Status.IN_PROGRESS), (499, Status.IN_PROGRESS), (1, Status.PENDING)):
        too_early.wait(ms=wait_ms)
        too_early.claim()
        assert too_early.broker.get("task-001").status is status


def test_q1_half_a_second_after_a_repair_the_last_try_of_a_long_poll_comes_too_soon() -> None:
    server = held_since("main/redis", 0)
    server.wait(ms=2500)
    server.claim()
    server.wait(ms=500)
    for is_last_try, status in ((True, Status.IN_PROGRESS), (False, Status.PENDING)):
        server.broker.requeueing.repair("A", "acme", now=server.now, is_last_try=is_last_try)
        assert server.broker.get("task-001").status is status


@pytest.mark.parametrize("store", STORES)
def test_k8_a_time_is_first_cut_to_whole_milliseconds(store: Store) -> None:
    whole, with_a_rest = (store.key_expiry(3, now=START + 7 * MILLISECOND + rest) for rest in (0, 999_999))
    assert whole == with_a_rest


@pytest.mark.parametrize(("profile", "protects"), [("redis", True), ("kvrocks-2.8", False), ("kvrocks-2.9", False)])
@pytest.mark.parametrize("begins_ms", [1, 400])
def test_k8_a_lease_of_one_second_protects_nothing_on_kvrocks(profile: str, begins_ms: int, *, protects: bool) -> None:
    server = held_since(profile, begins_ms, lease_seconds=1)
    server.wait(ms=1)
    server.claim()
    assert (server.broker.get("task-001").status is Status.IN_PROGRESS) is protects


def ttl(profile: str, expiry_ms: int, now_ms: int) -> int:
    """What the store's command says of a key: the contract's table, as it is written."""
    left = expiry_ms - now_ms
    if profile == "redis":
        left += 500
    return left // 1000


@given(st.sampled_from(STORES), st.integers(0, 5000), st.integers(1, 5), st.integers(0, 7000))
def test_k8_a_lease_is_over_when_the_stores_ttl_is_0(store: Store, begins: int, lease: int, later: int) -> None:
    start_ms = START // MILLISECOND + begins
    expiry_ms = start_ms + lease * 1000
    if store.name == "kvrocks-2.8":
        expiry_ms = (expiry_ms + 499) // 1000 * 1000
    expiry = store.key_expiry(lease, now=start_ms * MILLISECOND)
    assert expiry == expiry_ms * MILLISECOND
    over = store.lease_expired_from(expiry) <= (start_ms + later) * MILLISECOND
    assert over == (ttl(store.name, expiry_ms, start_ms + later) <= 0)


def test_n5_an_expired_task_is_sent_back_as_by_a_nack_without_a_worker() -> None:
    server = Server(backoff_policy="fixed", backoff_base_seconds=5)
    task = server.create()
    server.leased(lease_seconds=10)
    server.wait(20)
    assert server.claim() is None
    assert (task.status, task.location, task.attempts) == (Status.PENDING, Location.DELAYED_ZSET, 2)
    assert (task.worker, task.lease_until, task.error) == ("", 0, "")
    assert (task.visible_at, task.updated_at) == (START + 25 * SECOND, START + 20 * SECOND)
    assert (task.history[-1].what, task.history[-1].by) == ("lease expired", "")
    assert server.broker.queue_stats("A", tenant="acme") == QueueStats(delayed=1)


def test_n5_the_delay_follows_the_backoff_policy() -> None:
    server = Server(backoff_policy="linear", backoff_base_seconds=7)
    task = server.create(max_attempts=9)
    server.leased(lease_seconds=10)
    server.wait(10)
    server.claim()
    assert task.visible_at == server.now + 7 * SECOND  # of the one attempt made
    server.wait(7)
    server.leased(lease_seconds=10)
    server.wait(10)
    server.claim()
    assert task.visible_at == server.now + 21 * SECOND  # of three: two claims and an expiry


def test_n5_the_last_attempt_ends_in_the_dead_letter_queue() -> None:
    server = Server()
    task = server.create(max_attempts=2)
    server.leased(lease_seconds=10)
    server.wait(10)
    assert server.claim() is None
    assert (task.status, task.location, task.error) == (Status.FAILED, Location.DLQ_SET, "LEASE_EXPIRED")
    assert (task.worker, task.lease_until, task.record) == ("", 0, None)
    assert task.history[-1].what == "lease expired for the last time"


def test_n5_expired_leases_are_counted() -> None:
    server = Server()
    server.create("A")
    server.leased(lease_seconds=10)
    server.wait(10)
    server.claim()
    server.claim()
    assert server.broker.counters.lease_expired == {"A": 1}


def test_k7_two_claims_are_needed_to_get_an_expired_task_back() -> None:
    server = Server()
    server.fate.luck = 0
    task = server.create()
    server.leased(lease_seconds=10)
    server.wait(10)
    assert server.claim() is None
    assert server.claim(worker="w-2") is task


def test_k7_leases_run_out_in_order_however_often_another_is_heartbeaten() -> None:
    server = Server()
    for _ in range(3):
        server.create()
    server.leased(lease_seconds=3600)
    short, beaten = server.leased(lease_seconds=600), server.leased(lease_seconds=600)
    for _ in range(599):
        server.wait(1)
        server.broker.heartbeat(beaten.id, worker="w-1", extend_seconds=3600, now=server.now)
    server.wait(1)
    server.claim()
    assert server.broker.queue_stats("A", tenant="acme") == QueueStats(delayed=1, in_progress=2)
    assert short.status is Status.PENDING
    leases = server.broker.store.queue_for(short).leases
    assert len(leases.entries) + len(leases.old or ()) < 100


def test_k7_of_a_lease_that_moved_only_the_present_end_counts() -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=10)
    for _ in range(200):  # so many that the queue tidies up behind them
        server.wait(1)
        server.broker.heartbeat(task.id, worker="w-1", extend_seconds=10, now=server.now)
    server.wait(9.5)
    server.claim()
    assert task.status is Status.IN_PROGRESS
    server.wait(0.5)
    server.claim()
    assert task.location is Location.DELAYED_ZSET


def test_only_a_lease_can_be_ended_by_hand() -> None:
    server = Server()
    task = server.create()
    with pytest.raises(errors.NotInProgress):
        manual_operations.expire_lease(server.broker, task.id, now=server.now)


def test_a_lease_can_be_ended_by_hand() -> None:
    server = Server()
    task = server.create()
    server.leased(lease_seconds=3600)
    manual_operations.expire_lease(server.broker, task.id, now=server.now)
    assert (task.status, task.lease_until) == (Status.IN_PROGRESS, server.now)
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=60, now=server.now)  # H3: too late
    server.claim()
    assert task.location is Location.DELAYED_ZSET
