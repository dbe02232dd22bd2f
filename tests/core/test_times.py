"""The whole-second grain of delays (C6, C7), and durations of 64 bits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core.times import DAY_SECONDS, MILLISECOND, MINUTE, SECOND, floor_to_second, seconds, visible_at
from tests.core.support import START

YEARS_292 = 9_223_372_036  # the most whole seconds that a 64-bit count of nanoseconds holds


@pytest.mark.parametrize(
    ("instant", "second"),
    [(0, 0), (1, 0), (SECOND - 1, 0), (SECOND, SECOND), (-1, -SECOND), (-SECOND, -SECOND)],
)
def test_c7_an_instant_is_floored_to_its_second(instant: int, second: int) -> None:
    assert floor_to_second(instant) == second


@given(st.integers(0, 10**6), st.integers(0, SECOND - 1))
def test_c7_a_delay_ends_with_the_second_in_which_it_would_end(delay: int, fraction: int) -> None:
    now = START + fraction
    visible = visible_at("", delay, now=now)
    if delay == 0:
        assert visible is None
    else:
        assert visible == START + delay * SECOND


def test_instants_are_in_nanoseconds() -> None:
    assert (MILLISECOND, SECOND, MINUTE, DAY_SECONDS) == (10**6, 10**9, 60 * 10**9, 24 * 60 * 60)


@pytest.mark.parametrize(
    ("count", "nanoseconds"),
    [
        (1, SECOND),
        (-1, -SECOND),
        (YEARS_292, YEARS_292 * SECOND),
        (YEARS_292 + 1, (YEARS_292 + 1) * SECOND - 2**64),
        (-YEARS_292 - 1, 2**64 - (YEARS_292 + 1) * SECOND),
        (2**63 - 1, -SECOND),
    ],
)
def test_a_duration_of_more_than_292_years_wraps_around_as_in_go(count: int, nanoseconds: int) -> None:
    assert seconds(count) == nanoseconds


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_duration_is_the_product_modulo_64_bits(count: int) -> None:
    assert -(2**63) <= seconds(count) < 2**63
    assert (seconds(count) - count * SECOND) % 2**64 == 0


def test_c6_a_delay_that_wraps_around_into_the_past_is_none() -> None:
    assert visible_at("", 2**63 - 1, now=START) is None
