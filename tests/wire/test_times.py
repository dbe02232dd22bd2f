"""Reading (C6, R16) and writing of times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.wire import BadTime, parse_rfc3339, reformat_rfc3339, rfc3339_nano, rfc3339_seconds

SAO_PAULO = ZoneInfo("America/Sao_Paulo")
SECOND = 1_000_000_000
IN_2099 = 4_070_908_800 * SECOND  # 2099-01-01T00:00:00Z
ZONES = st.sampled_from([SAO_PAULO, ZoneInfo("UTC"), ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")])
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ns_since_epoch(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1) * 1000


# From the year 1 to 9998: clear of the edges that a time zone's offset could cross.
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC)).map(ns_since_epoch)  # noqa: DTZ001 - UTC is added


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2099-01-01T00:00:00Z", IN_2099),
        ("2099-01-01T0:00:00Z", IN_2099),
        ("2099-01-01T00:00:00.5Z", IN_2099 + SECOND // 2),
        ("2099-01-01T00:00:00,5Z", IN_2099 + SECOND // 2),
        ("2099-01-01T00:00:00.123456789Z", IN_2099 + 123_456_789),
        ("2099-01-01T00:00:00.1234567899999Z", IN_2099 + 123_456_789),
        ("2099-01-01T00:00:00+00:00", IN_2099),
        ("2099-01-01T00:00:00-00:00", IN_2099),
        ("2099-01-01T00:00:00+02:00", IN_2099 - 7200 * SECOND),
        ("2099-01-01T00:00:00-03:30", IN_2099 + 12_600 * SECOND),
        ("2099-01-01T00:00:00+24:00", IN_2099 - 86_400 * SECOND),
        ("2099-01-01T00:00:00-24:60", IN_2099 + 90_000 * SECOND),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2024-02-29T00:00:00Z", 1_709_164_800 * SECOND),
        ("0001-01-01T00:00:00Z", -62_135_596_800 * SECOND),
        ("0000-02-29T00:00:00Z", -62_162_121_600 * SECOND),
        ("9999-12-31T23:59:59Z", 253_402_300_799 * SECOND),
    ],
)
def test_a_time_is_nanoseconds_since_the_epoch(text: str, ns: int) -> None:
    assert parse_rfc3339(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2099-01-01", "2099-01-01T00:00:00", "2099-01-01T00:00Z", "1700000000"),
        *("2099-01-01t00:00:00Z", "2099-01-01T00:00:00z", "2099-01-01 00:00:00Z"),
        *(" 2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z ", "2099-01-01T00:00:00Z\n"),
        *("2099-1-01T00:00:00Z", "2099-01-1T00:00:00Z", "2099-01-01T00:0:00Z", "2099-01-01T00:00:0Z"),
        *("99-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "-099-01-01T00:00:00Z", "+099-01-01T00:00:00Z"),
        *("2099-00-01T00:00:00Z", "2099-13-01T00:00:00Z", "2099-01-00T00:00:00Z", "2099-01-32T00:00:00Z"),
        *("2099-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2099-04-31T00:00:00Z"),
        *("2099-01-01T24:00:00Z", "2099-01-01T00:60:00Z", "2099-01-01T00:00:60Z", "2099-01-01T123:00:00Z"),
        *("2099-01-01T00:00:00.Z", "2099-01-01T00:00:00,Z", "2099-01-01T00:00:00.5", "2099-01-01T00:00:00;5Z"),
        *(
            "2099-01-01T00:00:00+2:00",
            "2099-01-01T00:00:00+0200",
            "2099-01-01T00:00:00+02",
            "2099-01-01T00:00:00 02:00",
        ),
        *("2099-01-01T00:00:00+25:00", "2099-01-01T00:00:00+00:61", "2099-01-01T00:00:00Z+02:00"),
        *("\u0662\u0660\u0669\u0669-01-01T00:00:00Z", "2099\u221201-01T00:00:00Z"),
    ],
)
def test_what_go_does_not_take_is_a_bad_time(text: str) -> None:
    with pytest.raises(BadTime):
        parse_rfc3339(text)
    with pytest.raises(BadTime):
        reformat_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("2020-01-01T00:00:00.9Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01T5:00:00,123+03:00", "2020-01-01T05:00:00+03:00"),
        ("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00-24:00", "2020-01-01T00:00:00-24:00"),
        ("2020-01-01T00:00:00+01:60", "2020-01-01T00:00:00+02:00"),
        ("1969-12-31T23:59:59.5-00:30", "1969-12-31T23:59:59-00:30"),
        ("0000-01-01T00:00:00+01:00", "0000-01-01T00:00:00+01:00"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_a_time_is_named_again_in_its_own_offset_and_in_whole_seconds(text: str, named: str) -> None:
    assert reformat_rfc3339(text) == named


@pytest.mark.parametrize(
    ("fraction", "written"),
    [(0, ""), (1, ".000000001"), (500_000_000, ".5"), (120_000_000, ".12"), (100, ".0000001"), (999_999_999,) * 2],
)
def test_a_fraction_has_no_trailing_zeros(fraction: int, written: str | int) -> None:
    written = f".{written}" if isinstance(written, int) else written
    assert rfc3339_nano(IN_2099 + fraction, ZoneInfo("UTC")) == f"2099-01-01T00:00:00{written}Z"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-24T06:09:50.25Z", "2026-11-24T03:09:50.25-03:00"),
        ("2018-12-01T00:00:00Z", "2018-11-30T22:00:00-02:00"),  # summer time, which Brazil gave up in 2019
        ("1900-01-01T00:00:00Z", "1899-12-31T20:53:32-03:06"),  # local mean time, 3:06:28 behind
    ],
)
def test_a_time_is_written_in_the_servers_time_zone(text: str, written: str) -> None:
    assert rfc3339_nano(parse_rfc3339(text), SAO_PAULO) == written


def test_whole_seconds_are_floored() -> None:
    assert rfc3339_seconds(IN_2099 + 999_999_999) == "2099-01-01T00:00:00Z"
    assert rfc3339_seconds(-1) == "1969-12-31T23:59:59Z"


def test_years_of_more_or_less_than_four_digits_are_written_too() -> None:
    assert rfc3339_seconds(253_402_300_800 * SECOND) == "10000-01-01T00:00:00Z"
    assert rfc3339_seconds(-62_167_219_201 * SECOND) == "-0001-12-31T23:59:59Z"
    assert rfc3339_nano(253_402_300_800 * SECOND, SAO_PAULO) == "9999-12-31T21:00:00-03:00"


@given(TIMES, st.integers(0, 999), ZONES)
def test_a_written_time_is_read_back_as_it_was(ns: int, more: int, zone: ZoneInfo) -> None:
    offset = datetime.fromtimestamp(ns // SECOND, zone).utcoffset() or timedelta()
    # An offset of local mean time loses its seconds when it is written.
    lost = offset.total_seconds() % 60 if offset >= timedelta() else -(-offset.total_seconds() % 60)
    assert parse_rfc3339(rfc3339_nano(ns + more, zone)) == ns + more + int(lost) * SECOND


@given(TIMES)
def test_python_agrees_on_whole_seconds(ns: int) -> None:
    assert datetime.fromisoformat(rfc3339_seconds(ns)) == EPOCH + timedelta(seconds=ns // SECOND)
    assert parse_rfc3339(rfc3339_seconds(ns)) == ns // SECOND * SECOND


@given(st.text(alphabet="0123456789-:TZ+., ", max_size=30))
def test_any_text_is_a_time_or_a_bad_one(text: str) -> None:
    try:
        ns = parse_rfc3339(text)
    except BadTime:
        return
    assert parse_rfc3339(reformat_rfc3339(text)) == ns // SECOND * SECOND
