"""The callers of a session: the usual ones, and callers whose tokens are odd, expired or lack a scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from codeq_contract.driver.identities import WORKER_SCOPES, Issuer
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND

from .plans import NAME, filled


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose claims have placeholders. None removes a claim.

    `expires_in` and `valid_in` are the seconds until its token expires and becomes valid.
    """

    kind: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    expires_in: int | None = None
    valid_in: int | None = None
    alg: str | None = None
    kid: str | None = None

    def token(self, issuer: Issuer, name: str, now: int) -> str:
        """The token of this caller in the session `name`."""
        times = {"exp": self.expires_in, "nbf": self.valid_in}
        claims = {
            **{claim: _in_session(value, name) for claim, value in self.claims.items()},
            **{claim: now // SECOND + seconds for claim, seconds in times.items() if seconds is not None},
        }
        return issuer.token(Identity(self.kind, claims, self.alg, self.kid), now=now)


def _in_session(value: Any, name: str) -> Any:  # noqa: ANN401 - a claim of any type
    """A claim with the session's name in it."""
    if isinstance(value, str):
        return filled(value, lambda _: name)
    return [_in_session(each, name) for each in value] if isinstance(value, list) else value


def _worker(subject: str | None = f"{NAME}-w", tenant: str | None = NAME, **claims: object) -> Caller:
    usual = {"sub": subject, "tenantId": tenant, "scope": WORKER_SCOPES, "eventTypes": ["*"]}
    return Caller("worker", {**usual, **claims})


def _producer(subject: str | None = f"{NAME}-p", tenant: str | None = NAME, **claims: object) -> Caller:
    return Caller("producer", {"sub": subject, "tenantId": tenant, **claims})


#: The usual callers, in two tenants of the session.
USUAL: Mapping[str, Caller] = MappingProxyType(
    {
        "producer": _producer(),
        "worker": _worker(),
        "worker2": _worker(f"{NAME}-w2"),
        "admin": _producer(f"{NAME}-a", scope="codeq:admin"),
        "other_producer": _producer(tenant=f"{NAME}-theirs"),
        "other_worker": _worker(tenant=f"{NAME}-theirs"),
    }
)

_SCOPES = WORKER_SCOPES.split()
#: For each scope a worker with all others, and one with this scope alone.
_BY_SCOPE = {
    f"worker without {scope}": _worker(scope=" ".join(each for each in _SCOPES if each != scope)) for scope in _SCOPES
} | {f"worker with {scope} alone": _worker(scope=scope) for scope in _SCOPES}

#: Workers whose tokens are not as usual.
ODD_WORKERS: Mapping[str, Caller] = MappingProxyType(
    {
        **_BY_SCOPE,
        "worker without scopes": _worker(scope=None),
        "worker with a blank scope": _worker(scope=" "),
        "worker with tabs between scopes": _worker(scope=WORKER_SCOPES.replace(" ", "\t")),
        "worker with scopes in upper case": _worker(scope=WORKER_SCOPES.upper()),
        "worker with a list of scopes": _worker(scope=_SCOPES),
        "worker with a star for scopes": _worker(scope="codeq:*"),
        "worker without event types": _worker(eventTypes=None),
        "worker with no event types": _worker(eventTypes=[]),
        "worker with a text of event types": _worker(eventTypes="*"),
        "worker with odd event types": _worker(eventTypes=[1, "", " * "]),
        "worker of one command": _worker(eventTypes=[f"{NAME}-A"]),
        "worker without subject": _worker(subject=None),
        "worker without tenant": _worker(tenant=None),
        "worker of an organization": _worker(tenant=None, organization_id=NAME),
        "worker with a producer's token": _worker(aud="codeq-producer"),
        "worker whose token expires soon": Caller("worker", _worker().claims, expires_in=2),
    }
)

#: Producers whose tokens are not as usual.
ODD_PRODUCERS: Mapping[str, Caller] = MappingProxyType(
    {
        "producer without subject": _producer(subject=None),
        "producer with a blank tenant": _producer(tenant=" "),
        "producer with a number as tenant": _producer(tenant=None, tenant_id=7, organization_id=NAME),
        "producer of an organization": _producer(tenant=None, organizationId=f" {NAME} "),
        "admin by role": _producer(role="admin"),
        "producer of another role": _producer(role="user"),
        "admin by one of its scopes": _producer(scope="a codeq:admin b"),
        "producer whose token has expired": Caller("producer", _producer().claims, expires_in=-1),
        "producer whose token is not valid yet": Caller("producer", _producer().claims, valid_in=1),
        "producer whose token is for tomorrow": Caller("producer", _producer().claims, valid_in=86_400),
        "producer with a text as expiry": _producer(exp="never"),
        "producer without a date of issue": _producer(iat=None),
        "producer of another issuer": _producer(iss="someone"),
        "producer for another audience": _producer(aud="someone"),
        "producer for two audiences": _producer(aud=["someone", "codeq-producer"]),
        "producer with RS512": Caller("producer", _producer().claims, alg="RS512"),
        "producer with ES256": Caller("producer", _producer().claims, alg="ES256"),
        "producer with HS256": Caller("producer", _producer().claims, alg="HS256"),
        "producer without signature": Caller("producer", _producer().claims, alg="none"),
        "producer with an unknown key": Caller("producer", _producer().claims, kid="k9"),
        "producer without a key": Caller("producer", _producer().claims, kid=""),
    }
)

ALL: Mapping[str, Caller] = MappingProxyType({**USUAL, **ODD_WORKERS, **ODD_PRODUCERS})
