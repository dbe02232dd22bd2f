"""Each format of a file or a setting: whatever is in it, the fake works with it or refuses it in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.auth import Authenticator, Refusal, read_identities
from codeq_fake.clocks import WallClock
from codeq_fake.control import BadRequestError
from codeq_fake.control.seed_files import create_all, read_seed
from codeq_fake.faults import BadFaultError, Plan, read_rules
from codeq_fake.faults.parsing import shown
from codeq_fake.http.faults.matching import NAMES
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.server_settings import Settings, SettingsError
from tests.documents.support import broken

SEED = (
    "tasks:\n"
    "- {command: A, payload: {a: [1, 2.5]}, priority: 3, id: x, tenant: t, delaySeconds: 5}\n"
    "- {command: B, payload: text, webhook: http://127.0.0.1:9/, runAt: 2026-01-31T12:00:00Z, maxAttempts: 2}\n"
    "subscriptions:\n"
    "- {callbackUrl: http://127.0.0.1:9/, eventTypes: [A], deliveryMode: group, groupId: g, ttlSeconds: 60}\n"
)
FAULTS = (
    "- {on: claim, do: refuse, status: 503, body: {a: 1}, headers: {X-A: b}, retryAfter: 3, nth: 2, times: 1}\n"
    "- {do: delay, seconds: 0.5, worker: w, command: A, task: t, probability: 0.5, seed: 7}\n"
)
IDENTITIES = (
    "ann: {kind: producer, token: t, claims: {sub: a, tenantId: acme, exp: 1795500729, scope: codeq:admin}}\n"
    "bob: {kind: worker, alg: RS256, kid: k1, claims: {eventTypes: [A], scope: codeq:claim, nbf: 1}}\n"
)
CONFIG = (
    "env: dev\n"
    "timezone: UTC\n"
    "port: 8081\n"
    "backoffPolicy: fixed\n"
    "rateLimit: {producer: {requestsPerMinute: 60, burstSize: 2}, worker: ~}\n"
    "producerAuthProvider: static\n"
    "producerAuthConfig: {token: t, subject: s, scopes: [a], eventTypes: [A], raw: {tenantId: t, role: ADMIN}}\n"
    "workerAuthConfig: {jwksUrl: http://127.0.0.1:9/, issuer: i, audience: a, httpTimeout: 1000}\n"
)
STATIC = '{"token": "t", "subject": "s", "scopes": ["a"], "eventTypes": ["A"], "raw": {"tenantId": "t"}}'
KEYS = '{"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB"}]}'
JWKS = f'{{"jwksUrl": "http://127.0.0.1:9/", "issuer": "i", "audience": "a", "httpTimeout": 1, "jwks": {KEYS}}}'


def runtime() -> FakeServer:
    return FakeServer(Config(), WallClock("manual", start=0))


def use_seed(text: str) -> None:
    create_all(runtime(), read_seed("seed.yaml", text))


def use_faults(text: str) -> None:
    for fault in Plan().add(read_rules(text, NAMES)):
        assert json.dumps(shown(fault.rule))
        fault.meet()


def use_identities(text: str) -> None:
    door = Authenticator.of(Settings(), read_identities("identities.yaml", text))
    for token in ("ann", "t", "bob"):
        with suppress(Refusal):
            door.producer(f"Bearer {token}", now=0)
        with suppress(Refusal):
            door.worker(f"Bearer {token}", "codeq:claim", now=0)


def use_config(text: str) -> None:
    FakeServer(Config(settings=Settings.from_env({}, text)), WallClock("manual", start=0))


def use_static(text: str) -> None:
    sides = {"PRODUCER_AUTH_PROVIDER": "static", "WORKER_AUTH_PROVIDER": "static", "WORKER_AUTH_CONFIG": '"w"'}
    door = Authenticator.of(Settings.from_env({**sides, "PRODUCER_AUTH_CONFIG": text}))
    with suppress(Refusal):
        door.admin("Bearer t", None, now=0)


def use_jwks(text: str) -> None:
    Authenticator.of(Settings.from_env({"PRODUCER_AUTH_CONFIG": text, "WORKER_AUTH_CONFIG": text}))


FORMATS = (
    (use_seed, SEED),
    (use_faults, FAULTS),
    (use_identities, IDENTITIES),
    (use_config, CONFIG),
    (use_static, STATIC),
    (use_jwks, JWKS),
)
each_format = pytest.mark.parametrize(
    ("use", "good"), FORMATS, ids=lambda value: value.__name__ if callable(value) else ""
)


@each_format
def test_a_good_text_is_used(use: Callable[[str], None], good: str) -> None:
    use(good)


@each_format
@pytest.mark.slow
@given(data=st.data())
def test_any_text_is_used_or_refused_in_one_line(use: Callable[[str], None], good: str, data: st.DataObject) -> None:
    refusal = ""
    try:
        use(data.draw(broken(good)))
    except (BadRequestError, BadFaultError, SettingsError) as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert refusal.encode().decode() == refusal
