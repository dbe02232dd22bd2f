"""The races of the real server (Z1 to Z6). The effects of each on a task."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core import Location, Status, Submission, errors, explain, manual_operations, races
from codeq_fake.core.saved_state import dump
from codeq_fake.core.slices import at_once
from codeq_fake.core.times import SECOND
from tests.core.support import DONE, FAILED, START, Server, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codeq_fake.core import Task

    Race = Callable[[Server, Task], bool]

AGAIN = Submission("COMPLETED", '{"n":2}')


def redeliver_finished(server: Server, task: Task) -> bool:
    return races.redeliver_finished(server.broker, task.id, now=server.now)


def lose_task(server: Server, task: Task) -> bool:
    return races.lose_task(server.broker, task.id, now=server.now)


def revoke_lease(server: Server, task: Task) -> bool:
    return races.revoke_lease(server.broker, task.id, now=server.now)


def false_empty(server: Server, *commands: str) -> bool:
    return races.false_empty(server.broker, commands or ("A",), tenant="acme", now=server.now)


def held(**request: Any) -> tuple[Server, Task]:
    """A server whose one task is held by `w-1` for ten seconds."""
    server = Server()
    server.create(**request)
    return server, server.leased(lease_seconds=10)


def finished(submission: Submission = DONE, **request: Any) -> tuple[Server, Task]:
    server, task = held(**request)
    server.submit(task, submission)
    return server, task


# Z1.


@pytest.mark.parametrize("end", [DONE, FAILED])
def test_z1_a_finished_task_comes_back_and_its_second_result_overwrites_the_first(end: Submission) -> None:
    server, task = finished(end)
    assert redeliver_finished(server, task)
    assert (task.status, task.location) == (end.status, Location.NONE), "until a claim gets it"
    server.wait(1)
    assert server.leased(worker="w-2") is task
    assert (task.status, task.worker, task.attempts, task.record is not None) == (Status.IN_PROGRESS, "w-2", 2, True)
    server.submit(task, AGAIN, worker="w-2")
    assert server.broker.result(task.id)[1].result == '{"n":2}'
    assert server.claim() is None, "there was one copy"


def test_z1_the_copy_waits_at_the_tail_and_counts_as_ready() -> None:
    server, task = finished()
    waiting = server.create()
    assert redeliver_finished(server, task)
    assert explain(server.broker, task.id, now=server.now).is_now
    assert server.broker.queue_stats("A", tenant="acme").ready == 2
    assert [server.leased().id, server.leased().id] == [waiting.id, task.id]


def test_z1_the_stored_task_is_not_written_until_it_is_claimed() -> None:
    server, task = finished()
    server.wait(5)
    assert redeliver_finished(server, task)
    assert (task.updated_at, task.touched_at) == (START, START)
    assert (task.history[-1].at, task.history[-1].what) == (START + 5 * SECOND, "queued a second time")


def test_z1_can_only_happen_to_a_task_that_has_a_result() -> None:
    server, task = held()
    assert not redeliver_finished(server, task)
    server.broker.nack(task.id, worker="w-1", now=server.now)
    assert not redeliver_finished(server, task)
    assert server.claim() is None


def test_z1_a_copy_of_a_task_that_was_cleaned_up_is_void() -> None:
    server, task = finished()
    assert redeliver_finished(server, task)
    at_once(server.broker.cleanup(before=server.now + 2 * 86_400 * SECOND, limit=0))
    assert server.claim() is None


# Z2.


def test_z2_a_lost_task_stays_in_progress_and_no_claim_repairs_it() -> None:
    server, task = held()
    assert lose_task(server, task)
    server.wait(3600)
    assert server.claim() is None
    assert (task.status, task.location, task.worker) == (Status.IN_PROGRESS, Location.INPROG_SET, "w-1")
    assert server.broker.queue_stats("A", tenant="acme").in_progress == 0
    assert "lost" in explain(server.broker, task.id, now=server.now).why


def test_z2_a_lease_that_is_ended_or_extended_does_not_bring_it_back() -> None:
    server, task = held()
    assert lose_task(server, task)
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=5, now=server.now)
    assert task.lease_until == START + 5 * SECOND
    server.wait(60)
    assert server.claim() is None
    manual_operations.expire_lease(server.broker, task.id, now=server.now)
    assert server.claim() is None


def test_z2_its_worker_can_still_end_it() -> None:
    server, task = held()
    assert lose_task(server, task)
    server.submit(task, AGAIN)
    assert (task.status, task.record is not None) == (Status.COMPLETED, True)


def test_z2_its_worker_can_still_give_it_back() -> None:
    server, task = held()
    assert lose_task(server, task)
    server.broker.abandon(task.id, worker="w-1", now=server.now)
    assert server.leased() is task
    assert lose_task(server, task)
    server.broker.nack(task.id, worker="w-1", delay_seconds=1, now=server.now)
    server.wait(1)
    assert server.leased() is task


def test_z2_a_task_that_nobody_holds_cannot_be_lost() -> None:
    server, task = finished()
    assert not lose_task(server, task)


# Z3.


def test_z3_a_revoked_task_is_requeued_as_if_its_lease_had_run_out() -> None:
    server, task = held()
    assert revoke_lease(server, task)
    assert (task.status, task.location, task.worker) == (Status.PENDING, Location.DELAYED_ZSET, "")
    assert (task.attempts, server.broker.counters.lease_expired["A"]) == (2, 1)
    assert task.history[-1].what == "lease revoked"


def test_z3_its_worker_is_refused_as_not_in_progress_and_later_as_not_the_owner() -> None:
    server, task = held()
    assert revoke_lease(server, task)
    with pytest.raises(errors.NotInProgress):
        server.submit(task)
    with pytest.raises(errors.NotOwner):
        server.broker.heartbeat(task.id, worker="w-1", now=server.now)
    server.wait(30)
    assert server.leased(worker="w-2") is task
    with pytest.raises(errors.NotOwner):
        server.submit(task)


def test_z3_a_task_on_its_last_attempt_dies_of_it() -> None:
    server, task = held(max_attempts=2)
    assert revoke_lease(server, task)
    assert (task.status, task.location, task.error) == (Status.FAILED, Location.DLQ_SET, "LEASE_EXPIRED")
    assert task.history[-1].what == "lease revoked for the last time"


def test_z3_a_task_that_nobody_holds_cannot_be_revoked() -> None:
    server, task = held()
    assert lose_task(server, task)
    assert not revoke_lease(server, task)


# Z4.


def test_z4_the_next_claim_finds_nothing_and_the_one_after_it_the_task() -> None:
    server = Server()
    task = server.create()
    assert false_empty(server)
    assert server.claim() is None
    assert server.leased() is task


def test_z4_only_one_priority_seems_empty() -> None:
    server = Server()
    low, high = server.create(priority=1), server.create(priority=5)
    assert false_empty(server)
    assert [server.leased(), server.leased()] == [low, high]


def test_z4_the_further_commands_are_still_looked_at() -> None:
    server = Server()
    first, second = server.create("A"), server.create("B")
    assert false_empty(server, "A", "B")
    assert [server.leased("A", "B"), server.leased("A", "B")] == [second, first]


def test_z4_a_task_that_the_claim_itself_brings_back_is_hidden_too() -> None:
    server = Server()
    task = server.create(delay_seconds=5)
    server.wait(5)
    assert false_empty(server)
    assert server.claim() is None
    assert server.leased() is task


def test_z4_a_claim_that_was_refused_leaves_no_copy_behind() -> None:
    server = Server()
    task = server.create()
    assert false_empty(server)
    assert races.end_false_empty(server.broker, ("A",), tenant="acme")
    assert not races.end_false_empty(server.broker, ("A",), tenant="acme")
    assert server.leased() is task


def test_z4_cannot_happen_where_there_is_no_task() -> None:
    server = Server()
    assert not false_empty(server)
    server.create(delay_seconds=5)
    assert not false_empty(server)


# All of them.


def in_turn(server: Server, act: Callable[[Server, Task], object], position: int) -> None:
    """Do something to one of the tasks; what the broker refuses does not matter here."""
    tasks = list(server.broker.store.tasks.values())
    if tasks:
        with suppress(errors.Refused):
            act(server, tasks[position % len(tasks)])


def end(server: Server, task: Task) -> None:
    server.broker.submit(task.id, AGAIN, worker=task.worker or "w-1", now=server.now)


def nack(server: Server, task: Task) -> None:
    server.broker.nack(task.id, worker="w-1", delay_seconds=1, now=server.now)


def abandon(server: Server, task: Task) -> None:
    server.broker.abandon(task.id, worker="w-1", now=server.now)


def heartbeat(server: Server, task: Task) -> None:
    server.broker.heartbeat(task.id, worker="w-1", extend_seconds=2, now=server.now)


# Z5, Z6, and the race that no clause has.


def test_z5_each_of_two_results_at_the_same_moment_sends_its_callback() -> None:
    server, task = finished(webhook="http://127.0.0.1/hook")
    assert races.can_end_twice(server.broker, task.id, now=server.now)
    with races.overlooking(server.broker, end=task.id):
        server.submit(task, AGAIN)
    assert [due.result for due in server.tries()] == [DONE.result, AGAIN.result]
    assert server.broker.result(task.id)[1].result == AGAIN.result


def test_z5_a_later_result_is_refused() -> None:
    server, task = finished()
    server.wait(0.1)
    assert not races.can_end_twice(server.broker, task.id, now=server.now)
    with pytest.raises(errors.NotInProgress):
        server.submit(task, AGAIN)


def test_only_the_worker_of_a_result_can_undo_the_end_and_only_at_the_same_moment() -> None:
    server, task = finished()
    can_undo = partial(races.can_undo_end, server.broker, task.id)
    assert [can_undo(worker=worker, now=server.now) for worker in ("w-1", "w-2")] == [True, False]
    server.wait(0.1)
    assert not can_undo(worker="w-1", now=server.now)


def test_z6_two_creates_at_the_same_moment_make_a_task_each_and_the_key_is_that_of_the_last() -> None:
    server = Server()
    first = server.create(idempotency_key="k")
    assert races.can_make_twice(server.broker, "k", now=server.now)
    with races.overlooking(server.broker, key="k"):
        second = server.create(idempotency_key="k")
    assert first is not second
    assert server.create(idempotency_key="k") is second
    server.wait(0.1)
    assert not races.can_make_twice(server.broker, "k", now=server.now)


TO_A_TASK = (redeliver_finished, lose_task, revoke_lease, end, nack, abandon, heartbeat)
STEPS = st.one_of(
    st.sampled_from([0, 0, 2]).map(lambda delay: lambda server: server.create(delay_seconds=delay, max_attempts=4)),
    st.just(lambda server: server.claim(lease_seconds=2)),
    st.just(false_empty),
    st.sampled_from([0.3, 1, 7]).map(lambda seconds: lambda server: server.wait(seconds)),
    st.builds(
        lambda act, position: partial(in_turn, act=act, position=position),
        st.sampled_from(TO_A_TASK),
        st.integers(0, 5),
    ),
)


@given(st.lists(STEPS, max_size=40))
def test_whatever_races_there_were_the_state_holds_together_and_can_be_handed_on(
    steps: Sequence[Callable[[Server], object]],
) -> None:
    server = Server()
    for step in steps:
        step(server)
        server.effects()
    state = dump(server.broker)
    again = Server()
    load(again.broker, state)
    assert dump(again.broker) == state
    stats = server.broker.queue_stats("A", tenant="acme")
    assert stats.in_progress == sum(task.state.name == "LEASED" for task in server.broker.store.tasks.values())
