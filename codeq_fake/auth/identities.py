"""Named callers for tests: plain texts that stand for signed tokens, judged as those are (A4)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from codeq_fake.settings import SettingsError

from . import claims, jwt
from .keys import bad_signature
from .providers import as_sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .caller import Belief
    from .providers import Provider

Kind = Literal["producer", "worker"]

ISSUER = "codeq-test"
AUDIENCES: Mapping[Kind, str] = MappingProxyType({"producer": "codeq-producer", "worker": "codeq-worker"})

_KEY_ID = "k1"
_DAY = 24 * 60 * 60
_SECOND = 1_000_000_000
#: A signature of the length that a key of 2048 bits makes.
_SIGNATURE = "A" * 342


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller whom a test names. ``claims`` override those of an ordinary token of this kind; None removes one."""

    name: str
    kind: Kind
    token: str
    claims: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    algorithm: str = "RS256"
    key_id: str = _KEY_ID

    def header_and_claims(self, now: int) -> tuple[dict[str, object], dict[str, object]]:
        """What the token would hold if it were minted at ``now``: it is good for a day."""
        issued = now // _SECOND
        ordinary = {"iss": ISSUER, "aud": AUDIENCES[self.kind], "iat": issued, "exp": issued + _DAY}
        kept = {name: claim for name, claim in {**ordinary, **self.claims}.items() if claim is not None}
        return {"alg": self.algorithm, "kid": self.key_id, "typ": "JWT"}, kept


class IdentitiesProvider:
    """Judges the tokens of identities; what is none of them goes to ``others``, or is refused as any JWT is."""

    def __init__(self, kind: Kind, identities: Iterable[Identity], others: Provider | None = None) -> None:
        self._audience = AUDIENCES[kind]
        self._identities = {as_sent(identity.token): identity for identity in identities}
        self._others = others

    def judge(self, token: str, *, now: int) -> Belief:
        """A worker's token on a producer's route is of another audience, as signed ones are."""
        identity = self._identities.get(token)
        if identity is None:
            return self._judge_stranger(token, now)
        header, held = identity.header_and_claims(now)
        jwt.check_algorithm(header)
        _check_key(jwt.Jwt(header, held, b"", b""))
        return claims.believe(held, issuer=ISSUER, audience=self._audience, token=token, now=now)

    def _judge_stranger(self, token: str, now: int) -> Belief:
        minted = " ".join(self._mint(word, now) for word in token.split(" "))
        if minted == token and self._others is not None:
            return self._others.judge(token, now=now)
        _check_key(jwt.parse(minted))
        raise bad_signature()

    def _mint(self, word: str, now: int) -> str:
        """A word that is an identity's token, as the JWT that it stands for: errors name places in that text."""
        identity = self._identities.get(word)
        if identity is None:
            return word
        return ".".join((*map(_segment, identity.header_and_claims(now)), _SIGNATURE))


def read_identities(source: str, text: str) -> tuple[Identity, ...]:
    """The identities in a YAML or JSON text; ``source`` names it in messages. Raises SettingsError."""
    import yaml  # noqa: PLC0415 - a start without identities need not pay for it

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{source}: no valid YAML or JSON ({' '.join(str(error).split())}); correct it") from None
    return identities_of(document, source)


def identities_of(document: object, source: str = "identities") -> tuple[Identity, ...]:
    """The identities in a mapping ``{NAME: {kind, token, claims, alg, kid}}``. Raises SettingsError.

    ``kind`` alone is required; ``token`` is the name unless given.
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
    if not isinstance(entry, dict):
        raise SettingsError(f"{source}: {name} is no mapping; it must be {{kind, token, claims}}")
    unknown = sorted(set(map(str, entry)) - {"kind", "token", "claims", "alg", "kid"})
    if unknown:
        raise SettingsError(f"{source}: {name} has {unknown[0]}; it may have kind, token, claims, alg and kid")
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in AUDIENCES:
        raise SettingsError(f"{source}: {name} has kind {kind!r}; it must be producer or worker")
    held = entry.get("claims") or {}
    if not isinstance(held, dict):
        raise SettingsError(f"{source}: {name} has claims {held!r}; they must map claims to values")
    texts = {key: entry.get(key, default) for key, default in (("token", name), ("alg", "RS256"), ("kid", _KEY_ID))}
    for key, text in texts.items():
        if not isinstance(text, str) or text.split() != [text]:
            raise SettingsError(f"{source}: {name} has {key} {text!r}; it must be a text without white space")
    named = MappingProxyType({str(claim): value for claim, value in held.items()})
    return Identity(name, cast("Kind", kind), texts["token"], named, texts["alg"], texts["kid"])


def _check_key(parsed: jwt.Jwt) -> None:
    key_id = parsed.key_id()
    if key_id != _KEY_ID:
        raise jwt.unverifiable(f"key {key_id} not found in JWKS")


def _segment(part: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part, default=str).encode()).decode().rstrip("=")
