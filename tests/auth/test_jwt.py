"""Parsing and verification of JWTs (A4), beyond the recorded tokens."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.auth import Authenticator, Caller, Refusal, Unauthenticated, identities_of
from codeq_fake.auth.jwt import parse
from codeq_fake.server_settings import Settings
from tests.auth.support import CALLERS, NOW, Door, mint, named_door, rsa_key, signed_door

if TYPE_CHECKING:
    from collections.abc import Callable

RS256 = {"alg": "RS256", "kid": "k1"}


def segment(content: object) -> str:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return urlsafe_b64encode(data).decode().rstrip("=")


def token(header: object = RS256, claims: object = None, signature: str = "AAAA") -> str:
    return f"{segment(header)}.{segment({} if claims is None else claims)}.{signature}"


def refused(door: Door, bearer: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        door.authenticator.producer(f"Bearer {bearer}", now=NOW)
    return caught.value.text


@pytest.mark.parametrize(
    ("bearer", "text"),
    [
        ("..", "could not JSON decode header: unexpected end of JSON input"),
        ("abc.def.ghi", "could not JSON decode header: invalid character 'i' looking for beginning of value"),
        (
            "invalid.token.signature",
            r"could not JSON decode header: invalid character '\u008a' looking for beginning of value",
        ),
        (token(b"\x13"), r"could not JSON decode header: invalid character '\x13' looking for beginning of value"),
        (token(b"\xc8"), "could not JSON decode header: invalid character 'È' looking for beginning of value"),
        (token(b"'a'"), r"could not JSON decode header: invalid character '\'' looking for beginning of value"),
        (token(claims=b'{"exp":1e999}'), "could not JSON decode claim: unexpected end of JSON input"),
        (token(claims=b'{"exp":NaN}'), "could not JSON decode claim: unexpected end of JSON input"),
        (token(b'{"alg"'), "could not JSON decode header: unexpected end of JSON input"),
        (
            token([1]),
            "could not JSON decode header: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            token(claims="x"),
            "could not JSON decode claim: json: cannot unmarshal string into Go value of type jwt.MapClaims",
        ),
        (f"{segment(RS256)}.a.AAAA", "could not base64 decode claim: illegal base64 data at input byte 0"),
        (
            f"{segment(RS256)}.{segment({})}.AA=",
            "could not base64 decode signature: illegal base64 data at input byte 2",
        ),
    ],
)
def test_a4_a_malformed_token_is_refused_at_its_first_fault(bearer: str, text: str) -> None:
    assert refused(signed_door(), bearer) == f"token is malformed: {text}"
    assert refused(named_door(), bearer) == f"token is malformed: {text}"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({"kid": "k1"}, "signing method (alg) is unspecified"),
        (None, "signing method (alg) is unspecified"),
        ({"alg": "RS1", "kid": "k1"}, "signing method (alg) is unavailable"),
        ({"alg": "HS256", "kid": "k1"}, "error while executing keyfunc: unexpected signing method: HS256"),
        ({"alg": "none", "kid": "k1"}, "error while executing keyfunc: unexpected signing method: none"),
        ({"alg": "PS256", "kid": "k1"}, "error while executing keyfunc: unexpected signing method: PS256"),
        ({"alg": "RS256"}, "error while executing keyfunc: missing kid in token header"),
        ({"alg": "RS256", "kid": ""}, "error while executing keyfunc: missing kid in token header"),
        ({"alg": "RS256", "kid": 7}, "error while executing keyfunc: missing kid in token header"),
        ({"alg": "RS256", "kid": "x"}, "error while executing keyfunc: key x not found in JWKS"),
    ],
)
def test_a4_a_token_without_a_key_to_verify_it_is_unverifiable(header: object, text: str) -> None:
    assert refused(signed_door(), token(header)) == f"token is unverifiable: {text}"
    assert refused(named_door(), token(header)) == f"token is unverifiable: {text}"


def test_a4_a_signature_by_another_key_is_invalid() -> None:
    stranger = mint(CALLERS["prod"], key=type(rsa_key()).generate_key(2048))
    assert refused(signed_door(), stranger) == "token signature is invalid: crypto/rsa: verification error"
    assert refused(named_door(), stranger) == "token signature is invalid: crypto/rsa: verification error"


def test_a4_a_changed_claim_voids_the_signature_before_the_claims_are_looked_at() -> None:
    header, _, signature = mint(CALLERS["expired"]).split(".")
    forged = f"{header}.{segment({'exp': 1000})}.{signature}"
    assert refused(signed_door(), forged) == "token signature is invalid: crypto/rsa: verification error"


@pytest.mark.parametrize("name", ["none", "HS256", "RS1"])
def test_an_identity_with_another_algorithm_is_refused_as_its_token_would_be(name: str) -> None:
    door = Authenticator.of(Settings(), identities_of({"p": {"kind": "producer", "alg": name}}))
    with pytest.raises(Unauthenticated) as caught:
        door.producer("Bearer p", now=NOW)
    assert caught.value.text == refused(named_door(), token({"alg": name, "kid": "k1"}))


def test_a4_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    parsed = parse(token(claims=b'{"sub":"\\ud800x","n":[1,"\\ud83d\\ude00"]}'))
    assert parsed.claims == {"sub": "\ufffdx", "n": [1, "😀"]}


# A signed token takes a tenth of a second, which those who run other tests do not wait for.
DOORS = st.deferred(lambda: st.sampled_from([signed_door(), named_door(), named_door(allow_producer_as_worker=True)]))
WORDS = st.deferred(
    lambda: st.one_of(
        st.text(),
        st.sampled_from(["Bearer", "bearer", " ", "\t", ".", "=", *CALLERS, mint(CALLERS["prod"]), segment(RS256)]),
    )
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["alg", "kid", "iss", "aud", "sub", "exp", "nbf", "iat", "scope", "eventTypes", "tenantId", "role"]
PARTS = st.dictionaries(st.sampled_from(NAMES), JSONS | st.sampled_from(["RS256", "k1", "codeq-test"])).map(segment)
TOKENS = st.lists(PARTS | st.binary().map(segment) | st.text(max_size=5), min_size=2, max_size=4).map(".".join)
HEADERS = st.one_of(
    st.none(), st.text(), st.lists(WORDS, max_size=6).map("".join), TOKENS.map(lambda token: f"Bearer {token}")
)


def outcome(decide: Callable[[], Caller]) -> Caller | Refusal:
    try:
        return decide()
    except Refusal as refusal:
        return refusal


@given(header=HEADERS, role=st.none() | st.text(), door=DOORS)
def test_any_header_gives_a_caller_or_a_refusal(header: str | None, role: str | None, door: Door) -> None:
    authenticator = door.authenticator
    for decide in (
        lambda: authenticator.producer(header, now=NOW),
        lambda: authenticator.worker(header, "codeq:claim", now=NOW),
        lambda: authenticator.reader(header, now=NOW),
        lambda: authenticator.admin(header, role, now=NOW),
    ):
        assert isinstance(outcome(decide), Caller | Refusal)


@pytest.mark.slow
@given(claims=st.dictionaries(st.sampled_from(NAMES), JSONS))
def test_any_claims_of_an_identity_give_a_caller_or_a_refusal(claims: dict[str, object]) -> None:
    door = Authenticator.of(Settings(), identities_of({"p": {"kind": "producer", "claims": claims}}))
    for header in ("Bearer p", "Bearer  p"):
        assert isinstance(outcome(partial(door.admin, header, None, now=NOW)), Caller | Refusal)
