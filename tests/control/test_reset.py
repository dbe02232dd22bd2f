"""The control API's reset: an empty fake, with another setup if one is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.control.support import NOW, claim, create, get, refusal

if TYPE_CHECKING:
    import httpx


def test_a_reset_empties_and_keeps_settings_and_clock(http: httpx.Client) -> None:
    empty = get(http, "state")
    create(http)
    claim(http)
    health = get(http, "health")
    assert http.post("/_fake/reset").json() == health
    assert get(http, "state") == empty
    assert (get(http, "requests"), get(http, "callbacks")) == ({"requests": []}, {"callbacks": []})


def test_a_reset_may_change_the_setup(http: httpx.Client) -> None:
    create(http)
    setup = {
        "profile": "kvrocks-2.9",
        "settings": {"MAX_ATTEMPTS_DEFAULT": "3", "BACKOFF_POLICY": "fixed"},
        "yaml": "timezone: UTC",
        "identities": {"ann": {"kind": "producer", "claims": {"sub": "ann", "tenantId": "acme"}}},
        "clock": "manual",
        "now": "2020-01-01T00:00:00Z",
    }
    health = http.post("/_fake/reset", json=setup).json()
    assert (health["profile"], health["clock"], health["now"]) == ("kvrocks-2.9", "manual", "2020-01-01T00:00:00Z")
    assert get(http, "tasks") == {"tasks": []}
    created = http.post(
        "/v1/codeq/tasks", headers={"authorization": "Bearer ann"}, json={"command": "A", "payload": 1}
    ).json()
    assert (created["maxAttempts"], created["tenantId"], created["createdAt"]) == (3, "acme", "2020-01-01T00:00:00Z")
    assert http.post("/v1/codeq/tasks", json={"command": "A", "payload": 1}).status_code == 401


def test_a_later_reset_keeps_the_new_setup(http: httpx.Client) -> None:
    http.post("/_fake/reset", json={"profile": "kvrocks-2.9", "now": "2020-01-01T00:00:00Z"})
    http.post("/_fake/clock/advance", json={"seconds": 1})
    health = http.post("/_fake/reset", json={}).json()
    assert (health["profile"], health["now"]) == ("kvrocks-2.9", "2020-01-01T00:00:01Z")


@pytest.mark.parametrize(
    ("setup", "clock"),
    [
        ({"now": "2020-01-01T00:00:00Z"}, ("manual", "2020-01-01T00:00:00Z")),
        ({"clock": "manual"}, ("manual", NOW)),
        ({"clock": None, "now": None}, ("manual", NOW)),
    ],
)
def test_a_reset_changes_only_what_it_names_of_the_clock(
    http: httpx.Client, setup: Any, clock: tuple[str, str]
) -> None:
    health = http.post("/_fake/reset", json=setup).json()
    assert (health["clock"], health["now"]) == clock


def test_a_reset_may_let_the_clock_run(http: httpx.Client) -> None:
    health = http.post("/_fake/reset", json={"clock": "real"}).json()
    assert health["clock"] == "real"
    assert health["now"].startswith("2026-01-31T12:00:")


@pytest.mark.parametrize(
    ("setup", "text"),
    [
        ({"profile": "redis-8"}, "profile: found 'redis-8', allowed are redis, kvrocks-2.8, kvrocks-2.9"),
        ({"profile": ["redis"]}, "profile: found ['redis']"),
        ({"clock": "fast"}, "clock: found 'fast', allowed are real and manual"),
        ({"now": "now"}, "found 'now' where an RFC 3339 time"),
        ({"settings": {"MAX_ATTEMPTS_DEFAULT": "many"}}, "MAX_ATTEMPTS_DEFAULT: found 'many'"),
        ({"settings": {"MAX_ATTEMPTS_DEFAULT": 3}}, "settings.MAX_ATTEMPTS_DEFAULT: found 3, a text belongs here"),
        ({"settings": {"MAX_ATEMPTS_DEFAULT": "3"}}, "MAX_ATEMPTS_DEFAULT: unknown; MAX_ATTEMPTS_DEFAULT is known"),
        ({"settings": [1]}, "settings: found [1], an object belongs here"),
        ({"yaml": 5}, "yaml: found 5, a text belongs here"),
        ({"yaml": "a: ["}, "the YAML settings: no valid YAML"),
        ({"identities": ["ann"]}, "identities: found no mapping"),
        ({"identities": {"ann": {"kind": "boss"}}}, "identities: ann has kind 'boss'"),
        ({"speed": 2}, "unknown: speed; known are profile, settings, yaml, identities, clock, now"),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"now": "2020-01-01T00:00:00Z", "profile": "kvrocks-2.9"}])
def test_an_invalid_setup_changes_nothing(
    http: httpx.Client, setup: dict[str, Any], beside: dict[str, Any], text: str
) -> None:
    create(http)
    before, health = get(http, "state"), get(http, "health")
    status, told = refusal(http.post("/_fake/reset", json=beside | setup))
    assert (status, told[: len(text)]) == (400, text)
    assert (get(http, "state"), get(http, "health")) == (before, health)
