"""Who is calling, and may they: the server's rules for each kind of route (contract section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_fake.settings import ADMIN_SCOPE, WORKER_SCOPES, JwksAuth

from .caller import Belief, Caller, role_of
from .errors import Forbidden, Unauthenticated
from .fetching import fetch_url
from .identities import IdentitiesProvider
from .providers import JwksProvider, StaticProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from codeq_fake.settings import Settings, StaticAuth

    from .identities import Identity, Kind
    from .keys import Fetch
    from .providers import Provider

#: How many header values each kind of route remembers.
REMEMBERED = 4096


class Authenticator:
    """Judges ``Authorization`` headers. Each method takes the header's value, None without one, and the time in ns.

    A value that was believed is remembered for as long as it holds, so a repeated one costs a look-up. Each method
    raises Unauthenticated, Forbidden where it asks for a scope, and KeysNeeded if a JWKS document has to be fetched
    first (``codeq_fake.auth.keys.with_keys`` does that).
    """

    def __init__(
        self, producers: Provider, workers: Provider, *, allow_producer_as_worker: bool = False, is_dev: bool = True
    ) -> None:
        self._producer_provider = producers
        self._worker_provider = workers
        self._allow_producer_as_worker = allow_producer_as_worker
        self._is_dev = is_dev
        self._producers = _Remembered(self._judge_producer)
        self._workers = _Remembered(self._judge_worker)
        self._readers = _Remembered(self._judge_reader)

    @classmethod
    def of(cls, settings: Settings, identities: Iterable[Identity] = (), fetch: Fetch = fetch_url) -> Authenticator:
        """As configured. Identities are tried first; with them and no auth setting, nobody else is let in."""
        known = tuple(identities)

        def provider(kind: Kind, auth: StaticAuth | JwksAuth) -> Provider:
            configured = JwksProvider(auth, fetch) if isinstance(auth, JwksAuth) else StaticProvider(auth)
            if not known:
                return configured
            return IdentitiesProvider(kind, known, configured if settings.auth_given else None)

        return cls(
            provider("producer", settings.producer_auth),
            provider("worker", settings.worker_auth),
            allow_producer_as_worker=settings.allow_producer_as_worker,
            is_dev=settings.is_dev,
        )

    def producer(self, authorization: str | None, *, now: int) -> Caller:
        """Who may create tasks."""
        return self._producers.caller(authorization, now)

    def worker(self, authorization: str | None, scope: str, *, now: int) -> Caller:
        """Who may use a worker route that asks for ``scope`` (A5, A6)."""
        caller = self._workers.caller(authorization, now)
        if scope not in caller.scopes:
            raise Forbidden("missing scope")
        return caller

    def reader(self, authorization: str | None, *, now: int) -> Caller:
        """Who may read a task or its result: a worker with event types, or else a producer (A7)."""
        return self._readers.caller(authorization, now)

    def admin(self, authorization: str | None, role_header: str | None, *, now: int) -> Caller:
        """Which producer may use an admin route; ``role_header`` is ``X-Role``, None without one (A8)."""
        caller = self._producers.caller(authorization, now)
        role = role_of(caller.claims) or (self._is_dev and role_header) or ""
        if ADMIN_SCOPE in caller.scopes or role.strip().lower() == "admin":
            return caller
        raise Unauthenticated("unauthorized. Admin only")

    def _judge_producer(self, authorization: str | None, now: int) -> Belief:
        return self._producer_provider.judge(_bearer_token(authorization), now=now)

    def _judge_worker(self, authorization: str | None, now: int) -> Belief:
        try:
            return self._judge_true_worker(authorization, now)
        except Unauthenticated:
            producer = self._producer_as_worker(authorization, now)
            if producer is None:
                # A6: when the token is no producer's either, what was wrong with it as a worker's is told.
                raise
            return producer

    def _judge_true_worker(self, authorization: str | None, now: int) -> Belief:
        belief = self._worker_provider.judge(_bearer_token(authorization), now=now)
        if not belief.caller.event_types:
            raise Unauthenticated("missing eventTypes")
        if not belief.caller.scopes:
            raise Unauthenticated("missing scope")
        return belief

    def _producer_as_worker(self, authorization: str | None, now: int) -> Belief | None:
        """A producer in the role of a worker that may do everything, if that is allowed (A6)."""
        if not self._allow_producer_as_worker:
            return None
        try:
            belief = self._judge_producer(authorization, now)
        except Unauthenticated:
            return None
        producer = belief.caller
        caller = Caller(
            subject=producer.subject,
            tenant=producer.tenant,
            scopes=frozenset(WORKER_SCOPES),
            event_types=("*",),
            claims=producer.claims,
            token=producer.token,
        )
        return Belief(caller, belief.since, belief.until)

    def _judge_reader(self, authorization: str | None, now: int) -> Belief:
        try:
            belief = self._worker_provider.judge(_bearer_token(authorization), now=now)
            if belief.caller.event_types:
                return belief
        except Unauthenticated:
            pass
        try:
            return self._judge_producer(authorization, now)
        except Unauthenticated:
            raise Unauthenticated("invalid token") from None


class _Remembered:
    """Header values that were believed, and until when."""

    def __init__(self, judge: Callable[[str | None, int], Belief]) -> None:
        self._judge = judge
        self._beliefs: dict[str | None, Belief] = {}

    def caller(self, authorization: str | None, now: int) -> Caller:
        """Judge the value, unless it was believed before and still holds."""
        belief = self._beliefs.get(authorization)
        if belief is None or not belief.since <= now < belief.until:
            belief = self._judge(authorization, now)
            if len(self._beliefs) >= REMEMBERED:
                del self._beliefs[next(iter(self._beliefs))]
            self._beliefs[authorization] = belief
        return belief.caller


def _bearer_token(authorization: str | None) -> str:
    """The token of ``Bearer <token>``; its scheme in any case, and a second blank belongs to the token (A1, A2)."""
    value = (authorization or "").strip(" \t")
    if not value:
        raise Unauthenticated("missing Authorization header")
    scheme, blank, token = value.partition(" ")
    if not blank or scheme.lower() != "bearer":
        raise Unauthenticated("invalid Authorization format")
    return token
