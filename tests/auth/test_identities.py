"""Named identities: how they are read, and how they work beside the configured providers."""

from __future__ import annotations

import time  # noqa: TID251 - measures how long something takes
from base64 import b64encode

import pytest

from codeq_fake.auth import Authenticator, Identity, Unauthenticated, identities_of, read_identities
from codeq_fake.auth.jwt import LONGEST
from codeq_fake.server_settings import Settings, SettingsError
from tests.auth.support import CALLERS, NOW, mint, settings
from tests.holds import LIMIT, measured

#: A segment of very many numbers.
NUMBERS = b64encode(b'{"a":[' + b"1," * 349_999 + b"1]}").decode().rstrip("=")
STATIC = Settings.from_env(
    {
        "PRODUCER_AUTH_PROVIDER": "static",
        "PRODUCER_AUTH_CONFIG": '{"token": "configured", "subject": "c"}',
        "WORKER_AUTH_PROVIDER": "static",
        "WORKER_AUTH_CONFIG": '"configured"',
    }
)


def test_identities_are_read_from_yaml_and_json() -> None:
    yaml = "prod: {kind: producer, claims: {sub: p}}\nw1:\n  kind: worker\n  token: secret\n  alg: RS512\n  kid: k2\n"
    json = (
        '{"prod": {"kind": "producer", "claims": {"sub": "p"}}, "w1": {"kind": "worker", "token": "secret", '
        '"alg": "RS512", "kid": "k2"}}'
    )
    expected = (
        Identity("prod", "producer", "prod", {"sub": "p"}),
        Identity("w1", "worker", "secret", {}, "RS512", "k2"),
    )
    assert read_identities("FILE", yaml) == read_identities("FILE", json) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "FILE: no valid YAML or JSON"),
        ("- a", "FILE: found no mapping; it must map names"),
        ("", "FILE: found no mapping; it must map names"),
        ("a: b", "FILE: a is not a mapping"),
        ("a: {}", "FILE: a has kind None; it must be producer or worker"),
        ("a: {kind: admin}", "FILE: a has kind 'admin'; it must be producer or worker"),
        ("a: {kind: [worker]}", r"FILE: a has kind \['worker'\]; it must be producer or worker"),
        ("a: {kind: worker, claim: {}}", "FILE: a has claim; it may have kind, token, claims, alg and kid"),
        ("a: {kind: worker, claims: x}", "FILE: a has claims 'x'; they must map claims to values"),
        ("a: {kind: 0x" + "f" * 4000 + "}", "FILE: no valid YAML or JSON"),
        ("a: {kind: worker, token: 7}", "FILE: a has token 7; it must be a text without white space"),
        ("a: {kind: worker, token: ''}", "FILE: a has token ''; it must be a text without white space"),
        ("a: {kind: worker}\nb: {kind: worker, token: a}", "FILE: a and b have one token; give each its own"),
        ("a: {kind: worker, token: a b}", "FILE: a has token 'a b'; it must be a text without white space"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        read_identities("FILE", text)
    assert "\n" not in str(caught.value)


def test_claims_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(SettingsError, match="identities: a has claims that JSON cannot hold"):
        identities_of({"a": {"kind": "worker", "claims": {"x": 16**4000}}})


def test_with_identities_and_no_auth_setting_nobody_else_is_let_in() -> None:
    door = Authenticator.of(Settings(), identities_of(CALLERS))
    for header in ("Bearer dev-token", f"Bearer {mint(CALLERS['prod'])}"):
        with pytest.raises(Unauthenticated):
            door.producer(header, now=NOW)


def test_identities_stand_beside_a_static_token() -> None:
    door = Authenticator.of(STATIC, identities_of(CALLERS))
    assert door.producer("Bearer prod", now=NOW).subject == "prod-1"
    assert door.producer("Bearer configured", now=NOW).subject == "c"
    with pytest.raises(Unauthenticated) as caught:
        door.producer("Bearer stranger", now=NOW)
    assert caught.value.text == "invalid token"
    with pytest.raises(Unauthenticated) as caught:
        door.producer("Bearer  prod", now=NOW)
    assert "could not base64 decode header" in caught.value.text


def test_identities_stand_beside_signed_tokens() -> None:
    door = Authenticator.of(settings(), identities_of({"me": {"kind": "producer", "claims": {"sub": "me"}}}))
    assert door.producer("Bearer me", now=NOW).subject == "me"
    assert door.producer(f"Bearer {mint(CALLERS['prod'])}", now=NOW).subject == "prod-1"


def test_identities_are_tried_first() -> None:
    door = Authenticator.of(STATIC, identities_of({"configured": {"kind": "producer", "claims": {"sub": "named"}}}))
    assert door.producer("Bearer configured", now=NOW).subject == "named"


def test_a_token_may_be_any_text_without_white_space() -> None:
    door = Authenticator.of(Settings(), identities_of({"p": {"kind": "producer", "token": "schlüssel.a.b.c"}}))
    assert door.producer("Bearer " + "schlüssel.a.b.c".encode().decode("latin-1"), now=NOW).subject == ""


@pytest.mark.parametrize("claim", [".inf", "-.inf", ".nan", "2026-01-01", "true", "[1]"])
def test_a_time_that_is_no_number_is_refused_as_of_the_wrong_type(claim: str) -> None:
    door = Authenticator.of(
        Settings(), read_identities("FILE", f"p: {{kind: producer, claims: {{exp: {claim}, 7: 1}}}}")
    )
    with pytest.raises(Unauthenticated, match="token has invalid claims: invalid type for claim: exp is invalid"):
        door.producer("Bearer p", now=NOW)
    with pytest.raises(Unauthenticated, match="could not base64 decode header"):
        door.producer("Bearer  p", now=NOW)


def test_a_time_beyond_all_clocks_is_never_reached() -> None:
    door = Authenticator.of(Settings(), identities_of({"p": {"kind": "producer", "claims": {"exp": 10**400}}}))
    assert door.producer("Bearer p", now=NOW).subject == ""


@pytest.mark.parametrize("token", ["prod " * 200_000, "." * 1_000_000, "e30." + NUMBERS + ".e30"])
@pytest.mark.parametrize("others", [STATIC, settings(), Settings()], ids=["static", "signed", "none"])
@measured
def test_a_token_as_long_as_a_head_may_be_is_refused_at_once(token: str, others: Settings) -> None:
    door = Authenticator.of(others, identities_of(CALLERS))
    before = time.thread_time()
    for caller in (door.producer, door.reader):
        with pytest.raises(Unauthenticated):
            caller(f"Bearer {token}", now=NOW)
    assert time.thread_time() - before < LIMIT


@measured
def test_a_token_of_many_known_words_is_refused_at_once() -> None:
    door = Authenticator.of(Settings(), identities_of(CALLERS))
    before = time.thread_time()
    with pytest.raises(Unauthenticated, match="invalid number of segments"):
        door.producer("Bearer " + "org " * (LONGEST // 4), now=NOW)
    assert time.thread_time() - before < LIMIT
