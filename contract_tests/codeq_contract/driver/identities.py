"""The callers of the suite: producers, workers, a second tenant and an admin, and the key that signs their tokens."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from codeq_contract.recordings.format import UNREADABLE, Identity
from codeq_contract.recordings.times import SECOND

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, KeySet, RSAKey

ISSUER = "codeq-test"
KEY_ID = "k1"
DAY = 86_400

_ELLIPTIC_KEY_ID = "k3"
_PARTS_OF_A_SIGNED_TOKEN = 3

#: The scopes of all worker routes (R3 to R11).
WORKER_SCOPES = "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result codeq:subscribe"

#: Nanoseconds that a server may wait for our keys. A busy machine takes its time.
_KEYS_TIMEOUT = 60 * SECOND

#: In seconds. A virtual clock moves on by days while cases run.
_LIFETIME = 400 * DAY

#: The features that a target has if it knows these callers.
FEATURES_OF_CALLERS: Mapping[str, frozenset[str]] = {
    "many_workers": frozenset({"worker2", "worker3"}),
    "tenants": frozenset({"other_producer", "other_worker"}),
    "admin": frozenset({"admin"}),
}


def _rsa_key() -> RSAKey:
    # A deployment comes with its tokens, so that nothing is signed, and this library takes long to load.
    from joserfc.jwk import RSAKey  # noqa: PLC0415 - as above

    return RSAKey.generate_key(2048, {"kid": KEY_ID})


def _elliptic_key() -> ECKey:
    from joserfc.jwk import ECKey  # noqa: PLC0415 - as above

    return ECKey.generate_key("P-256", {"kid": _ELLIPTIC_KEY_ID})


@dataclass(frozen=True, slots=True)
class Signer:
    """An RSA key that signs tokens as the issuer of the recorded sessions did, and an elliptic one for ES256."""

    _key: RSAKey = field(default_factory=_rsa_key)
    _elliptic: ECKey = field(default_factory=_elliptic_key)

    @classmethod
    def of(cls, document: Any) -> Signer:  # noqa: ANN401 - whatever a file holds
        """The keys in a document of `private_keys`. Raises ValueError for any other."""
        from joserfc.errors import JoseError  # noqa: PLC0415 - as above
        from joserfc.jwk import ECKey, KeySet, RSAKey  # noqa: PLC0415 - as above

        try:
            keys = {key.kid: key for key in KeySet.import_key_set(document).keys if key.is_private}
        except (JoseError, *UNREADABLE) as error:
            raise ValueError(f"no keys: {error}") from None
        key, elliptic = keys.get(KEY_ID), keys.get(_ELLIPTIC_KEY_ID)
        if isinstance(key, RSAKey) and isinstance(elliptic, ECKey):
            return cls(key, elliptic)
        raise ValueError(f"no private keys {KEY_ID} of RSA and {_ELLIPTIC_KEY_ID} of EC")

    def token(self, identity: Identity, *, issued: int) -> str:
        """A token for `identity`, issued at second `issued`. Its claims override the usual ones; None removes one.

        An empty `kid` removes that, too.
        """
        usual = {"iss": ISSUER, "aud": _audience(identity.kind), "iat": issued, "exp": issued + DAY}
        claims = {name: value for name, value in {**usual, **identity.claims}.items() if value is not None}
        is_elliptic = identity.alg == "ES256"
        kid = (_ELLIPTIC_KEY_ID if is_elliptic else KEY_ID) if identity.kid is None else identity.kid
        header = {"alg": identity.alg or "RS256", **({"kid": kid} if kid else {}), "typ": "JWT"}
        if header["alg"].startswith(("none", "HS")):
            return self._unsafe(header, claims)
        from joserfc import jws  # noqa: PLC0415 - as above

        key = self._elliptic if is_elliptic else self._key
        # Half of a surrogate pair is no UTF-8, and is escaped.
        payload = json.dumps(claims, ensure_ascii=False).encode(errors="backslashreplace")
        return jws.serialize_compact(header, payload, key, algorithms=[header["alg"]])

    def _unsafe(self, header: Mapping[str, str], claims: Mapping[str, Any]) -> str:
        """A token that no library makes: unsigned, or signed with the public key as a secret."""
        signed = f"{_segment(json.dumps(header).encode())}.{_segment(json.dumps(claims).encode())}"
        if header["alg"] == "none":
            return f"{signed}."
        digest = f"sha{header['alg'].removeprefix('HS')}"
        return f"{signed}.{_segment(hmac.digest(self._key.as_pem(private=False), signed.encode(), digest))}"

    def settings(self, url: str | None = None) -> Mapping[str, str]:
        """The settings with which a server accepts these tokens.

        They name the `url` at which `jwks` is served, or contain the key itself, which only the fake understands.
        """
        return {
            "PRODUCER_AUTH_PROVIDER": "jwks",
            "PRODUCER_AUTH_CONFIG": self._provider("producer", url),
            "WORKER_AUTH_PROVIDER": "jwks",
            "WORKER_AUTH_CONFIG": self._provider("worker", url),
        }

    def jwks(self) -> Mapping[str, Any]:
        """The public keys as a JWKS document."""
        return self._keys().as_dict(private=False)

    def private_keys(self) -> Mapping[str, Any]:
        """The whole keys, which are secret, as a JWKS document."""
        return self._keys().as_dict(private=True)

    def _keys(self) -> KeySet:
        from joserfc.jwk import KeySet  # noqa: PLC0415 - as above

        return KeySet([self._elliptic, self._key])

    def _provider(self, kind: str, url: str | None) -> str:
        keys = {"jwks": self.jwks()} if url is None else {"jwksUrl": url, "httpTimeout": _KEYS_TIMEOUT}
        return json.dumps({**keys, "issuer": ISSUER, "audience": _audience(kind)})


@cache
def _signer() -> Signer:
    """The keys of this process. To make them takes a twentieth of a second."""
    return Signer()


@dataclass(frozen=True, slots=True)
class Issuer:
    """The suite's own identity provider."""

    signer: Signer = field(default_factory=_signer)

    def token(self, identity: Identity, *, now: int) -> str:
        """A token for `identity` that is valid for longer than a run."""
        issued = now // SECOND
        lasting = Identity(identity.kind, {"exp": issued + _LIFETIME, **identity.claims}, identity.alg, identity.kid)
        return self.signer.token(lasting, issued=issued)

    def tokens(self, *, now: int) -> dict[str, str]:
        """A token for each caller, in tenants that no other run has."""
        return {name: self.token(identity, now=now) for name, identity in callers(f"cq-{uuid4().hex[:8]}").items()}


def producer(subject: str, tenant: str, **claims: object) -> Identity:
    """A producer with additional `claims`. None removes one."""
    return Identity("producer", {"sub": subject, "tenantId": tenant, **claims})


def worker(subject: str, tenant: str, **claims: object) -> Identity:
    """A worker with all scopes. `claims` override the usual ones. None removes one."""
    usual = {"sub": subject, "tenantId": tenant, "scope": WORKER_SCOPES, "eventTypes": ["*"]}
    return Identity("worker", {**usual, **claims})


def callers(run: str) -> dict[str, Identity]:
    """All callers in the cases by name, in two tenants of this run."""
    ours, theirs = f"{run}-ours", f"{run}-theirs"
    return {
        "producer": producer("producer-1", ours),
        "producer2": producer("producer-2", ours),
        "worker": worker("worker-1", ours),
        "worker2": worker("worker-2", ours),
        "worker3": worker("worker-3", ours),
        "other_producer": producer("producer-3", theirs),
        "other_worker": worker("worker-4", theirs),
        "admin": producer("admin-1", ours, scope="codeq:admin"),
    }


def static_settings(tokens: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The settings of a server with static tokens (A4): those of a producer, a worker or both, by kind."""
    settings: dict[str, str] = {}
    for kind, token in tokens.items():
        settings |= {f"{kind.upper()}_AUTH_PROVIDER": "static", f"{kind.upper()}_AUTH_CONFIG": json.dumps(token)}
    return settings


def claims_in(token: str) -> Mapping[str, Any] | None:
    """The unverified claims of a signed token. None for any other text."""
    parts = token.split(".")
    if len(parts) != _PARTS_OF_A_SIGNED_TOKEN:
        return None
    try:
        claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _segment(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _audience(kind: str) -> str:
    return f"codeq-{kind}"
