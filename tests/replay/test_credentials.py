from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from codeq_contract.driver.identities import Signer
from codeq_contract.recordings.format import Header, Identity
from codeq_contract.replay.recorded_values import credentials

EPOCH = 1_795_500_595
PRODUCER = Identity("producer", {"sub": "p"})
WORKER = Identity("worker", {"sub": "w", "exp": None, "aud": ["a", "b"]}, alg="RS512", kid="k9")


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


def header(*, static: Mapping[str, Any] | None = None) -> Header:
    identities = {"prod": PRODUCER, "w1": WORKER}
    return Header("story", "redis", EPOCH * 10**9 + 300_000_000, {}, None, static, identities)


def decoded(token: str, provider: str) -> jwt.Token:
    keys = KeySet.import_key_set(json.loads(provider)["jwks"])
    return jwt.decode(token, keys.keys[-1], algorithms=["RS256", "RS512"])


def test_a_signed_token_has_the_claims_of_the_recorded_issuer(signer: Signer) -> None:
    proof = credentials(header(), signer)
    token = decoded(proof.tokens["prod"], proof.settings["PRODUCER_AUTH_CONFIG"])
    assert token.header == {"alg": "RS256", "kid": "k1", "typ": "JWT"}
    assert token.claims == {
        "iss": "codeq-test",
        "aud": "codeq-producer",
        "iat": EPOCH,
        "exp": EPOCH + 86_400,
        "sub": "p",
    }


def test_an_identity_overrides_and_removes_claims_and_picks_algorithm_and_key_id(signer: Signer) -> None:
    proof = credentials(header(), signer)
    token = decoded(proof.tokens["w1"], proof.settings["WORKER_AUTH_CONFIG"])
    assert token.header == {"alg": "RS512", "kid": "k9", "typ": "JWT"}
    assert token.claims == {"iss": "codeq-test", "aud": ["a", "b"], "iat": EPOCH, "sub": "w"}


def test_a_provider_has_the_keys_without_giving_them_away(signer: Signer) -> None:
    proof = credentials(header(), signer)
    provider = json.loads(proof.settings["WORKER_AUTH_CONFIG"])
    assert (provider["issuer"], provider["audience"]) == ("codeq-test", "codeq-worker")
    assert [sorted(key) for key in provider["jwks"]["keys"]] == [
        ["crv", "kid", "kty", "x", "y"],
        ["e", "kid", "kty", "n"],
    ]


def test_without_a_signer_the_fake_is_told_the_identities_by_name() -> None:
    proof = credentials(header(), None)
    assert proof.settings == {}
    assert proof.tokens == {"prod": "prod", "w1": "w1"}
    assert proof.identities["prod"] == {"kind": "producer", "token": "prod", "claims": {"sub": "p"}}
    assert (proof.identities["w1"]["alg"], proof.identities["w1"]["kid"]) == ("RS512", "k9")


def test_a_static_session_uses_the_token_of_each_kind(signer: Signer) -> None:
    static = {"producer": {"token": "p-token"}, "worker": {"token": "w-token", "scopes": ["codeq:claim"]}}
    proof = credentials(header(static=static), signer)
    assert proof.tokens == {"prod": "p-token", "w1": "w-token"}
    assert proof.settings["WORKER_AUTH_PROVIDER"] == "static"
    assert json.loads(proof.settings["WORKER_AUTH_CONFIG"]) == static["worker"]
    assert proof.identities == {}
