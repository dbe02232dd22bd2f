"""Effects: what programs did outside, which repeats count, and whether the lease of their task held."""

from __future__ import annotations

import re

import pytest

from codeq_fake.simulation.effects import Effect, Effects, is_excused
from codeq_fake.simulation.leases import Leases
from tests.simulation.worlds import SECOND, STARTED_AT, Run


class Outside:
    """Effects whose host and time a test sets."""

    def __init__(self, run: Run | None = None) -> None:
        self.host: str | None = "worker-1"
        self.run = run
        self.at = 0.0
        self.effects = Effects("charge", now=self._now, host=lambda: self.host, leases=self._leases)

    def _now(self) -> float:
        return self.run.now() if self.run else self.at

    def _leases(self) -> Leases:
        return self.run.leases() if self.run else Leases((), (), 0)


def test_an_effect_counts_once_for_each_key() -> None:
    outside = Outside()
    for host in ("worker-1", "worker-2"):
        outside.host = host
        outside.effects.record(3, key="order-3")
        outside.effects.record(4, key=f"{host}-4")
    outside.effects.record(5)
    assert {what: len(entries) for what, entries in outside.effects.counted().items()} == {3: 1, 4: 2, 5: 1}


def test_a_repeat_without_a_key_fails_and_says_who_did_it() -> None:
    outside = Outside()
    outside.effects.record(3, task="abc")
    outside.host, outside.at = "worker-2", 61.25
    outside.effects.record(3, task="abc")
    outside.effects.record(4)
    with pytest.raises(AssertionError) as failure:
        outside.effects.assert_once()
    assert str(failure.value).splitlines() == [
        "charge of 3 was done 2 times:",
        "  3 by worker-1 at 0.0 s without a key, task abc",
        "  3 by worker-2 at 61.2 s without a key, task abc",
    ]


def test_a_test_says_what_may_happen_once() -> None:
    outside = Outside()
    outside.effects.record(("order", 3, "12.50"))
    outside.effects.record(("order", 3, "13.50"))
    outside.effects.assert_once()
    with pytest.raises(AssertionError, match="charge of 3 was done 2 times"):
        outside.effects.assert_once(per=lambda what: what[1])  # type: ignore[index]


def test_a_dead_host_has_no_effect() -> None:
    outside = Outside()
    outside.host = None
    outside.effects.record(3)
    assert outside.effects.entries == []


def test_a_charge_under_a_renewed_lease_is_right(run: Run) -> None:
    outside, task = Outside(run), run.create()
    run.claim("worker-1")
    run.advance(40)
    run.heartbeat("worker-1", task)
    run.advance(40)
    outside.effects.record(1, task=task)
    outside.effects.assert_under_lease()


@pytest.mark.parametrize(
    ("seconds", "claims", "why"),
    [
        (70, 0, "although its lease was over at 60.0 s"),
        (70, 1, "although it did not hold the task any more (lease expired at 70.0 s)"),
        (200, 2, "although worker-2 held the task since"),
    ],
)
def test_a_charge_after_the_lease_fails_and_says_why(run: Run, seconds: float, claims: int, why: str) -> None:
    outside, task = Outside(run), run.create()
    run.claim("worker-1")
    run.advance(seconds)
    for _ in range(claims):
        run.claim("worker-2")
        run.advance(30)
    outside.effects.record(1, task=task)
    with pytest.raises(AssertionError, match=f"task {task}, {re.escape(why)}"):
        outside.effects.assert_under_lease()
    outside.effects.entries.clear()
    outside.host = "worker-2"
    outside.effects.record(1, task=task)
    assert bool(outside.effects.without_lease()) == (claims < 2)


def test_a_charge_after_the_result_fails(run: Run) -> None:
    outside, task = Outside(run), run.create()
    run.claim("worker-1")
    run.finish("worker-1", task)
    run.advance(1)
    outside.effects.record(1, task=task)
    with pytest.raises(AssertionError, match=r"did not hold the task any more \(completed at 0\.0 s\)"):
        outside.effects.assert_under_lease()


def claimed_again(run: Run, task: str, *, arrived: int) -> Leases:
    """Worker-1 claims a task three times, last at 95 s. A result that arrived at this moment ends it at 98 s."""
    for seconds in (65, 30, 3):
        run.claim("worker-1")
        run.advance(seconds)
    run.finish("worker-1", task)
    *others, result = run.requests
    late = result._replace(arrived=STARTED_AT + arrived * SECOND)
    return Leases((*others, late), run.fake.tasks(), STARTED_AT)


def test_a_result_of_an_earlier_claim_that_ends_a_later_one_excuses_its_worker(run: Run) -> None:
    """The server knows a holder by its token, so it takes a result that was under way for long for the new lease."""
    task = run.create()
    leases = claimed_again(run, task, arrived=94)
    assert is_excused(leases, Effect(99.0, "worker-1", 1, task))
    assert not is_excused(leases, Effect(99.0, "worker-2", 1, task))


def test_a_result_of_the_last_claim_excuses_no_one(run: Run) -> None:
    task = run.create()
    leases = claimed_again(run, task, arrived=95)
    assert not is_excused(leases, Effect(99.0, "worker-1", 1, task))


def test_a_race_of_the_server_excuses_a_worker(run: Run) -> None:
    outside, task = Outside(run), run.create()
    run.claim("worker-1")
    run.fake.race("revoke_lease", task)
    outside.effects.record(1, task=task)
    outside.effects.assert_under_lease()


def test_a_deleted_task_excuses_a_worker(run: Run) -> None:
    outside, task = Outside(run), run.create()
    run.claim("worker-1")
    run.fake.delete(task)
    outside.effects.record(1, task=task)
    outside.effects.assert_under_lease()


def test_what_the_test_itself_does_needs_no_lease(run: Run) -> None:
    outside, task = Outside(run), run.create()
    outside.host = ""
    outside.effects.record(1, task=task)
    outside.effects.assert_under_lease()


def test_a_lease_begins_when_a_waiting_claim_gets_its_task_and_not_when_it_was_sent(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    run.advance(65)
    run.claim("worker-2")  # the lease is over: the task waits for its next try
    run.advance(30)
    run.claim("worker-2")
    *others, last = run.requests
    sent_earlier = last._replace(at=STARTED_AT + 61 * SECOND)
    leases = Leases((*others, sent_earlier), run.fake.tasks(), STARTED_AT)
    assert [leases.end(task, at) for at in (64, 94, 95)] == [60, 60, 155]
    assert leases.carried_out_at(sent_earlier, task) == 95
    assert not leases.is_held(task, "worker-1", 64)


def test_a_refused_result_does_not_stand_for_a_later_one(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    run.advance(65)
    run.claim("worker-2")
    assert run.finish("worker-1", task) == 409
    run.advance(30)
    run.claim("worker-1")
    run.finish("worker-1", task)
    assert run.leases().end(task, 95) == 155


def test_a_result_that_nobody_carried_out_does_not_stand_for_a_later_one(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    run.advance(65)
    run.claim("worker-1")
    run.advance(30)
    run.claim("worker-1")
    run.finish("worker-1", task)
    first, *others = run.requests
    hung_up = run.requests[-1]._replace(n=100, at=STARTED_AT + 20 * SECOND, status=0)
    leases = Leases((first, hung_up, *others), run.fake.tasks(), STARTED_AT)
    assert leases.end(task, 95) == 155
    assert leases.carried_out_at(hung_up, task) == 20
    assert leases.carried_out_at(others[-1], task) == 95


def test_a_heartbeat_whose_reply_was_lost_renews_the_lease_in_its_turn(run: Run) -> None:
    task = run.create()
    run.claim("worker-1")
    for _ in range(2):
        run.advance(20)
        run.heartbeat("worker-1", task)
    claim, heartbeat, last = run.requests
    leases = Leases((claim, heartbeat._replace(status=0), last), run.fake.tasks(), STARTED_AT)
    assert [leases.end(task, at) for at in (10, 30, 50)] == [60, 80, 100]
