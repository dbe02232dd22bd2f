"""What CodeQ's main branch does on its embedded store Pebble (P1 to P16), where no recording shows it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.core import saved_state
from codeq_fake.core.errors import TaskNotFound
from codeq_fake.core.slices import at_once
from codeq_fake.core.subscriptions import Subscription
from codeq_fake.core.times import DAY_SECONDS, SECOND
from codeq_fake.server_settings import Settings, SettingsError
from codeq_fake.testing import FakeCodeQ
from tests.core.support import DONE, HOOK, START, Server, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_fake.core import Task


@pytest.fixture
def server() -> Server:
    return Server("main/pebble", backoff_policy="fixed", backoff_base_seconds=1)


# The reaper.


def test_the_reaper_ends_a_lease_that_nobody_claims(server: Server) -> None:
    server.create()
    task = server.leased(lease_seconds=3)
    server.wait(3.9)
    assert task.status == "IN_PROGRESS"
    server.wait(0.1)  # its ticks are 2 s apart, from the start on
    assert (task.status, task.location, task.attempts, task.updated_at) == ("PENDING", "DELAYED_ZSET", 2, server.now)


def test_a_lease_ends_with_a_whole_second(server: Server) -> None:
    server.wait(0.7)
    server.create()
    task = server.leased(lease_seconds=2)
    server.wait(1.25)
    server.claim()
    assert task.status == "IN_PROGRESS"  # 1.95 s after the start
    server.wait(0.55)
    server.claim()
    assert task.status == "PENDING"  # the lease of 2 s ended after 1.3 s


def test_the_reaper_calls_back_for_a_dead_letter(server: Server) -> None:
    server.create(max_attempts=1, webhook=HOOK)
    server.leased(lease_seconds=1)
    server.wait(2)
    [callback] = server.tries()
    assert (callback.status, callback.error, callback.result, callback.artifacts) == (
        "FAILED",
        "LEASE_EXPIRED",
        None,
        None,
    )
    assert callback.completed_at == server.now


def test_a_claim_calls_back_for_no_dead_letter(server: Server) -> None:
    server.create(max_attempts=1, webhook=HOOK)
    task = server.leased(lease_seconds=1)
    server.wait(1)
    server.claim()
    assert (task.status, server.tries()) == ("FAILED", [])


def test_one_tick_ends_256_leases(server: Server) -> None:
    for _ in range(300):
        server.create()
        server.leased(lease_seconds=1)
    server.wait(2)
    assert server.broker.queue_stats("A", tenant="acme").delayed == 256
    server.wait(2)
    assert server.broker.queue_stats("A", tenant="acme").delayed == 300


def test_a_heartbeat_after_the_end_of_a_lease_renews_it(server: Server) -> None:
    server.create()
    task = server.leased(lease_seconds=1)
    server.wait(1.5)
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=10, now=server.now)
    server.wait(9)
    server.claim()
    assert task.status == "IN_PROGRESS"
    server.wait(1.5)
    assert task.status == "PENDING"


def test_a_task_that_has_ended_leaves_the_reaper_nothing_to_do(server: Server) -> None:
    server.create()
    server.submit(server.leased(lease_seconds=1))
    due = server.broker.next_due()
    assert due is not None and due >= START + DAY_SECONDS * SECOND  # noqa: PT018 - one thing


# What the reaper requeues (P6).


def reaped(server: Server) -> Task:
    """A task that the reaper has requeued, after its delay."""
    server.create()
    task = server.leased(lease_seconds=1)
    server.wait(2)
    assert task.location == "DELAYED_ZSET"
    server.wait(1)
    return task


def test_no_claim_finds_a_task_that_the_reaper_has_requeued(server: Server) -> None:
    task = reaped(server)
    server.wait(3600)
    assert server.claim() is None
    assert task.location == "DELAYED_ZSET"


@pytest.mark.parametrize(
    "wake",
    [
        lambda server: server.create(delay_seconds=100),
        lambda server: server.broker.nack(another_leased(server), worker="w-1", delay_seconds=100, now=server.now),
    ],
    ids=["create with a delay", "nack"],
)
def test_a_delayed_task_of_the_same_command_wakes_the_queue(server: Server, wake: Callable[[Server], object]) -> None:
    task = reaped(server)
    wake(server)
    assert server.claim() is task


def another_leased(server: Server) -> str:
    """The id of another task, which is leased."""
    server.create(priority=9)
    return server.leased().id


def test_a_delayed_task_of_another_command_or_tenant_wakes_nothing(server: Server) -> None:
    reaped(server)
    server.create("B", delay_seconds=100)
    server.create(delay_seconds=100, tenant="beta")
    assert server.claim() is None


def test_the_count_of_delayed_tasks_can_be_too_low_by_one(server: Server) -> None:
    """The server counts what claims move, also what the reaper has delayed: -1, and then 0 with one task."""
    server.create(delay_seconds=5)
    first = reaped(server)
    server.wait(3)
    assert {server.leased().id, server.leased().id} >= {first.id}
    server.create(delay_seconds=1)
    server.wait(2)
    assert server.claim() is None


@pytest.mark.parametrize("seconds", [10, 100], ids=["before its delay is over", "afterwards"])
def test_the_control_api_says_why_no_claim_finds_it(seconds: int) -> None:
    with FakeCodeQ(profile="main/pebble", settings={"BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "60"}) as fake:
        task = fake.enqueue("A").id
        assert fake.claim("A", lease=1) is not None
        fake.advance(seconds)
        claimable = fake.task(task).claimable
        assert (claimable["now"], claimable["since"]) == (False, None)
        assert "P6" in str(claimable["reason"])
        fake.enqueue("A", delay=1000)
        fake.advance(100)
        assert fake.task(task).claimable["now"]


# Its phase.


@pytest.mark.parametrize(("phase", "after"), [(None, 2.0), (0.5, 1.2), (1_000_000_000.5, 1.2), ("500ms", 1.2)])
def test_the_phase_is_the_time_of_a_tick(phase: Any, after: float) -> None:
    """A lease of 1 s, claimed at 1.3 s of a minute, ends at 2 s. The next tick is at 2.5 s, or at 3.3 s by default."""
    with FakeCodeQ(profile="main/pebble", now="2026-01-31T12:00:01.300Z", reaper_phase=phase) as fake:
        task = fake.enqueue("A").id
        fake.claim("A", lease=1)
        fake.advance(after - 0.01)
        assert fake.task(task).status == "IN_PROGRESS"
        fake.advance(0.01)
        assert fake.task(task).status == "PENDING"


def test_a_store_without_a_reaper_refuses_its_phase() -> None:
    with pytest.raises(SettingsError, match=r"redis has no reaper, .* main/pebble has one \(P1\)"):
        FakeCodeQ(profile="redis", reaper_phase=0.5)


def test_a_reset_sets_the_phase_and_another_store_forgets_it() -> None:
    with FakeCodeQ(profile="main/pebble", now="2026-01-31T12:00:00Z") as fake:
        control = fake.client()
        assert control.post("/_fake/reset", json={"reaper_phase": 1.25}).status_code == 200
        task = fake.enqueue("A").id
        fake.claim("A", lease=1)
        fake.advance(1.25)
        assert fake.task(task).status == "PENDING"
        assert control.post("/_fake/reset", json={"profile": "redis"}).json()["profile"] == "redis"
        refused = control.post("/_fake/reset", json={"reaper_phase": 1})
        assert (refused.status_code, "has no reaper" in refused.text) == (400, True)
        wrong = control.post("/_fake/reset", json={"profile": "main/pebble", "reaper_phase": "x"})
        assert (wrong.status_code, "reaper_phase: found 'x'" in wrong.text) == (400, True)


def test_a_lease_that_a_long_poll_got_is_ended_too() -> None:
    fake = FakeCodeQ(profile="main/pebble", clock="manual")

    async def claimed_late() -> str:
        async with fake.async_client() as client:
            body = {"commands": ["A"], "leaseSeconds": 1, "waitSeconds": 5}
            waiting = asyncio.create_task(client.post("/v1/codeq/tasks/claim", json=body))
            await fake.aadvance(0.5)
            await client.post("/v1/codeq/tasks", json={"command": "A", "payload": 1})
            await fake.aadvance(0.5)
            task = (await waiting).json()["id"]
            await fake.aadvance(3)
            location: str = (await client.get(f"/v1/codeq/tasks/{task}")).json()["lastKnownLocation"]
            return location

    assert asyncio.run(claimed_late()) == "DELAYED_ZSET"


def test_the_reaper_works_on_a_lease_that_is_ended_by_hand() -> None:
    with FakeCodeQ(profile="main/pebble") as fake:
        task = fake.enqueue("A").id
        fake.claim("A", lease=3600)
        fake.expire(task)
        fake.advance(2)
        assert fake.task(task).location == "DELAYED_ZSET"


# Jitter (P7).


@pytest.mark.parametrize(("policy", "delay"), [("exp_full_jitter", 1), ("exp_equal_jitter", 10)])
def test_the_jitter_of_an_expiry_is_always_the_same(policy: str, delay: int) -> None:
    """As seen on the real server, with the base 5 after one attempt: of 0 to 10 s, and of 5 to 10 s."""
    server = Server("main/pebble", backoff_policy=policy)
    for _ in range(2):
        task = server.create()
        server.leased(lease_seconds=1)
        server.wait(2)
        assert task.visible_at - server.now == delay * SECOND


def test_the_jitter_of_a_nack_is_chance() -> None:
    server = Server("main/pebble")
    server.create()
    server.fate.luck = 70
    assert server.broker.nack(server.leased().id, worker="w-1", now=server.now).delay_seconds == 7


# The end of a task (P8).


def test_a_task_ends_24_hours_after_its_creation(server: Server) -> None:
    server.wait(1)
    task = server.create()
    server.wait(DAY_SECONDS - 10)
    server.leased(lease_seconds=3600)
    server.wait(38)
    assert server.broker.get(task.id) is task  # swept every 30 s
    server.wait(1)
    with pytest.raises(TaskNotFound):
        server.broker.get(task.id)
    assert server.broker.queue_stats("A", tenant="acme").in_progress == 1
    server.claim()  # a claim's repair drops the id
    assert server.broker.queue_stats("A", tenant="acme").in_progress == 0


def test_one_sweep_removes_512_entries(server: Server) -> None:
    for _ in range(600):
        server.create()
    server.wait(DAY_SECONDS)
    assert len(server.broker.store.tasks) == 88
    server.wait(30)
    assert not server.broker.store.tasks


def test_a_cleanup_counts_the_seconds_in_which_a_task_changed(server: Server) -> None:
    server.create()
    server.wait(1)
    task = server.leased(lease_seconds=100)
    server.wait(1)
    server.broker.heartbeat(task.id, worker="w-1", now=server.now)
    server.wait(1)
    server.submit(task)
    later = server.now + DAY_SECONDS * SECOND
    assert at_once(server.broker.cleanup(before=later - 3 * SECOND, limit=0)) == 1
    assert not server.broker.store.tasks
    assert at_once(server.broker.cleanup(before=later, limit=2)) == 2
    assert at_once(server.broker.cleanup(before=later, limit=0)) == 1
    assert at_once(server.broker.cleanup(before=later, limit=0)) == 0


def test_what_a_cleanup_leaves_in_a_queue_is_counted(server: Server) -> None:
    server.create(max_attempts=1)
    server.broker.nack(server.leased().id, worker="w-1", now=server.now)
    server.create()
    server.leased()
    server.create(delay_seconds=100)
    for priority in (0, 5):
        server.create(priority=priority)
    at_once(server.broker.cleanup(before=server.now + DAY_SECONDS * SECOND, limit=0))
    prefix = "codeq:q:a:acme"
    sizes = {f"{prefix}:{place}": 1 for place in ("delayed", "dlq", "inprog", "pending:0", "pending:5")}
    assert server.broker.queue_sizes() == sizes
    state = json.loads(json.dumps(saved_state.dump(server.broker)))
    other = Server("main/pebble", now=server.now)
    load(other.broker, state)
    assert saved_state.dump(other.broker) == state
    other.create(priority=9)
    other.wait(101)
    assert other.leased().priority == 9
    assert other.claim() is None
    assert other.broker.queue_sizes() == {f"{prefix}:dlq": 1, f"{prefix}:inprog": 1}


def test_an_id_without_a_task_hides_its_priority_once(server: Server) -> None:
    server.create(priority=5)
    at_once(server.broker.cleanup(before=server.now + DAY_SECONDS * SECOND, limit=0))
    high, low = server.create(priority=5), server.create()
    assert server.claim() is low
    assert server.claim() is high


# Subscriptions (P9, P10).


def test_a_subscription_lasts_60_seconds_and_has_no_throttle(server: Server) -> None:
    server.subscribe()
    for _ in range(3):
        server.create()
    assert len(server.notified()) == 3
    server.wait(60)
    server.create()
    assert len(server.notified()) == 1  # to the end of its second
    server.wait(1)
    server.create()
    assert server.notified() == []


def test_a_throttle_that_is_asked_for_counts(server: Server) -> None:
    server.subscribe(min_interval_seconds=2)
    for _ in range(3):
        server.create()
        server.wait(1)
    assert len(server.notified()) == 2


def test_a_command_is_announced_as_somebody_has_written_it(server: Server) -> None:
    lower = server.subscribe(event_types=("a",))
    server.create("A")
    assert server.notified() == []
    upper = server.subscribe(event_types=("A",))
    server.create("A")
    assert sorted(server.notified()) == [lower, upper]


def test_the_sweep_deletes_subscriptions_of_any_command(server: Server) -> None:
    gone = server.subscribe(ttl_seconds=10)
    server.wait(60)
    assert gone not in server.broker.subscriptions.by_id
    subscription: Subscription = server.broker.subscribe(HOOK, event_types=("a",), now=server.now)
    server.create("a")
    assert server.notified() == []  # the sweep has counted "a" down, although it was written "A"
    assert subscription.id in server.broker.subscriptions.by_id


# Keys, batches and traces (P11, P13, P14).


def test_a_blank_key_is_a_key_and_none_ends(server: Server) -> None:
    task = server.create(idempotency_key=" ")
    assert server.create(idempotency_key=" ") is task


def test_an_unknown_id_does_not_split_a_batch(server: Server) -> None:
    server.create(webhook=HOOK)
    task = server.leased()
    unknown, known = server.broker.submit_batch([("unknown", DONE), (task.id, DONE)], worker="w-1", now=server.now)
    assert isinstance(unknown, TaskNotFound)
    [callback] = server.tries()
    assert (task.record is known, callback.artifacts) == (True, ())


def test_a_task_keeps_no_trace() -> None:
    server = Server("main/pebble", tracing_enabled=True)
    assert server.create().trace_parent == ""


def test_the_list_of_all_queues_is_no_surprise() -> None:
    for profile, clauses in (("main/pebble", []), ("main/redis", ["M1"])):
        with FakeCodeQ(profile=profile) as fake:  # type: ignore[arg-type]
            assert fake.client().get("/v1/codeq/admin/queues").status_code == 200
            assert [surprise.clause for surprise in fake.surprises] == clauses


# The choice of the store.


@pytest.mark.parametrize(
    ("profile", "settings", "chosen"),
    [
        (None, {}, "kvrocks-2.8"),
        (None, {"PERSISTENCE_PROVIDER": "pebble"}, "main/pebble"),
        (None, {"PERSISTENCE_PROVIDER": "redis"}, "kvrocks-2.8"),
        (None, {"PERSISTENCE_PROVIDER": "Pebble"}, "kvrocks-2.8"),
        ("main/redis", {"PERSISTENCE_PROVIDER": "pebble"}, "main/redis"),
    ],
)
def test_the_persistence_provider_chooses_the_store(profile: Any, settings: dict[str, str], chosen: str) -> None:
    assert f"FakeCodeQ {chosen} at" in repr(FakeCodeQ(profile=profile, settings=settings))


def test_the_yaml_file_chooses_the_store_too() -> None:
    assert "FakeCodeQ main/pebble at" in repr(FakeCodeQ(yaml="persistenceProvider: pebble"))


def test_a_persistence_config_in_yaml_is_refused() -> None:
    with pytest.raises(SettingsError, match="the server does not start with this key"):
        FakeCodeQ(yaml="persistenceProvider: pebble\npersistenceConfig: {path: /data}")


def test_a_reset_with_settings_chooses_the_store() -> None:
    with FakeCodeQ() as fake:
        reset = fake.client().post("/_fake/reset", json={"settings": {"PERSISTENCE_PROVIDER": "pebble"}})
        assert reset.json()["profile"] == "main/pebble"


def test_a_persistence_config_that_is_no_json_object_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"PERSISTENCE_CONFIG: found '\[\]'; it must be a JSON object"):
        Settings.from_env({"PERSISTENCE_CONFIG": "[]"})
