"""The callers of a session: the usual ones, and callers whose tokens are odd, expired or lack a scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from codeq_contract.driver.identities import WORKER_SCOPES, Issuer, producer, worker
from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND

from .steps import NAME, filled


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose claims have placeholders.

    `expires_in` and `valid_in` are the seconds until its token expires and becomes valid.
    """

    identity: Identity
    expires_in: int | None = None
    valid_in: int | None = None

    def token(self, issuer: Issuer, name: str, now: int) -> str:
        """The token of this caller in the session `name`."""
        times = {"exp": self.expires_in, "nbf": self.valid_in}
        claims = {
            **{claim: _in_session(value, name) for claim, value in self.identity.claims.items()},
            **{claim: now // SECOND + seconds for claim, seconds in times.items() if seconds is not None},
        }
        return issuer.token(replace(self.identity, claims=claims), now=now)


def _in_session(value: Any, name: str) -> Any:  # noqa: ANN401 - a claim of any type
    """A claim with the session's name in it."""
    if isinstance(value, str):
        return filled(value, lambda _: name)
    return [_in_session(each, name) for each in value] if isinstance(value, list) else value


def _worker(**claims: object) -> Caller:
    """A worker whose `claims` override the usual ones. None removes one."""
    return Caller(worker(f"{NAME}-w", NAME, **claims))


def _producer(**claims: object) -> Caller:
    """As `_worker`."""
    return Caller(producer(f"{NAME}-p", NAME, **claims))


def _signed(*, alg: str | None = None, kid: str | None = None) -> Caller:
    """A producer whose token is signed in another way than usual, or names another key."""
    return Caller(replace(producer(f"{NAME}-p", NAME), alg=alg, kid=kid))


#: The usual callers, in two tenants of the session.
USUAL: Mapping[str, Caller] = MappingProxyType(
    {
        "producer": _producer(),
        "worker": _worker(),
        "worker2": _worker(sub=f"{NAME}-w2"),
        "admin": _producer(sub=f"{NAME}-a", scope="codeq:admin"),
        "other_producer": _producer(tenantId=f"{NAME}-theirs"),
        "other_worker": _worker(tenantId=f"{NAME}-theirs"),
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
        "worker without subject": _worker(sub=None),
        "worker without tenant": _worker(tenantId=None),
        "worker of an organization": _worker(tenantId=None, organization_id=NAME),
        "worker with a producer's token": _worker(aud="codeq-producer"),
        "worker whose token expires soon": replace(_worker(), expires_in=2),
    }
)

#: Producers whose tokens are not as usual.
ODD_PRODUCERS: Mapping[str, Caller] = MappingProxyType(
    {
        "producer without subject": _producer(sub=None),
        "producer with a blank tenant": _producer(tenantId=" "),
        "producer with a number as tenant": _producer(tenantId=None, tenant_id=7, organization_id=NAME),
        "producer of an organization": _producer(tenantId=None, organizationId=f" {NAME} "),
        "admin by role": _producer(role="admin"),
        "producer of another role": _producer(role="user"),
        "admin by one of its scopes": _producer(scope="a codeq:admin b"),
        "producer whose token has expired": replace(_producer(), expires_in=-1),
        "producer whose token is not valid yet": replace(_producer(), valid_in=1),
        "producer whose token is for tomorrow": replace(_producer(), valid_in=86_400),
        "producer with a text as expiry": _producer(exp="never"),
        "producer without a date of issue": _producer(iat=None),
        "producer of another issuer": _producer(iss="someone"),
        "producer for another audience": _producer(aud="someone"),
        "producer for two audiences": _producer(aud=["someone", "codeq-producer"]),
        "producer with RS512": _signed(alg="RS512"),
        "producer with ES256": _signed(alg="ES256"),
        "producer with HS256": _signed(alg="HS256"),
        "producer without signature": _signed(alg="none"),
        "producer with an unknown key": _signed(kid="k9"),
        "producer without a key": _signed(kid=""),
    }
)

ALL: Mapping[str, Caller] = MappingProxyType({**USUAL, **ODD_WORKERS, **ODD_PRODUCERS})
