"""Claim (K1 to K11), without the expiry of leases (K8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.core import Location, QueueStats, Status, errors, saved_state
from codeq_fake.core.times import SECOND
from tests.core.support import DONE, START, Server, load

if TYPE_CHECKING:
    from codeq_fake.core import Task


def claimed(server: Server, *commands: str) -> list[Task]:
    """All that claims for the commands get, one after the other."""
    return server.broker.claim_batch(
        commands or ("A",), 1000, worker="w-1", event_types=("*",), tenant="acme", now=server.now
    )


def test_k1_each_command_must_be_among_the_event_types() -> None:
    server = Server()
    task = server.create("B")
    with pytest.raises(errors.EventTypeNotAllowed):
        server.claim("B", "C", event_types=("A", "B"))
    assert server.claim("B", event_types=("A", "B")) is task


def test_k1_event_types_are_compared_as_they_are_written() -> None:
    with pytest.raises(errors.EventTypeNotAllowed):
        Server().claim("a", event_types=("A",))


def test_k1_a_star_among_the_event_types_allows_any_command() -> None:
    server = Server()
    task = server.create("B")
    assert server.claim("B", event_types=("A", "*")) is task


def test_k1_without_commands_the_claim_is_for_the_event_types() -> None:
    server = Server()
    server.create("C")
    made = {server.create("A").id, server.create("B").id}
    taken = {server.broker.claim((), worker="w-1", event_types=("A", "B"), tenant="acme", now=START) for _ in made}
    assert {task.id for task in taken if task} == made
    assert server.broker.claim((), worker="w-1", event_types=("A", "B"), tenant="acme", now=START) is None


def test_k1_without_commands_a_star_stands_for_the_built_in_ones() -> None:
    server = Server()
    server.create("A")
    made = [server.create("GENERATE_CREATIVE"), server.create("generate_master")]
    taken = [server.broker.claim((), worker="w-1", event_types=("*", "A"), tenant="acme", now=START) for _ in range(3)]
    assert taken == [*reversed(made), None]


def test_a9_a_worker_without_a_name_cannot_hold_a_lease() -> None:
    server = Server()
    server.create()
    with pytest.raises(errors.WorkerRequired):
        server.claim(worker="")


@pytest.mark.parametrize("asked", [0, -1, -(2**63)])
def test_k2_a_lease_that_is_not_positive_is_the_servers_default(asked: int) -> None:
    server = Server(default_lease_seconds=7)
    server.create()
    assert server.leased(lease_seconds=asked).lease_until == START + 7 * SECOND


def test_k2_a_lease_that_is_not_asked_for_is_the_servers_default() -> None:
    server = Server(default_lease_seconds=7)
    server.create()
    server.create()
    claimed = server.broker.claim(("A",), worker="w-1", event_types=("*",), tenant="acme", now=START)
    batch = server.broker.claim_batch(("A",), 1, worker="w-1", event_types=("*",), tenant="acme", now=START)
    assert [task.lease_until for task in (claimed, *batch) if task] == [START + 7 * SECOND] * 2


def test_k3_there_may_be_nothing_to_claim() -> None:
    server = Server()
    assert server.claim() is None
    server.create("B")
    assert server.claim() is None


def test_k4_commands_come_as_listed_then_the_highest_priority_then_the_first_in() -> None:
    server = Server()
    b9 = server.create("B", priority=9)
    a0 = server.create("A")
    a5, a5_later = server.create("A", priority=5), server.create("A", priority=5)
    a9 = server.create("A", priority=9)
    assert [task.id for task in claimed(server, "A", "B")] == [t.id for t in (a9, a5, a5_later, a0, b9)]


def test_k4_an_earlier_command_wins_even_with_the_lowest_priority() -> None:
    server = Server()
    server.create("A", priority=9)
    last = server.create("B")
    assert server.claim("B", "A") is last


def test_k5_a_claim_leases_the_task_to_its_worker() -> None:
    server = Server()
    task = server.create(max_attempts=3)
    server.wait(2)
    assert server.leased(worker="w-7", lease_seconds=60) is task
    assert (task.status, task.location, task.worker) == (Status.IN_PROGRESS, Location.INPROG_SET, "w-7")
    assert (task.lease_until, task.attempts, task.updated_at) == (START + 62 * SECOND, 1, START + 2 * SECOND)
    assert task.created_at == START


def test_k5_each_claim_counts_an_attempt() -> None:
    server = Server()
    server.create()
    for attempts in (1, 2, 3):
        task = server.leased()
        assert task.attempts == attempts
        server.broker.abandon(task.id, worker="w-1", now=server.now)


def test_k6_a_claim_sees_its_own_tenants_queues_alone() -> None:
    server = Server()
    server.create(tenant="beta")
    server.create(tenant="")
    assert server.claim(tenant="acme") is None


def test_k6_due_tasks_of_the_tenantless_queue_are_moved_along() -> None:
    server = Server()
    task, other = server.create(tenant="", delay_seconds=1), server.create(tenant="beta", delay_seconds=1)
    server.wait(1)
    assert server.claim(tenant="acme") is None
    assert (task.location, other.location) == (Location.PENDING_LIST, Location.DELAYED_ZSET)


def test_k6_expired_tasks_of_the_tenantless_queue_are_left_alone() -> None:
    server = Server()
    task = server.create(tenant="")
    server.leased(tenant="", lease_seconds=1)
    server.wait(60)
    server.claim(tenant="acme")
    assert task.status is Status.IN_PROGRESS


def test_k7_a_due_task_moves_to_the_tail_of_its_priority() -> None:
    server = Server()
    delayed = server.create(delay_seconds=1, priority=3)
    ready, lower = server.create(priority=3), server.create(priority=2)
    server.wait(1)
    assert [task.id for task in claimed(server)] == [ready.id, delayed.id, lower.id]


def test_k7_a_task_that_came_due_is_delayed_no_more() -> None:
    server = Server()
    server.create(tenant="", delay_seconds=1)
    server.wait(1)
    server.claim(tenant="acme")
    assert server.broker.queue_stats("A", tenant="") == QueueStats(ready=1)


def test_k7_due_tasks_move_oldest_visible_time_first_then_by_id() -> None:
    server = Server()
    second = [server.create(delay_seconds=2) for _ in range(3)]
    first = server.create(delay_seconds=1)
    server.wait(2)
    assert [task.id for task in claimed(server)] == [task.id for task in (first, *second)]


def test_k7_at_most_so_many_due_tasks_move_at_a_claim() -> None:
    server = Server(requeue_inspect_limit=2)
    tasks = [server.create("A", delay_seconds=1) for _ in range(4)]
    other = server.create("B", delay_seconds=1)
    server.wait(1)
    server.claim("A", "B")
    moved = [task.location is not Location.DELAYED_ZSET for task in (*tasks, other)]
    assert moved == [True, True, False, False, True]  # so many of each command


def test_k7_a_task_that_came_due_is_pending_and_was_touched() -> None:
    server = Server()
    task = server.create(tenant="", delay_seconds=1)
    server.wait(1.5)
    server.claim(tenant="acme")
    assert (task.status, task.location, task.visible_at) == (Status.PENDING, Location.PENDING_LIST, 0)
    assert (task.worker, task.lease_until, task.updated_at) == ("", 0, server.now)


def test_k7_only_the_commands_claimed_are_repaired() -> None:
    server = Server()
    server.create("B")
    held, due = server.leased("B", lease_seconds=1), server.create("B", delay_seconds=1)
    server.wait(60)
    server.claim("A")
    assert (held.status, due.location) == (Status.IN_PROGRESS, Location.DELAYED_ZSET)
    server.claim("A", "B")
    assert held.status is Status.PENDING


def test_k7_nothing_happens_between_claims() -> None:
    server = Server()
    server.create()
    held, due = server.leased(lease_seconds=1), server.create(delay_seconds=1)
    server.wait(3600)
    assert server.broker.get(held.id).status is Status.IN_PROGRESS
    assert server.broker.get(due.id).location is Location.DELAYED_ZSET
    assert server.broker.queue_stats("A", tenant="acme").delayed == 1


def test_k7_one_claim_repairs_at_most_two_hundred_expired_leases_the_earliest_first() -> None:
    server = Server()
    for _ in range(450):
        server.create()
    held = [server.leased(lease_seconds=450 - n) for n in range(450)]
    server.wait(600)
    for repaired in (200, 400, 450):
        server.claim()
        assert [task.status for task in reversed(held)] == [
            *[Status.PENDING] * repaired,
            *[Status.IN_PROGRESS] * (450 - repaired),
        ]


def test_k7_repair_comes_before_the_take_even_where_another_command_is_taken_from() -> None:
    server = Server()
    ready, due = server.create("A"), server.create("B", delay_seconds=1)
    server.wait(1)
    assert server.claim("A", "B") is ready
    assert due.location is Location.PENDING_LIST


@pytest.mark.parametrize(("there", "count", "got"), [(3, 2, 2), (2, 2, 2), (1, 2, 1), (0, 2, 0)])
def test_k10_a_batch_gets_as_many_as_there_are_up_to_its_count(there: int, count: int, got: int) -> None:
    server = Server()
    made = [server.create().id for _ in range(there)]
    tasks = server.broker.claim_batch(("A",), count, worker="w-1", event_types=("*",), tenant="acme", now=START)
    assert [task.id for task in tasks] == made[:got]
    assert {task.status for task in tasks} <= {Status.IN_PROGRESS}


@pytest.mark.parametrize(
    ("event_types", "worker", "refusal"),
    [(("B",), "w-1", errors.EventTypeNotAllowed), (("*",), "", errors.WorkerRequired)],
)
def test_k10_a_batch_is_refused_as_a_claim_is(
    event_types: tuple[str, ...], worker: str, refusal: type[errors.Refused]
) -> None:
    server = Server()
    server.create()
    with pytest.raises(refusal):
        server.broker.claim_batch(("A",), 2, worker=worker, event_types=event_types, tenant="acme", now=START)


#: Wrapped as Go durations, these leases are not positive.
TOO_LONG = [9_223_372_037, 18_446_744_073, 2**63 - 1]


@pytest.mark.parametrize("lease", TOO_LONG)
@pytest.mark.parametrize(
    ("profile", "reason"),
    [("redis", "ERR invalid expire time in 'setex' command"), ("kvrocks-2.8", "ERR invalid expire time")],
)
def test_k11_a_lease_that_is_not_positive_is_refused_but_the_task_reads_as_claimed(
    profile: str, reason: str, lease: int
) -> None:
    server = Server(profile)
    first, second = server.create("A"), server.create("A")
    with pytest.raises(errors.LeaseRefused, match=f"^{reason}$"):
        server.claim("A", lease_seconds=lease)
    assert (first.status, first.location, first.worker, first.attempts) == ("IN_PROGRESS", "INPROG_SET", "w-1", 1)
    assert first.lease_until < server.now
    stats = server.broker.queue_stats("A", tenant="acme")
    assert (stats.ready, stats.in_progress) == (2, 0)
    assert server.broker.counters.claimed["A"] == 0
    # It is the last one in its list now.
    assert server.claim("A") is second
    assert server.claim("A") is first
    assert first.attempts == 2


@pytest.mark.parametrize(
    ("operation", "arguments", "status", "ready"),
    [
        ("abandon", {}, "PENDING", 1),
        ("nack", {"delay_seconds": 60}, "PENDING", 0),
        # As on the real server, the id stays in the pending list: the finished task comes back.
        ("submit", {"submission": DONE}, "COMPLETED", 1),
        ("heartbeat", {"extend_seconds": 60}, "IN_PROGRESS", 1),
    ],
)
def test_k11_a_task_whose_lease_was_refused_can_be_ended_given_back_and_saved(
    operation: str, arguments: dict[str, Any], status: str, ready: int
) -> None:
    server, other = Server(), Server()
    task = server.create("A")
    with pytest.raises(errors.LeaseRefused):
        server.claim("A", lease_seconds=2**63 - 1)
    getattr(server.broker, operation)(task.id, worker="w-1", now=server.now, **arguments)
    load(other.broker, saved_state.dump(server.broker))
    for each in (server, other):
        assert each.broker.get(task.id).status == status
        assert each.broker.queue_stats("A", tenant="acme").ready == ready
        assert (each.claim("A") is not None) == bool(ready)


def test_k11_a_positive_rest_of_a_second_is_a_lease_of_one_second() -> None:
    server = Server()
    task = server.create("A")
    assert server.claim("A", lease_seconds=18_446_744_074) is task
    assert SECOND // 4 < task.lease_until - server.now < SECOND // 2
    assert task.lease_expiry == server.now + SECOND


def test_k11_a_heartbeat_with_such_an_extension_ends_the_lease() -> None:
    server = Server()
    task = server.create("A")
    server.claim("A", lease_seconds=60)
    for seconds in (2**63 - 1, 60):  # H3: the second one revives nothing
        server.broker.heartbeat(task.id, worker="w-1", extend_seconds=seconds, now=server.now)
    assert server.claim("A") is None
    assert (task.status, task.location, task.attempts) == ("PENDING", "DELAYED_ZSET", 2)
