"""Rate limits: token buckets (L1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core import RateLimit
from codeq_fake.core.rate_limits import RateLimiter
from codeq_fake.core.times import SECOND
from tests.core.support import START, Server

MICROSECOND = SECOND // 1_000_000
SIX_A_MINUTE = RateLimit(requests_per_minute=6, burst_size=2)


def test_l1_is_off_by_default() -> None:
    server = Server()
    assert {server.broker.admit("producer", "t", "create_task", now=START) for _ in range(1000)} == {0}


@pytest.mark.parametrize("limit", [RateLimit(0, 5), RateLimit(5, 0), RateLimit(-1, 5), RateLimit(5, -1)])
def test_l1_a_limit_without_a_rate_or_a_burst_is_none(limit: RateLimit) -> None:
    limiter = RateLimiter({"producer": limit})
    assert {limiter.admit("producer", "t", now=START) for _ in range(1000)} == {0}


def test_l1_the_smallest_limit_is_one() -> None:
    limiter = RateLimiter({"producer": RateLimit(requests_per_minute=1, burst_size=1)})
    assert [limiter.admit("producer", "t", now=START) for _ in range(2)] == [0, 60]


def test_l1_a_bucket_holds_a_burst_and_is_refilled_continuously() -> None:
    limiter = RateLimiter({"producer": SIX_A_MINUTE})
    now = START
    assert [limiter.admit("producer", "t", now=now) for _ in range(3)] == [0, 0, 10]
    assert limiter.admit("producer", "t", now=now + 10 * SECOND - 1) == 1
    now += 10 * SECOND
    assert [limiter.admit("producer", "t", now=now) for _ in range(2)] == [0, 10]
    now += 1000 * SECOND
    assert [limiter.admit("producer", "t", now=now) for _ in range(3)] == [0, 0, 10]


@pytest.mark.parametrize(("after", "wait"), [(0, 10), (1, 9), (2.5, 8), (9, 1), (9.9, 1)])
def test_l1_the_wait_is_in_whole_seconds_rounded_up(after: float, wait: int) -> None:
    limiter = RateLimiter({"producer": RateLimit(requests_per_minute=6, burst_size=1)})
    limiter.admit("producer", "t", now=START)
    assert limiter.admit("producer", "t", now=START + round(after * SECOND)) == wait


def test_l1_the_wait_is_at_least_a_second() -> None:
    limiter = RateLimiter({"producer": RateLimit(requests_per_minute=6000, burst_size=1)})
    limiter.admit("producer", "t", now=START)
    assert limiter.admit("producer", "t", now=START) == 1


def test_l1_a_refused_call_takes_no_token() -> None:
    limiter = RateLimiter({"producer": RateLimit(requests_per_minute=15, burst_size=1)})
    waits = [limiter.admit("producer", "t", now=START + second * SECOND) for second in range(5)]
    assert waits == [0, 3, 2, 1, 0]


def test_l1_each_scope_and_token_has_its_bucket() -> None:
    limiter = RateLimiter({"producer": RateLimit(6, 1), "worker": RateLimit(6, 1)})
    assert [limiter.admit(scope, key, now=START) for scope in ("producer", "worker") for key in ("t", "u")] == [0] * 4
    assert limiter.admit("admin", "t", now=START) == 0
    assert limiter.admit("producer", "t", now=START) == 10


@given(st.integers(1, 600), st.integers(1, 10), st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_l1_no_more_is_let_through_than_the_burst_and_the_refill(rate: int, burst: int, gaps: list[int]) -> None:
    limiter = RateLimiter({"producer": RateLimit(rate, burst)})
    now, admitted = START, 0
    for gap in gaps:
        now += gap * SECOND
        wait = limiter.admit("producer", "t", now=now)
        admitted += wait == 0
        if wait:  # L1: after that wait a call is allowed, apart from rounding
            probe = RateLimiter({"producer": RateLimit(rate, burst)})
            probe.buckets |= limiter.buckets
            assert probe.admit("producer", "t", now=now + wait * SECOND + MICROSECOND) == 0
    assert admitted <= burst + (now - START) / SECOND * rate / 60 + 1e-6


def test_full_buckets_are_forgotten_when_there_are_very_many() -> None:
    limiter = RateLimiter({"producer": RateLimit(requests_per_minute=60, burst_size=1)})
    for number in range(10_000):
        limiter.admit("producer", f"early-{number}", now=START)
    limiter.admit("producer", "late", now=START + SECOND // 2)
    assert len(limiter.buckets) == 10_001  # none is full yet
    limiter.admit("producer", "last", now=START + SECOND)
    assert sorted(key for _, key in limiter.buckets) == ["last", "late"]


def test_l2_refusals_are_counted_by_scope_and_operation() -> None:
    server = Server(rate_limit={"worker": RateLimit(6, 1)})
    waits = [server.broker.admit("worker", "t", "claim", now=START) for _ in range(3)]
    assert waits == [0, 10, 10]
    assert server.broker.counters.rate_limited == {("worker", "claim"): 2}
