"""NACK (N1 to N6), with the backoff policies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core import CoreSettings, Location, NackOutcome, Status, Submission, errors
from codeq_fake.core.backoff import delay
from codeq_fake.core.times import SECOND
from tests.core.support import START, Fate, Server

POLICIES = ("fixed", "linear", "exponential", "exp_equal_jitter", "exp_full_jitter")


def nack(server: Server, task_id: str, *, delay_seconds: int = 0, reason: str = "") -> NackOutcome:
    return server.broker.nack(task_id, worker="w-1", delay_seconds=delay_seconds, reason=reason, now=server.now)


def test_n1_an_unknown_task_is_refused() -> None:
    with pytest.raises(errors.TaskNotFound):
        nack(Server(), "missing")


def test_n1_a_task_of_another_worker_is_refused() -> None:
    server = Server()
    server.create()
    task = server.leased(worker="w-2")
    with pytest.raises(errors.NotOwner):
        nack(server, task.id)


@pytest.mark.parametrize("submission", [Submission("COMPLETED", "{}"), Submission("FAILED", error="torn")])
def test_n1_a_finished_task_has_no_worker(submission: Submission) -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.submit(task, submission)
    with pytest.raises(errors.NotOwner):
        nack(server, task.id)


def test_n1_a_task_can_be_nacked_once() -> None:
    server = Server()
    task = server.create()
    server.leased()
    nack(server, task.id)
    with pytest.raises(errors.NotOwner):
        nack(server, task.id)


def test_n2_attempts_count_claims_and_nacks() -> None:
    server = Server()
    task = server.create(max_attempts=5)
    attempts = []
    for _ in range(2):
        server.wait(1)
        server.leased()
        nack(server, task.id, delay_seconds=1)
        attempts.append(task.attempts)
    server.wait(1)
    server.leased()
    assert attempts == [2, 4]
    assert nack(server, task.id) == NackOutcome(dead=True, delay_seconds=0)
    assert task.attempts == 6


@pytest.mark.parametrize(("max_attempts", "deliveries"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3)])
def test_n2_so_many_attempts_are_so_many_deliveries(max_attempts: int, deliveries: int) -> None:
    server = Server()
    task = server.create(max_attempts=max_attempts)
    delivered = 0
    while server.claim() is not None:
        delivered += 1
        nack(server, task.id, delay_seconds=1)
        server.wait(1)
    assert delivered == deliveries
    assert task.location is Location.DLQ_SET


def test_n3_a_nacked_task_waits_out_the_delay_asked_for() -> None:
    server = Server()
    task = server.create()
    server.leased()
    server.wait(2)
    assert nack(server, task.id, delay_seconds=3, reason="busy") == NackOutcome(dead=False, delay_seconds=3)
    assert (task.status, task.location, task.visible_at) == (
        Status.PENDING,
        Location.DELAYED_ZSET,
        START + 5 * SECOND,
    )
    assert (task.worker, task.lease_until, task.error, task.updated_at) == ("", 0, "", START + 2 * SECOND)
    server.wait(2.999)
    assert server.claim() is None
    server.wait(ms=1)
    assert server.claim() is task


def test_n3_the_error_of_an_earlier_end_is_cleared() -> None:
    server = Server()
    task = server.create()
    server.leased()
    task.error = "torn"
    nack(server, task.id)
    assert task.error == ""


@pytest.mark.parametrize("asked", [None, 0, -1, -(2**63)])
def test_n3_without_a_delay_the_policy_says_it_by_the_attempts_before(asked: int | None) -> None:
    server = Server(backoff_policy="exponential", backoff_base_seconds=5)
    task = server.create()
    server.leased()
    delay_asked: dict[str, Any] = {} if asked is None else {"delay_seconds": asked}
    assert server.broker.nack(task.id, worker="w-1", **delay_asked, now=server.now).delay_seconds == 10


@pytest.mark.parametrize(("asked", "given"), [(899, 899), (900, 900), (901, 900), (2**63 - 1, 900)])
def test_n3_a_delay_is_capped(asked: int, given: int) -> None:
    server = Server(backoff_max_seconds=900)
    task = server.create()
    server.leased()
    assert nack(server, task.id, delay_seconds=asked).delay_seconds == given


@pytest.mark.parametrize(("reason", "error"), [("", "MAX_ATTEMPTS"), ("busy", "busy"), (" ", " ")])
def test_n4_the_last_nack_ends_in_the_dead_letter_queue(reason: str, error: str) -> None:
    server = Server()
    task = server.create(max_attempts=2, webhook="http://hooks.test/")
    server.leased()
    server.wait(2)
    assert nack(server, task.id, delay_seconds=60, reason=reason) == NackOutcome(dead=True, delay_seconds=0)
    assert (task.status, task.location, task.error) == (Status.FAILED, Location.DLQ_SET, error)
    assert (task.worker, task.lease_until, task.updated_at) == ("", 0, START + 2 * SECOND)


def test_n4_a_dead_letter_has_no_result_and_calls_nobody_back() -> None:
    server = Server()
    task = server.create(max_attempts=1, webhook="http://hooks.test/")
    server.leased()
    nack(server, task.id)
    assert server.effects() == []
    with pytest.raises(errors.ResultNotFound):
        server.broker.result(task.id)


def test_n4_a_dead_letter_is_never_claimed_again() -> None:
    server = Server()
    task = server.create(max_attempts=1)
    server.leased()
    nack(server, task.id)
    server.wait(1_000_000)
    assert server.claim() is None
    assert server.broker.queue_stats("A", tenant="acme").dead == 1


def test_n5_a_nack_with_that_reason_is_still_the_workers() -> None:
    server = Server()
    task = server.create(max_attempts=1)
    server.leased()
    nack(server, task.id, reason="LEASE_EXPIRED")
    assert (task.error, task.history[-1].what, task.history[-1].by) == (
        "LEASE_EXPIRED",
        "nacked for the last time",
        "w-1",
    )


#: What each policy makes of base 5 and max 900, with the least and the most luck, after 0 to 8 attempts.
DELAYS = [
    ("fixed", 0, [5, 5, 5, 5, 5, 5, 5, 5, 5]),
    ("linear", 0, [5, 5, 10, 15, 20, 25, 30, 35, 40]),
    ("exponential", 0, [5, 10, 20, 40, 80, 160, 320, 640, 900]),
    ("exp_equal_jitter", 0, [2, 5, 10, 20, 40, 80, 160, 320, 450]),
    ("exp_equal_jitter", 100, [4, 10, 20, 40, 80, 160, 320, 640, 900]),
    ("exp_full_jitter", 0, [0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ("exp_full_jitter", 100, [5, 10, 20, 40, 80, 160, 320, 640, 900]),
]


@pytest.mark.parametrize(("policy", "luck", "delays"), DELAYS)
def test_n6_each_policy_has_its_delays(policy: str, luck: int, delays: list[int]) -> None:
    fate = Fate()
    fate.luck = luck
    settings = CoreSettings(backoff_policy=policy, backoff_base_seconds=5, backoff_max_seconds=900)
    assert [delay(settings, attempts, fate) for attempts in range(9)] == delays


def test_n6_an_unknown_policy_is_the_default_one() -> None:
    assert CoreSettings().backoff_policy == "exp_full_jitter"
    fate = Fate()
    fate.luck = 50
    assert delay(CoreSettings(backoff_policy="bogus"), 1, fate) == delay(CoreSettings(), 1, fate) == 5


@given(
    st.sampled_from(POLICIES),
    st.integers(1, 2**63 - 1),
    st.integers(1, 2**63 - 1),
    st.integers(0, 2**31),
    st.integers(0, 100),
)
def test_n6_no_delay_is_negative_or_above_the_cap(policy: str, base: int, most: int, attempts: int, luck: int) -> None:
    fate = Fate()
    fate.luck = luck
    waited = delay(
        CoreSettings(backoff_policy=policy, backoff_base_seconds=base, backoff_max_seconds=most), attempts, fate
    )
    assert 0 <= waited <= most
