"""The callers of the recorded sessions, and two authenticators: for signed tokens, and for named identities."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from joserfc import jws
from joserfc.jwk import RSAKey

from codeq_fake.auth import Authenticator, identities_of
from codeq_fake.server_settings import JwksAuth, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND = 1_000_000_000
NOW = 1_795_500_729 * SECOND
DAY = 24 * 60 * 60 * SECOND
ALL = "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result codeq:subscribe"


def _producer(**claims: object) -> dict[str, Any]:
    return {"kind": "producer", "claims": claims}


def _worker(**claims: object) -> dict[str, Any]:
    return {"kind": "worker", "claims": {"sub": "w-9", "scope": ALL, "eventTypes": ["*"], "tenantId": "acme"} | claims}


CALLERS: Mapping[str, dict[str, Any]] = {
    "prod": _producer(sub="prod-1", tenantId="acme"),
    "admin": _producer(sub="ops-1", tenantId="acme", scope="codeq:admin"),
    "admin-role": _producer(sub="ops-2", tenantId="acme", role="admin"),
    "superadmin": _producer(sub="z", role="SUPER"),
    "expired": _producer(sub="x", exp=1000),
    "nbf": _producer(sub="x", nbf=4_000_000_000),
    "both": _producer(sub="x", exp=1000, nbf=4_000_000_000),
    "wrongaud": _producer(sub="x", aud="nope"),
    "wrongiss": _producer(sub="x", iss="nope"),
    "wrongboth": _producer(sub="x", iss="nope", aud="nope"),
    "noiss": _producer(sub="x", iss=None),
    "noaud": _producer(sub="x", aud=None),
    "audlist": _producer(sub="prod-1", tenantId="acme", aud=["a", "codeq-producer"]),
    "audlistwrong": _producer(sub="x", aud=["a", "b", 7]),
    "badkid": _producer(sub="x") | {"kid": "k9"},
    "rs384": _producer(sub="x") | {"alg": "RS384"},
    "rs512": _producer(sub="x") | {"alg": "RS512"},
    "noexp": _producer(sub="x", exp=None, iat=None),
    "zeroexp": _producer(sub="x", exp=0),
    "textexp": _producer(sub="x", exp="1000"),
    "nosubp": _producer(),
    "w1": _worker(sub="w-1"),
    "noscope": _worker(scope=None),
    "emptyscope": _worker(scope=""),
    "scopelist": _worker(scope=["codeq:claim"]),
    "noevents": _worker(eventTypes=None),
    "emptyevents": _worker(eventTypes=[]),
    "textevents": _worker(eventTypes="*"),
    "claimonly": _worker(scope="codeq:claim"),
    "other": _worker(scope="other"),
    "ab": _worker(eventTypes=["A", "B"]),
    "nosub": _worker(sub=None, tenantId=None),
    "org": _producer(sub="p", organizationId="o1"),
    "org2": _producer(sub="p", organization_id="o1"),
    "tid2": _worker(sub="w", tenantId=None, tenant_id="o1"),
    "num": _producer(sub="p", tenantId=7),
    "numthenorg": _producer(sub="p", tenantId=7, organizationId="o1"),
    "blank": _producer(sub=" o1 ", tenantId="  ", organizationId="o2"),
    "pad": _producer(sub="p", tenantId=" o1 "),
    "first": _producer(sub="p", tenant_id="zz", tenantId="o1"),
}


@dataclass(frozen=True)
class Door:
    """An authenticator, and the token that each caller brings to it."""

    authenticator: Authenticator
    tokens: Mapping[str, str]

    def header(self, template: str | None) -> str | None:
        """The template with `{NAME}` replaced by that caller's token."""
        return template if template is None else template.format_map(self.tokens)


@cache
def rsa_key() -> RSAKey:
    return RSAKey.generate_key(2048)


def jwks(*key_ids: str, key: RSAKey | None = None) -> dict[str, Any]:
    """A JWKS document with the public part of one key under each id."""
    return {"keys": [{**(key or rsa_key()).as_dict(private=False), "kid": key_id} for key_id in key_ids]}


def mint(identity: Mapping[str, Any], *, now: int = NOW, key: RSAKey | None = None) -> str:
    """A signed token as the recorded sessions used."""
    ordinary = {"iss": "codeq-test", "aud": f"codeq-{identity['kind']}", "iat": now // SECOND}
    claims = ordinary | {"exp": (now + DAY) // SECOND} | identity["claims"]
    claims = {name: claim for name, claim in claims.items() if claim is not None}
    algorithm = identity.get("alg", "RS256")
    header = {"alg": algorithm, "kid": identity.get("kid", "k1"), "typ": "JWT"}
    return jws.serialize_compact(header, json.dumps(claims), key or rsa_key(), algorithms=[algorithm])


def settings(**changes: Any) -> Settings:
    """Settings whose two sides take signed tokens."""
    document = jwks("k1")
    sides = {
        f"{side}_auth": JwksAuth("", "codeq-test", f"codeq-{side}", jwks=document) for side in ("producer", "worker")
    }
    return Settings(auth_given=True, **(sides | changes))


@cache
def _signed_tokens() -> Mapping[str, str]:
    return {name: mint(caller) for name, caller in CALLERS.items()}


def signed_door(**changes: Any) -> Door:
    return Door(Authenticator.of(settings(**changes)), _signed_tokens())


def named_door(**changes: Any) -> Door:
    identities = identities_of(CALLERS)
    return Door(
        Authenticator.of(Settings(**changes), identities),
        {identity.name: identity.token for identity in identities},
    )
