"""Named callers for tests. Their tokens are plain texts, treated as signed tokens with given claims (A4)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

from codeq_fake.documents import BadDocumentError
from codeq_fake.server_settings import ADMIN_SCOPE, Auth, MultiAuth, Settings, SettingsError, StaticAuth

from . import jwt
from .caller import Authentication, role_of
from .claims import authenticate_claims
from .jwks import bad_signature
from .providers import Provider, as_sent

Kind = Literal["producer", "worker"]

ISSUER = "codeq-test"
AUDIENCES: Mapping[Kind, str] = MappingProxyType({"producer": "codeq-producer", "worker": "codeq-worker"})

_KEY_ID = "k1"
_DAY = 24 * 60 * 60
_SECOND = 1_000_000_000
#: A signature as long as that of a 2048-bit key.
_SIGNATURE = "A" * 342


class Identity(NamedTuple):
    """A named caller. `claims` override those of an ordinary token of this kind; None removes a claim."""

    name: str
    kind: Kind
    token: str
    claims: Mapping[str, object] = MappingProxyType({})
    algorithm: str = "RS256"
    key_id: str = _KEY_ID

    def header_and_claims(self, now: int) -> tuple[dict[str, object], dict[str, object]]:
        """The content of the signed token if it were issued at `now`, for one day."""
        issued = now // _SECOND
        ordinary = {"iss": ISSUER, "aud": AUDIENCES[self.kind], "iat": issued, "exp": issued + _DAY}
        claims = {name: claim for name, claim in {**ordinary, **self.claims}.items() if claim is not None}
        return {"alg": self.algorithm, "kid": self.key_id, "typ": "JWT"}, claims


class IdentitiesProvider:
    """Authenticates the tokens of identities. `others` authenticates all other tokens, or they are refused as JWTs."""

    def __init__(self, kind: Kind, identities: Iterable[Identity], others: Provider | None = None) -> None:
        self._audience = AUDIENCES[kind]
        self._identities = {as_sent(identity.token): identity for identity in identities}
        self._others = others

    def authenticate(self, token: str, *, now: int) -> Authentication:
        """Check the claims of an identity. A worker's token has the wrong audience for a producer's route."""
        identity = self._identities.get(token)
        if identity is None:
            return self._authenticate_other(token, now)
        header, claims = identity.header_and_claims(now)
        jwt.check_algorithm(header)
        _check_key(jwt.Jwt(header, claims, b"", b""))  # its signature counts as good
        return authenticate_claims(claims, issuer=ISSUER, audience=self._audience, token=token, now=now)

    def _authenticate_other(self, token: str, now: int) -> Authentication:
        """Pass on a token that is no identity's, or refuse it as the server refuses a bad JWT.

        A token with blanks may contain those of identities: the server's error text depends on the JWTs in it.
        """
        jwt.check_length(token)
        words = token.split(" ")
        tokens = {word: self._signed(word, now) for word in dict.fromkeys(words)}
        signed = " ".join(map(tokens.__getitem__, words))
        if signed == token and self._others is not None:
            return self._others.authenticate(token, now=now)
        _check_key(jwt.parse(signed))
        raise bad_signature()

    def _signed(self, word: str, now: int) -> str:
        """The JWT for which an identity's token stands: error texts contain positions in it."""
        identity = self._identities.get(word)
        if identity is None:
            return word
        return ".".join((*map(_segment, identity.header_and_claims(now)), _SIGNATURE))


class Tokens(NamedTuple):
    """A token for each role, or None if the settings need signed tokens or no identity has the role."""

    producer: str | None
    worker: str | None
    admin: str | None

    @classmethod
    def of(cls, settings: Settings, identities: Iterable[Identity] = ()) -> Tokens:
        """The token of the first identity of each role, or without identities those of the settings."""
        known = tuple(identities)
        if not known:
            producer = _token(settings.producer_auth)
            return cls(producer, _token(settings.worker_auth), producer)
        producers = [identity for identity in known if identity.kind == "producer"]
        workers = [identity for identity in known if identity.kind == "worker"]
        return cls(_first(producers), _first(workers), _first(filter(_is_admin, producers)))

    def by_role(self) -> dict[str, str | None]:
        """The tokens by role."""
        return self._asdict()

    def environment(self, url: str) -> dict[str, str]:
        """The environment variables from which clients read a server's URL and tokens."""
        named = {f"CODEQ_{role.upper()}_TOKEN": token for role, token in self.by_role().items()}
        return {"CODEQ_BASE_URL": url, **{name: token for name, token in named.items() if token is not None}}


def read_identities(source: str, text: str) -> tuple[Identity, ...]:
    """The identities in a YAML or JSON text. Messages call it `source`. Raises SettingsError."""
    from codeq_fake.documents.yaml_text import read_yaml  # noqa: PLC0415 - slow, and often not needed

    try:
        document = read_yaml(text)
    except BadDocumentError as error:
        raise SettingsError(f"{source}: no valid YAML or JSON ({error}); correct it") from None
    return identities_of(document, source)


def identities_of(document: object, source: str = "identities") -> tuple[Identity, ...]:
    """The identities in a mapping `{NAME: {kind, token, claims, alg, kid}}`. Raises SettingsError.

    Only `kind` is required. The default of `token` is the name.
    """
    if not isinstance(document, dict):
        raise SettingsError(f"{source}: found no mapping; it must map names to {{kind, token, claims}}")
    identities = tuple(_identity(source, str(name), entry) for name, entry in document.items())
    tokens: dict[str, str] = {}
    for identity in identities:
        other = tokens.setdefault(identity.token, identity.name)
        if other != identity.name:
            raise SettingsError(f"{source}: {other} and {identity.name} have one token; give each its own")
    return identities


def _identity(source: str, name: str, entry: object) -> Identity:
    """One identity of a mapping, checked. Raises SettingsError."""
    if not isinstance(entry, dict):
        raise SettingsError(f"{source}: {name} is not a mapping; it must be {{kind, token, claims}}")
    unknown = sorted(set(map(str, entry)) - {"kind", "token", "claims", "alg", "kid"})
    if unknown:
        raise SettingsError(f"{source}: {name} has {unknown[0]}; it may have kind, token, claims, alg and kid")
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in AUDIENCES:
        raise SettingsError(f"{source}: {name} has kind {kind!r}; it must be producer or worker")
    claims = entry.get("claims") or {}
    if not isinstance(claims, dict):
        raise SettingsError(f"{source}: {name} has claims {claims!r}; they must map claims to values")
    if not _has_json(claims):
        raise SettingsError(f"{source}: {name} has claims that JSON cannot hold; they must be those of a token")
    texts = {key: entry.get(key, default) for key, default in (("token", name), ("alg", "RS256"), ("kid", _KEY_ID))}
    for key, text in texts.items():
        if not isinstance(text, str) or text.split() != [text]:
            raise SettingsError(f"{source}: {name} has {key} {text!r}; it must be a text without white space")
    named = MappingProxyType({str(claim): value for claim, value in claims.items()})
    return Identity(name, cast("Kind", kind), texts["token"], named, texts["alg"], texts["kid"])


def _has_json(claims: Mapping[Any, Any]) -> bool:
    """Whether claims can be written as JSON: a number with thousands of digits cannot."""
    try:
        _segment(claims)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _check_key(parsed: jwt.Jwt) -> None:
    """Refuse a JWT that names another key than `_KEY_ID`, as a server does that has no other key (A4)."""
    key_id = parsed.key_id()
    if key_id != _KEY_ID:
        raise jwt.unverifiable(f"key {key_id} not found in JWKS")


def _segment(part: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part, default=str).encode()).decode().rstrip("=")


def _token(auth: Auth) -> str | None:
    if isinstance(auth, MultiAuth):
        return next(filter(None, map(_token, auth.providers)), None)
    return auth.token if isinstance(auth, StaticAuth) else None


def _first(identities: Iterable[Identity]) -> str | None:
    return next((identity.token for identity in identities), None)


def _is_admin(identity: Identity) -> bool:
    scopes = str(identity.claims.get("scope", "")).split()
    return ADMIN_SCOPE in scopes or role_of(identity.claims).upper() == "ADMIN"
