"""The tokens of a recording's identities, and the settings that make a fake accept them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from codeq_contract.recordings.times import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codeq_contract.recordings.format import Header, Identity

ISSUER = "codeq-test"
KEY_ID = "k1"
DAY = 86_400

#: Nanoseconds that a server may wait for our keys, which on a busy machine take their time.
_KEYS_TIMEOUT = 60 * SECOND

ALGORITHMS = ["RS256", "RS384", "RS512"]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a fake is told (environment variables, identities) and which bearer token each identity sends."""

    settings: Mapping[str, str]
    identities: Mapping[str, Mapping[str, Any]]
    tokens: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Signer:
    """An RSA key that signs tokens as the recorded sessions' issuer did."""

    _key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": KEY_ID}))

    def token(self, identity: Identity, *, issued: int) -> str:
        """A token for `identity`, issued at second `issued`; the identity's claims override, and null removes one."""
        usual = {"iss": ISSUER, "aud": _audience(identity.kind), "iat": issued, "exp": issued + DAY}
        claims = {name: value for name, value in {**usual, **identity.claims}.items() if value is not None}
        header = {"alg": identity.alg or "RS256", "kid": identity.kid or KEY_ID, "typ": "JWT"}
        return jwt.encode(header, claims, self._key, algorithms=ALGORITHMS)

    def provider(self, kind: str, url: str | None = None) -> str:
        """The configuration of the authentication provider that accepts this key for callers of `kind`.

        It names the key by the `url` at which `jwks` is served, or holds it, which only the fake understands.
        """
        keys = {"jwks": self.jwks()} if url is None else {"jwksUrl": url, "httpTimeout": _KEYS_TIMEOUT}
        return json.dumps({**keys, "issuer": ISSUER, "audience": _audience(kind)})

    def jwks(self) -> Mapping[str, Any]:
        """The public key as a JWKS document."""
        return KeySet([self._key]).as_dict(private=False)


def credentials(header: Header, signer: Signer | None) -> Credentials:
    """How the identities of a session prove themselves.

    A session with static tokens uses those. Otherwise each identity gets a signed token, or without a `signer` its
    own name, which the fake then knows as an identity.
    """
    if header.static is not None:
        return _static(header, header.static)
    if signer is None:
        return _named(header)
    settings = {
        "PRODUCER_AUTH_PROVIDER": "jwks",
        "PRODUCER_AUTH_CONFIG": signer.provider("producer"),
        "WORKER_AUTH_PROVIDER": "jwks",
        "WORKER_AUTH_CONFIG": signer.provider("worker"),
    }
    issued = header.epoch // SECOND
    tokens = {name: signer.token(identity, issued=issued) for name, identity in header.identities.items()}
    return Credentials(settings, {}, tokens)


def _static(header: Header, static: Mapping[str, Any]) -> Credentials:
    settings = {
        "PRODUCER_AUTH_PROVIDER": "static",
        "PRODUCER_AUTH_CONFIG": json.dumps(static["producer"]),
        "WORKER_AUTH_PROVIDER": "static",
        "WORKER_AUTH_CONFIG": json.dumps(static["worker"]),
    }
    tokens = {name: static[identity.kind]["token"] for name, identity in header.identities.items()}
    return Credentials(settings, {}, tokens)


def _named(header: Header) -> Credentials:
    identities = {}
    for name, identity in header.identities.items():
        optional = {"alg": identity.alg, "kid": identity.kid}
        given = {key: value for key, value in optional.items() if value is not None}
        identities[name] = {"kind": identity.kind, "token": name, "claims": identity.claims, **given}
    return Credentials({}, identities, {name: name for name in identities})


def _audience(kind: str) -> str:
    return f"codeq-{kind}"
