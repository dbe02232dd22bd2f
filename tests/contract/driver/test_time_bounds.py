"""When leases and delays end, store by store (K8, C7), against the contract's own examples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_contract.driver.time_bounds import Span, TimeBounds
from codeq_contract.recordings.times import MILLISECOND, SECOND
from codeq_contract.stores import STORES

NOON = 1_800_000_000 * SECOND

moments = st.integers(0, 10**6).map(lambda microseconds: NOON + microseconds * 1000)


@pytest.mark.parametrize(
    ("profile", "milliseconds", "expected"),
    [
        ("redis", 300, 300 + 10_000 - 499),
        ("kvrocks-2.9", 300, 300 + 10_000 - 999),
        ("kvrocks-2.8", 300, 10_000 - 999),
        ("kvrocks-2.8", 501, 11_000 - 999),
        ("pebble", 300, 10_000),
    ],
)
def test_k8_a_lease_of_10_seconds_ends_exactly_then(profile: str, milliseconds: int, expected: int) -> None:
    claimed = NOON + milliseconds * MILLISECOND
    end = TimeBounds(profile, exact=True, patience=1).lease_end(claimed, claimed, 10)
    assert end == Span(NOON + expected * MILLISECOND, NOON + expected * MILLISECOND)


def test_a_report_contains_the_tolerances() -> None:
    assert TimeBounds("any", exact=False, patience=30).table == {
        "profile": "any",
        "exact": False,
        "patience": 30,
        "lease_ends_early_at_least": 0.5,
        "lease_ends_early_at_most": 1.5,
        "delay_ends_early_at_most": 1.0,
        "clocks_differ_at_most": 0.05,
    }


@given(claimed=moments, seconds=st.integers(1, 600), profile=st.sampled_from(sorted(STORES)), until=moments)
def test_the_bounds_in_real_time_contain_every_exact_moment(
    claimed: int, seconds: int, profile: str, until: int
) -> None:
    called, returned = sorted((claimed, until))
    exact = TimeBounds(profile, exact=True, patience=1)
    real = TimeBounds(profile, exact=False, patience=1)
    for name in ("lease_end", "lease_gone", "delay_end"):
        precise = getattr(exact, name)(claimed, claimed, seconds)
        tolerated = getattr(real, name)(called, returned, seconds)
        assert tolerated.earliest <= precise.earliest <= precise.latest <= tolerated.latest
