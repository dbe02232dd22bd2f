"""The static provider (A3), and the default of the fake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codeq_fake.auth import Authenticator, Forbidden, Refusal, Unauthenticated
from codeq_fake.server_settings import WORKER_SCOPES, Settings
from tests.auth.support import NOW

BARE: dict[str, Any] = {
    "producer": {"token": "p"},
    "worker": {"token": "w", "scopes": ["codeq:claim"], "eventTypes": ["CMD"]},
}
FULL: dict[str, Any] = {
    "producer": {
        "token": "dev-token",
        "subject": "producer-dev",
        "email": "dev@codeq.local",
        "raw": {"role": "ADMIN", "tenantId": "t"},
    },
    "worker": {
        "token": "dev-token",
        "subject": "worker-dev",
        "scopes": list(WORKER_SCOPES),
        "eventTypes": ["*"],
        "raw": {"tenantId": "t"},
    },
}


def authenticator(sides: dict[str, Any]) -> Authenticator:
    environ = {f"{side.upper()}_AUTH_PROVIDER": "static" for side in sides}
    environ |= {f"{side.upper()}_AUTH_CONFIG": json.dumps(config) for side, config in sides.items()}
    return Authenticator.of(Settings.from_env(environ))


@pytest.mark.parametrize("header", ["Bearer dev-token", "Bearer  dev-token", "bearer dev-token", "Bearer dev-token \t"])
def test_a3_white_space_around_the_token_does_not_count(header: str) -> None:
    door = authenticator(FULL)
    assert door.producer(header, now=NOW).subject == "producer-dev"
    assert door.worker(header, "codeq:claim", now=NOW).subject == "worker-dev"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Bearer other", "invalid token"),
        ("Bearer dev-token x", "invalid token"),
        ("dev-token", "invalid Authorization format"),
        (None, "missing Authorization header"),
    ],
)
def test_a3_any_other_token_is_refused(header: str | None, text: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        authenticator(FULL).producer(header, now=NOW)
    assert caught.value.text == text


def test_a3_the_subject_is_static_and_with_it_the_tenant_unless_given() -> None:
    door = authenticator(BARE)
    for caller in (door.producer("Bearer p", now=NOW), door.worker("Bearer w", "codeq:claim", now=NOW)):
        assert (caller.subject, caller.tenant) == ("static", "static")


def test_a5_a_static_worker_has_the_scopes_and_event_types_that_are_configured() -> None:
    door = authenticator(BARE)
    assert door.worker("Bearer w", "codeq:claim", now=NOW).event_types == ("CMD",)
    with pytest.raises(Forbidden):
        door.worker("Bearer w", "codeq:heartbeat", now=NOW)
    assert door.reader("Bearer w", now=NOW).token == "w"


def test_a5_a_bare_static_worker_has_no_event_types() -> None:
    with pytest.raises(Unauthenticated) as caught:
        authenticator({"producer": "p", "worker": "w"}).worker("Bearer w", "codeq:claim", now=NOW)
    assert caught.value.text == "missing eventTypes"


def test_a8_the_raw_claims_have_the_role() -> None:
    assert authenticator(FULL).admin("Bearer dev-token", None, now=NOW).claims["role"] == "ADMIN"
    with pytest.raises(Unauthenticated) as caught:
        authenticator(BARE).admin("Bearer p", None, now=NOW)
    assert caught.value.text == "unauthorized. Admin only"


@pytest.mark.parametrize("role", ["", " ", 7, ["USER"]])
def test_a8_the_header_helps_a_token_whose_role_is_blank_or_no_text(role: object) -> None:
    door = authenticator({**BARE, "producer": {"token": "p", "raw": {"role": role}}})
    assert door.admin("Bearer p", "ADMIN", now=NOW).subject == "static"


def test_a9_the_stock_configuration_has_two_tenants() -> None:
    sides = {side: {key: value for key, value in config.items() if key != "raw"} for side, config in FULL.items()}
    door = authenticator(sides)
    assert door.producer("Bearer dev-token", now=NOW).tenant == "producer-dev"
    assert door.worker("Bearer dev-token", "codeq:claim", now=NOW).tenant == "worker-dev"


@pytest.mark.parametrize("token", ["clé", "voilà"])
def test_a_token_that_is_not_ascii_is_sent_as_utf_8(token: str) -> None:
    door = authenticator({"producer": token, "worker": "w"})
    assert door.producer("Bearer " + token.encode().decode("latin-1"), now=NOW).subject == "static"


def test_without_any_setting_one_token_may_do_everything_in_one_tenant() -> None:
    door = Authenticator.of(Settings())
    header = "Bearer dev-token"
    callers = [door.producer(header, now=NOW), door.reader(header, now=NOW), door.admin(header, None, now=NOW)]
    callers += [door.worker(header, scope, now=NOW) for scope in WORKER_SCOPES]
    assert {caller.tenant for caller in callers} == {"dev"}
    assert callers[-1].event_types == ("*",)
    with pytest.raises(Refusal):
        door.producer("Bearer other", now=NOW)
