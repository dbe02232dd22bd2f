"""The rules of one lease, with the time as an argument: nothing here waits, sends or sleeps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_client import End, LeaseTerms
from codeq_client._worker.lease_timing import Lease
from codeq_client.errors import ConfigurationError

TERMS = LeaseTerms(60)


def lease(terms: LeaseTerms = TERMS, *, sent: float = 0.0, now: float = 0.0, random: float = 0.0) -> Lease:
    return Lease(terms, sent=sent, now=now, random=lambda: random)


@pytest.mark.parametrize(
    ("store", "margin"), [("kvrocks-2.8", 2.6), ("kvrocks-2.9", 2.1), ("redis", 1.6), ("pebble", 2.1)]
)
def test_the_fence_is_before_the_servers_earliest_rounding(store: str, margin: float) -> None:
    terms = LeaseTerms(60, store=store)  # type: ignore[arg-type]  # parametrized
    assert terms.margin == pytest.approx(margin)
    assert lease(terms, sent=10, now=12).remaining(12) == pytest.approx(58 - margin)


@pytest.mark.parametrize("seconds", [0, 1, 4, 5.5, -60])
def test_a_lease_too_short_to_renew_is_refused(seconds: int) -> None:
    with pytest.raises(ConfigurationError):
        LeaseTerms(seconds)


def test_the_shortest_lease_depends_on_the_store() -> None:
    assert LeaseTerms(4, store="redis").margin == pytest.approx(1.04)
    for store, shortest in (("redis", 4), ("kvrocks-2.9", 4), ("kvrocks-2.8", 5)):
        LeaseTerms(shortest, store=store)  # type: ignore[arg-type]  # a loop's variable
        with pytest.raises(ConfigurationError, match=f"at least {shortest}, not {shortest - 1}"):
            LeaseTerms(shortest - 1, store=store)  # type: ignore[arg-type]  # as above


def test_an_unknown_store_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        LeaseTerms(60, store="kvrocks")  # type: ignore[arg-type]  # the point


def test_a_renewal_is_due_at_a_third_or_a_little_sooner() -> None:
    assert not lease().renewal_due(19.9)
    assert lease().renewal_due(20.0)
    assert lease(random=1.0).renewal_due(18.0)


def test_the_lease_counts_from_when_the_claim_was_sent() -> None:
    polled = lease(sent=0, now=20)
    assert polled.renewal_due(20)
    assert polled.remaining(20) == pytest.approx(37.4)


def test_a_renewal_moves_the_fence_from_when_it_was_sent() -> None:
    kept = lease()
    kept.note_renewal_sent(20)
    kept.note_renewed(29)
    assert kept.remaining(29) == pytest.approx(20 + 57.4 - 29)
    assert not kept.renewal_due(39)
    assert kept.renewal_due(40)


def test_only_one_renewal_is_under_way() -> None:
    kept = lease()
    kept.note_renewal_sent(20)
    assert not kept.renewal_due(30)


def test_an_unknown_outcome_is_retried_with_growing_pauses() -> None:
    kept = lease()
    now, tries = 20.0, []
    for _ in range(6):
        kept.note_renewal_sent(now)
        kept.note_unanswered(now)
        now = kept.next_event()
        tries.append(now)
    assert [after - before for before, after in zip([20.0, *tries], tries, strict=False)] == [0.25, 0.5, 1, 2, 4, 5]


def test_a_confirmation_after_the_fence_revives_nothing() -> None:
    late = lease()
    late.note_renewal_sent(50)
    late.note_renewed(57.5)  # H3: the server confirms a lease that another worker has
    assert late.ended(57.5) is End.EXPIRED
    assert late.remaining(57.5) == 0


def test_a_refused_renewal_ends_the_lease_permanently() -> None:
    gone = lease()
    gone.note_renewal_sent(20)
    gone.note_revoked()
    gone.note_unanswered(20)
    assert gone.ended(20) is End.REVOKED
    gone.note_renewal_sent(21)
    gone.note_renewed(21)
    assert (gone.ended(21), gone.remaining(21)) == (End.REVOKED, 0)


def test_a_stopped_lease_is_not_renewed_and_runs_out() -> None:
    stopped = lease()
    stopped.stop()
    assert not stopped.renewal_due(40)
    assert stopped.next_event() == pytest.approx(57.4)
    assert stopped.lost(57.4)


def test_renew_now_makes_a_renewal_due_at_once() -> None:
    hurried = lease()
    hurried.renew_now(3)
    assert hurried.renewal_due(3)


def test_a_handler_over_max_runtime_keeps_its_lease() -> None:
    capped = lease(LeaseTerms(60, max_runtime=30))
    assert capped.next_event() == 20
    assert capped.ended(29.9) is None
    assert capped.ended(30) is End.OVERDUE
    assert not capped.lost(30)
    assert capped.remaining(30) == pytest.approx(27.4)
    assert not capped.renewal_due(40)


def test_a_handler_without_progress_is_stalled() -> None:
    stalling = lease(LeaseTerms(60, stall=10))
    stalling.progress(8)
    assert stalling.next_event() == 18
    assert stalling.ended(17.9) is None
    assert stalling.ended(18) is End.STALLED


steps = st.lists(st.tuples(st.sampled_from(["sent", "renewed", "unanswered", "tick"]), st.floats(0, 40)), max_size=30)


@given(steps, st.integers(5, 120), st.floats(0, 1))
def test_the_worker_never_acts_longer_than_the_server_holds_the_lease(
    plan: list[tuple[str, float]], seconds: int, jitter: float
) -> None:
    """Against a server that leases at once, ends a lease as early as K8 allows, and revives none (H3)."""
    kept = Lease(LeaseTerms(seconds), sent=0, now=0, random=lambda: jitter)
    now, server_ends, asked = 0.0, seconds - 1.5, None
    for what, pause in plan:
        now += pause
        if what == "sent" and asked is None:
            asked = now
            kept.note_renewal_sent(now)
            if now < server_ends:
                server_ends = now + seconds - 1.5
        elif what == "renewed" and asked is not None:
            asked = None
            kept.note_renewed(now)
        elif what == "unanswered":
            asked = None
            kept.note_unanswered(now)
        if not kept.lost(now):
            assert now + kept.remaining(now) < server_ends


@given(steps, st.floats(0, 1))
def test_an_ended_lease_stays_ended(plan: list[tuple[str, float]], jitter: float) -> None:
    kept = Lease(LeaseTerms(30, max_runtime=50), sent=0, now=0, random=lambda: jitter)
    now, end = 0.0, None
    for what, pause in plan:
        now += pause
        changes = {"sent": kept.note_renewal_sent, "renewed": kept.note_renewed, "unanswered": kept.note_unanswered}
        changes.get(what, kept.ended)(now)
        if end is not None:
            assert kept.ended(now) is end
            assert not kept.renewal_due(now)
        end = kept.ended(now)


@given(st.floats(0, 1), st.lists(st.booleans(), max_size=20))
def test_a_renewal_is_always_due_well_before_the_fence(jitter: float, answered: list[bool]) -> None:
    kept = Lease(TERMS, sent=0, now=0, random=lambda: jitter)
    for yes in answered:
        now = kept.next_event()
        if kept.ended(now):
            return
        assert kept.renewal_due(now)
        kept.note_renewal_sent(now)
        (kept.note_renewed if yes else kept.note_unanswered)(now)
        assert kept.next_event() <= now + 20
