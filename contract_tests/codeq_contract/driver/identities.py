"""The callers of the suite: producers, workers, a second tenant and an admin, and the key that signs their tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from codeq_contract.recordings.format import Identity
from codeq_contract.recordings.times import SECOND
from codeq_contract.replay.credentials import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping

#: All that worker routes ask for (R3 to R11).
WORKER_SCOPES = "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result codeq:subscribe"

#: A virtual clock goes on by days while cases run.
_LIFETIME = 400 * 24 * 3600


def producer(subject: str, tenant: str, **claims: object) -> Identity:
    """A producer; `claims` are further ones, and None removes one."""
    return Identity("producer", {"sub": subject, "tenantId": tenant, **claims})


def worker(subject: str, tenant: str, **claims: object) -> Identity:
    """A worker that may do everything; `claims` override, and None removes one."""
    usual = {"sub": subject, "tenantId": tenant, "scope": WORKER_SCOPES, "eventTypes": ["*"]}
    return Identity("worker", {**usual, **claims})


def cast(run: str) -> dict[str, Identity]:
    """Everyone who appears in the cases, in two tenants of this run."""
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


@dataclass(frozen=True, slots=True)
class Issuer:
    """The suite's own identity provider."""

    signer: Signer = field(default_factory=Signer)

    def token(self, identity: Identity, *, now: int) -> str:
        """A token for `identity`, good for longer than the suite takes."""
        issued = now // SECOND
        lasting = Identity(identity.kind, {"exp": issued + _LIFETIME, **identity.claims}, identity.alg, identity.kid)
        return self.signer.token(lasting, issued=issued)

    def tokens(self, *, now: int) -> dict[str, str]:
        """A token for each of the cast, in tenants that no other run has."""
        return {name: self.token(identity, now=now) for name, identity in cast(f"cq-{uuid4().hex[:8]}").items()}

    def settings(self, url: str | None = None) -> Mapping[str, str]:
        """The settings with which a server believes these tokens: keys at `url`, or in the settings (fakes only)."""
        return {
            "PRODUCER_AUTH_PROVIDER": "jwks",
            "PRODUCER_AUTH_CONFIG": self.signer.provider("producer", url),
            "WORKER_AUTH_PROVIDER": "jwks",
            "WORKER_AUTH_CONFIG": self.signer.provider("worker", url),
        }


#: What a target can do if it knows these callers.
FEATURES_OF_CALLERS: Mapping[str, frozenset[str]] = {
    "many_workers": frozenset({"worker2", "worker3"}),
    "tenants": frozenset({"other_producer", "other_worker"}),
    "admin": frozenset({"admin"}),
}
