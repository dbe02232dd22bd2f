from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_contract.recordings.times import MILLISECOND, moment_text, parse_moment
from codeq_contract.replay.allowed_differences import AllowedDifferences, Window

NOON = parse_moment("2026-11-24T12:00:00Z")
SHORT = Window(NOON + 300 * MILLISECOND, NOON + 302 * MILLISECOND)
LONG = Window(NOON + 100 * MILLISECOND, NOON + 900 * MILLISECOND)
ACROSS_AN_EDGE = Window(NOON - MILLISECOND, NOON + MILLISECOND)


@given(st.integers(0, parse_moment("9999-12-31T23:59:59.999999999Z")))
def test_a_moment_survives_its_text(moment: int) -> None:
    assert parse_moment(moment_text(moment)) == moment


def test_offsets_count() -> None:
    assert parse_moment("2026-11-24T03:09:57.2-03:00") == parse_moment("2026-11-24T06:09:57.200Z")


@pytest.mark.parametrize("text", ["", "2026-11-24", "2026-11-24T12:00:00", "2026-11-24T12:00:00.Z", "24.11.2026"])
def test_any_other_text_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="not RFC 3339"):
        parse_moment(text)


@pytest.mark.parametrize(
    ("window", "ours", "allowed"),
    [
        (SHORT, "2026-11-24T12:00:00.36Z", True),
        (SHORT, "2026-11-24T12:00:00.24Z", True),
        (SHORT, "2026-11-24T12:00:00.360000001Z", False),
        (LONG, "2026-11-24T12:00:01.1Z", True),
        (LONG, "2026-11-24T12:00:01.100000001Z", False),
    ],
)
def test_a_fractional_timestamp_may_differ_by_60_ms_or_the_duration_of_the_call(
    window: Window, ours: str, *, allowed: bool
) -> None:
    assert AllowedDifferences().allows("createdAt", "2026-11-24T12:00:00.3Z", ours, window) is allowed


def test_a_fraction_must_be_written_as_go_does() -> None:
    assert not AllowedDifferences().allows("createdAt", "2026-11-24T12:00:00.3Z", "2026-11-24T12:00:00.300Z", SHORT)
    assert not AllowedDifferences().allows("createdAt", "2026-11-24T12:00:00.3Z", "2026-11-24T09:00:00.3-03:00", SHORT)


def test_a_whole_second_may_differ_by_one_if_a_second_begins_during_the_call() -> None:
    theirs, next_second = "2026-11-24T12:00:30Z", "2026-11-24T12:00:31Z"
    assert AllowedDifferences().allows("leaseUntil", theirs, next_second, ACROSS_AN_EDGE)
    assert not AllowedDifferences().allows("leaseUntil", theirs, next_second, SHORT)
    assert not AllowedDifferences().allows("leaseUntil", theirs, "2026-11-24T12:00:32Z", ACROSS_AN_EDGE)
    assert not AllowedDifferences().allows("leaseUntil", theirs, "2026-11-24T12:00:30.5Z", ACROSS_AN_EDGE)


def test_a_timestamp_stays_what_it_was_when_it_first_appeared() -> None:
    allowed = AllowedDifferences()
    theirs, ours = "2026-11-24T12:00:00.3Z", "2026-11-24T12:00:01.1Z"
    assert allowed.allows("updatedAt", theirs, ours, LONG)
    assert allowed.allows("updatedAt", theirs, ours, SHORT)
    assert not allowed.allows("updatedAt", theirs, "2026-11-24T12:00:01.1000001Z", SHORT)


def test_no_other_value_may_differ() -> None:
    assert not AllowedDifferences().allows("id", "2026-11-24T12:00:00.3Z", "2026-11-24T12:00:00.31Z", SHORT)
    assert not AllowedDifferences().allows("createdAt", "(absent)", "2026-11-24T12:00:00.31Z", SHORT)


def trace(trace_id: str, span_id: str) -> str:
    return f"00-{trace_id * 32}-{span_id * 16}-01"


def test_ids_of_traces_and_spans_may_differ_but_consistently() -> None:
    allowed = AllowedDifferences()
    assert allowed.allows_trace(trace("a", "1"), trace("b", "2"))
    assert allowed.allows_trace(trace("a", "3"), trace("b", "4"))
    assert not allowed.allows_trace(trace("a", "5"), trace("c", "6"))
    assert not allowed.allows_trace(trace("a", "1"), trace("b", "7"))
    assert not allowed.allows_trace(trace("a", "8"), trace("b", "2"))


def test_a_trace_that_the_caller_named_keeps_its_id() -> None:
    allowed = AllowedDifferences()
    allowed.keep_trace(trace("a", "1"))
    assert allowed.allows_trace(trace("a", "2"), trace("a", "3"))
    assert not allowed.allows_trace(trace("a", "4"), trace("b", "5"))


def test_a_trace_in_another_form_is_no_trace() -> None:
    assert not AllowedDifferences().allows("traceParent", trace("a", "1"), "00-1-2-01", SHORT)
    assert AllowedDifferences().allows_trace("free text", "free text")
