"""The control API's clock: read, set and advanced, to the nanosecond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake import __version__
from tests.control.support import ID, NOW, claim, create, get, refusal

if TYPE_CHECKING:
    import httpx


def test_health_shows_version_profile_and_clock(http: httpx.Client) -> None:
    assert get(http, "health") == {
        "status": "ok",
        "version": __version__,
        "profile": "redis",
        "now": NOW,
        "clock": "manual",
    }


def test_the_clock_is_read_and_set(http: httpx.Client) -> None:
    assert get(http, "clock") == {"now": NOW, "mode": "manual"}
    later = "2026-02-01T00:00:00.25Z"
    assert http.put("/_fake/clock", json={"now": later}).json() == {"now": later, "mode": "manual"}
    assert get(http, "clock") == {"now": later, "mode": "manual"}


def test_an_instant_may_have_any_offset(http: httpx.Client) -> None:
    assert http.put("/_fake/clock", json={"now": "2026-01-31T14:00:00+01:00"}).json()["now"] == "2026-01-31T13:00:00Z"


@pytest.mark.parametrize("body", [{}, {"now": None}, {"mode": None}, None])
def test_setting_the_clock_to_nothing_changes_nothing(http: httpx.Client, body: Any) -> None:
    assert http.put("/_fake/clock", json=body).json() == {"now": NOW, "mode": "manual"}


def test_the_clocks_mode_is_set(http: httpx.Client) -> None:
    running = http.put("/_fake/clock", json={"mode": "real"}).json()
    assert running["mode"] == "real"
    assert running["now"].startswith("2026-01-31T12:00:")
    stands = http.put("/_fake/clock", json={"mode": "manual"}).json()
    assert get(http, "clock") == stands
    assert stands["mode"] == "manual"


def test_a_clock_that_is_set_and_stopped_stands_at_exactly_that_time(http: httpx.Client) -> None:
    http.put("/_fake/clock", json={"mode": "real"})
    later = {"now": "2026-02-01T00:00:00Z", "mode": "manual"}
    assert http.put("/_fake/clock", json=later).json() == later


def test_setting_the_clock_of_an_empty_fake_fires_nothing(http: httpx.Client) -> None:
    http.put("/_fake/clock", json={"now": "2027-01-31T12:00:00Z"}).raise_for_status()
    advanced = http.post("/_fake/clock/advance", json={"seconds": 0}).json()
    assert (advanced["now"], advanced["fired"]) == ("2027-01-31T12:00:00Z", 0)
    assert (get(http, "requests"), get(http, "callbacks")) == ({"requests": []}, {"callbacks": []})


def test_setting_the_clock_of_a_fake_that_holds_something_advances(http: httpx.Client) -> None:
    create(http, webhook="http://203.0.113.1/")
    claim(http)
    http.post(f"/v1/codeq/tasks/{ID}/result", json={"status": "COMPLETED", "result": {}}).raise_for_status()
    http.put("/_fake/clock", json={"now": "2026-01-31T13:00:00Z"}).raise_for_status()
    assert [callback["state"] for callback in get(http, "callbacks")["callbacks"]] == ["blocked"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (
            {"now": "2026-01-31T11:59:59Z"},
            409,
            f"time never goes back: it is {NOW}, and 2026-01-31T11:59:59Z is in the past",
        ),
        ({"now": "2026-01-31T11:59:59Z", "mode": "real"}, 409, "time never goes back"),
        ({"now": "tomorrow"}, 400, "found 'tomorrow' where an RFC 3339 time such as 2026-01-31T12:00:00Z belongs"),
        ({"now": 0}, 400, "found 0 where an RFC 3339 time"),
        ({"now": "9999-12-31T23:59:59.5-00:01"}, 400, "the clock ends with the year 9999"),
        ({"mode": "fast"}, 400, "mode: found 'fast', allowed are real and manual"),
        ({"mode": []}, 400, "mode: found [], allowed are real and manual"),
        ({"to": NOW}, 400, "unknown: to; known are now, mode"),
    ],
)
def test_an_invalid_setting_leaves_the_clock(http: httpx.Client, body: Any, status: int, text: str) -> None:
    found, told = refusal(http.put("/_fake/clock", json=body))
    assert (found, told[: len(text)]) == (status, text)
    assert get(http, "clock") == {"now": NOW, "mode": "manual"}


@pytest.mark.parametrize(
    ("body", "now"),
    [
        ({"seconds": 61}, "2026-01-31T12:01:01Z"),
        ({"seconds": 0}, NOW),
        ({"seconds": 0.000_000_001}, "2026-01-31T12:00:00.000000001Z"),
        ({"to": "2026-01-31T12:00:00.5Z"}, "2026-01-31T12:00:00.5Z"),
        ({"to": NOW}, NOW),
        ({"to": NOW, "seconds": None}, NOW),
    ],
)
def test_advancing_answers_with_the_new_instant(http: httpx.Client, body: Any, now: str) -> None:
    assert http.post("/_fake/clock/advance", json=body).json()["now"] == now


def test_advancing_is_exact_to_the_nanosecond(http: httpx.Client) -> None:
    reply = http.post("/_fake/clock/advance", content=b'{"seconds": 86400000.123456789}')
    assert reply.json()["now"] == "2028-10-27T12:00:00.123456789Z"


def test_advancing_says_how_much_fired(http: httpx.Client) -> None:
    http.post("/v1/codeq/workers/subscriptions", json={"callbackUrl": "http://app.test/"}).raise_for_status()
    assert http.post("/_fake/clock/advance", json={"seconds": 300}).json()["fired"] == 1  # the sweep that deletes it


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        ('{"to": "2026-01-31T11:00:00Z"}', 409, "time never goes back"),
        ('{"seconds": -1}', 400, "seconds: a number that is not negative belongs here"),
        ('{"seconds": "60"}', 400, "seconds: a number"),
        ('{"seconds": true}', 400, "seconds: a number"),
        ('{"seconds": 1e13}', 400, "seconds: a number"),
        ('{"seconds": 1e12}', 400, "the clock ends with the year 9999"),
        ('{"seconds": 1e99999999999999999999}', 400, "the body is not JSON"),
        ('{"seconds": NaN}', 400, "the body is not JSON"),
        ('{"to": 5}', 400, "found 5 where"),
        ("{}", 400, 'give either {"seconds": number} or {"to": RFC 3339 time}'),
        ("", 400, "give either"),
        ('{"seconds": 1, "to": "2027-01-31T12:00:00Z"}', 400, "give either"),
        ('{"minutes": 1}', 400, "unknown: minutes; known are seconds, to"),
    ],
)
def test_an_invalid_advance_leaves_the_clock(http: httpx.Client, content: str, status: int, text: str) -> None:
    found, told = refusal(http.post("/_fake/clock/advance", content=content))
    assert (found, told[: len(text)]) == (status, text)
    assert get(http, "clock")["now"] == NOW
