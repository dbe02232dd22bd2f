"""The server's rules of authentication for each kind of route (A1 to A9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from codeq_fake.server_settings import ADMIN_SCOPE, WORKER_SCOPES, Auth, Settings

from .caller import Authentication, Caller, Forbidden, Unauthenticated, role_of, with_strict_tenant
from .identities import IdentitiesProvider, Identity, Kind
from .jwks import Fetch, fetch_url
from .providers import Provider, provider_of

#: The number of header values that are remembered for each kind of route.
REMEMBERED = 4096


class Authenticator:
    """Checks `Authorization` headers. Each method takes the value of the header, or None, and the time in ns.

    A valid value is remembered while it is valid, so that its repetition costs one look-up. Each method raises
    Unauthenticated, Forbidden if it requires a scope, and KeysNeeded if a JWKS document has to be fetched first
    (`with_keys` does that).
    """

    def __init__(
        self,
        producers: Provider,
        workers: Provider,
        *,
        allow_producer_as_worker: bool = False,
        is_dev: bool = True,
        has_strict_tenants: bool = False,
    ) -> None:
        self._producer_provider = producers
        self._worker_provider = workers
        self._allow_producer_as_worker = allow_producer_as_worker
        self._is_dev = is_dev
        self._producers = _Cache(self._authenticate_producer, has_strict_tenants=has_strict_tenants)
        self._workers = _Cache(self._authenticate_worker, has_strict_tenants=has_strict_tenants)
        self._readers = _Cache(self._authenticate_reader, has_strict_tenants=has_strict_tenants)

    @classmethod
    def of(
        cls,
        settings: Settings,
        identities: Iterable[Identity] = (),
        fetch: Fetch = fetch_url,
        *,
        has_strict_tenants: bool = False,
    ) -> Authenticator:
        """The authenticator of these settings. Identities come first, and are the only callers if no auth is set."""
        known = tuple(identities)

        def provider(kind: Kind, auth: Auth) -> Provider:
            configured = provider_of(auth, fetch)
            if not known:
                return configured
            return IdentitiesProvider(kind, known, configured if settings.auth_given else None)

        return cls(
            provider("producer", settings.producer_auth),
            provider("worker", settings.worker_auth),
            allow_producer_as_worker=settings.allow_producer_as_worker,
            is_dev=settings.is_dev,
            has_strict_tenants=has_strict_tenants,
        )

    def producer(self, authorization: str | None, *, now: int) -> Caller:
        """The caller of a route for producers."""
        return self._producers.caller(authorization, now)

    def worker(self, authorization: str | None, scope: str, *, now: int) -> Caller:
        """The caller of a route for workers that requires `scope` (A5, A6)."""
        return self._workers.caller(authorization, now, scope)

    def reader(self, authorization: str | None, *, now: int) -> Caller:
        """The caller that reads a task or its result: a worker with event types, or else a producer (A7)."""
        return self._readers.caller(authorization, now)

    def admin(self, authorization: str | None, role_header: str | None, *, now: int) -> Caller:
        """The producer that calls an admin route. `role_header` is the value of `X-Role`, or None (A8)."""
        caller = self._producers.caller(authorization, now)
        role = role_of(caller.claims) or (self._is_dev and role_header) or ""
        if ADMIN_SCOPE in caller.scopes or role.strip().lower() == "admin":
            return caller
        raise Unauthenticated("unauthorized. Admin only", caller)

    def _authenticate_producer(self, authorization: str | None, now: int) -> Authentication:
        return self._producer_provider.authenticate(_bearer_token(authorization), now=now)

    def _authenticate_worker(self, authorization: str | None, now: int) -> Authentication:
        """Authenticate a worker's token, or if that is allowed a producer's in its place (A6)."""
        try:
            return self._authenticate_real_worker(authorization, now)
        except Unauthenticated:
            if self._allow_producer_as_worker:
                with suppress(Unauthenticated):
                    authentication = self._authenticate_producer(authorization, now)
                    caller = replace(authentication.caller, scopes=frozenset(WORKER_SCOPES), event_types=("*",))
                    return replace(authentication, caller=caller)
            raise  # A6: if the token is not a producer's either, the text is that of the worker's refusal

    def _authenticate_real_worker(self, authorization: str | None, now: int) -> Authentication:
        """Authenticate a worker's own token. It must have event types and scopes (A5)."""
        authentication = self._worker_provider.authenticate(_bearer_token(authorization), now=now)
        if not authentication.caller.event_types:
            raise Unauthenticated("missing eventTypes", authentication.caller)
        if not authentication.caller.scopes:
            raise Unauthenticated("missing scope", authentication.caller)
        return authentication

    def _authenticate_reader(self, authorization: str | None, now: int) -> Authentication:
        """Authenticate a worker's token, whatever its scopes, or else a producer's. Both have one refusal (A7)."""
        with suppress(Unauthenticated):
            authentication = self._worker_provider.authenticate(_bearer_token(authorization), now=now)
            if authentication.caller.event_types:
                return authentication
        try:
            return self._authenticate_producer(authorization, now)
        except Unauthenticated:
            raise Unauthenticated("invalid token") from None


class _Cache:
    """The valid header values, with the time for which they are valid, and tenants by the version's rule (A9, G4)."""

    def __init__(self, authenticate: Callable[[str | None, int], Authentication], *, has_strict_tenants: bool) -> None:
        self._authenticate = authenticate
        self._has_strict_tenants = has_strict_tenants
        self._found: dict[str | None, Authentication] = {}

    def caller(self, authorization: str | None, now: int, scope: str = "") -> Caller:
        """The caller of a header value, from the cache if it is still valid.

        Raises Forbidden if its tenant claims are not in order (G4), or if it lacks the scope (A5).
        """
        authentication = self._found.get(authorization)
        if authentication is None or not authentication.since <= now < authentication.until:
            authentication = self._authenticate(authorization, now)
            if self._has_strict_tenants:
                authentication = replace(authentication, caller=with_strict_tenant(authentication.caller))
            if len(self._found) >= REMEMBERED:
                del self._found[next(iter(self._found))]  # the oldest one: invented tokens must not fill the memory
            self._found[authorization] = authentication
        caller = authentication.caller
        if not caller.has_tenant:
            raise Forbidden("invalid tenant claims", caller)
        if scope and scope not in caller.scopes:
            raise Forbidden("missing scope", caller)
        return caller


def _bearer_token(authorization: str | None) -> str:
    """The token in `Bearer <token>`, with the scheme in upper or lower case. A second blank belongs to it (A1, A2)."""
    value = (authorization or "").strip(" \t")
    if not value:
        raise Unauthenticated("missing Authorization header")
    scheme, blank, token = value.partition(" ")
    if not blank or scheme.lower() != "bearer":
        raise Unauthenticated("invalid Authorization format")
    return token
