"""The callers of a recorded session on another server: tokens made for them, or those of a deployment's callers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from codeq_contract.driver import Driver, UnsupportedError
from codeq_contract.driver.identities import WORKER_SCOPES, claims_in
from codeq_contract.driver.requests import tokens_named
from codeq_contract.recordings.format import Identity, Recording

from .recorded_values import credentials
from .translation import session_name

#: The claims that name a tenant (A9), and the subject, which stands for one that is blank.
_TENANT_CLAIMS = ("tenantId", "tenant_id", "organizationId", "organization_id", "sub")

_ADMIN_SCOPE = "codeq:admin"


@dataclass(frozen=True, slots=True)
class Callers:
    """The tokens of a session by the recorded names of its callers.

    `subjects` are the subjects and tenants of a deployment's callers, with the recorded ones.
    """

    tokens: dict[str, str]
    subjects: dict[str, str] = field(default_factory=dict)


def callers_of(recording: Recording, driver: Driver, prefix: str) -> Callers:
    """The callers of a session whose names begin with `prefix`. Raises UnsupportedError if the target lacks one."""
    header = recording.header
    if header.static is not None:
        return Callers(dict(credentials(header, None).tokens))
    if driver.issuer is None:
        return _matching(recording, driver)
    now = driver.clock.now()
    identities = {name: _of_session(identity, prefix) for name, identity in header.identities.items()}
    return Callers({name: driver.issuer.token(identity, now=now) for name, identity in identities.items()})


def _of_session(identity: Identity, prefix: str) -> Identity:
    """A caller in a tenant of the session."""
    claims = dict(identity.claims)
    for claim in _TENANT_CLAIMS:
        if isinstance(claims.get(claim), str):
            # A server ignores white space around a tenant.
            claims[claim] = re.sub(r"(?=\S)", prefix, claims[claim], count=1)
    if isinstance(claims.get("eventTypes"), list):
        claims["eventTypes"] = [name if name == "*" else session_name(prefix, name) for name in claims["eventTypes"]]
    return replace(identity, claims=claims)


def _matching(recording: Recording, driver: Driver) -> Callers:
    """For each caller of the recording one of the deployment that has the same rights, in the same tenants."""
    used = dict.fromkeys(call.identity for call in recording.calls if call.identity is not None)
    named = [name for call in recording.calls for name in tokens_named(call.headers)]
    callers, tenants, unused = Callers({}), dict[str, str](), dict(driver.tokens)
    for name in dict.fromkeys([*used, *named]):
        identity = recording.header.identities[name]
        match = next((each for each in _alike(identity, unused) if _fits(identity, unused[each], tenants)), None)
        if match is None:
            raise UnsupportedError(f"it needs one more {identity.kind} with the claims {dict(identity.claims)}")
        token = unused.pop(match)
        claims = claims_in(token) or {}
        tenants[identity.claims["tenantId"]] = claims["tenantId"]
        callers.tokens[name] = token
        callers.subjects[claims["tenantId"]] = identity.claims["tenantId"]
        callers.subjects[claims["sub"]] = identity.claims["sub"]
    return callers


def _alike(identity: Identity, tokens: Mapping[str, str]) -> Iterator[str]:
    """The names of the deployment's callers that have the rights of a recorded one."""
    claims = {name: claim for name, claim in identity.claims.items() if name not in ("sub", "tenantId")}
    is_worker = claims == {"scope": WORKER_SCOPES, "eventTypes": ["*"]}
    for name in tokens:
        if "worker" in name:
            is_alike = identity.kind == "worker" and is_worker
        else:
            is_alike = identity.kind == "producer" and claims == ({"scope": _ADMIN_SCOPE} if name == "admin" else {})
        if is_alike:
            yield name


def _fits(identity: Identity, token: str, tenants: Mapping[str, str]) -> bool:
    """Whether a token's tenant stands for the recorded one, and for no other."""
    claims, theirs = claims_in(token) or {}, identity.claims.get("tenantId")
    ours = claims.get("tenantId")
    if not (isinstance(theirs, str) and isinstance(ours, str) and "sub" in claims):
        return False
    return tenants.get(theirs, ours) == ours and (theirs in tenants or ours not in tenants.values())
