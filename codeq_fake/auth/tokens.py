"""Which tokens to call a fake with: what it tells whoever starts it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from codeq_fake.settings import ADMIN_SCOPE, StaticAuth

from .caller import role_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codeq_fake.settings import JwksAuth, Settings

    from .identities import Identity


@dataclass(frozen=True, slots=True)
class Tokens:
    """A token for each role; None where the settings only take signed ones, or no identity has the role."""

    producer: str | None
    worker: str | None
    admin: str | None

    @classmethod
    def of(cls, settings: Settings, identities: Iterable[Identity] = ()) -> Tokens:
        """The first identity of each role; without identities, the tokens of the settings."""
        known = tuple(identities)
        if not known:
            producer = _token(settings.producer_auth)
            return cls(producer, _token(settings.worker_auth), producer)
        producers = [identity for identity in known if identity.kind == "producer"]
        workers = [identity for identity in known if identity.kind == "worker"]
        return cls(_first(producers), _first(workers), _first(filter(_is_admin, producers)))

    def by_role(self) -> dict[str, str | None]:
        """Role to token."""
        return asdict(self)

    def environment(self, url: str) -> dict[str, str]:
        """The variables by which clients find a server and its tokens."""
        named = {f"CODEQ_{role.upper()}_TOKEN": token for role, token in self.by_role().items()}
        return {"CODEQ_BASE_URL": url, **{name: token for name, token in named.items() if token is not None}}


def _token(auth: StaticAuth | JwksAuth) -> str | None:
    return auth.token if isinstance(auth, StaticAuth) else None


def _first(identities: Iterable[Identity]) -> str | None:
    return next((identity.token for identity in identities), None)


def _is_admin(identity: Identity) -> bool:
    scopes = str(identity.claims.get("scope", "")).split()
    return ADMIN_SCOPE in scopes or role_of(identity.claims).upper() == "ADMIN"
