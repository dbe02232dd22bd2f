"""The keys of a JWKS document: kept for five minutes, fetched again when one is missing or old (A4).

To find a key takes no time. When the document has to be fetched first, ``find`` raises ``KeysNeeded``; ``with_keys``
answers that by fetching and asking once more.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from .caller import FOREVER
from .errors import Unauthenticated
from .jwt import RSA_ALGORITHMS, unverifiable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from joserfc.jwk import RSAKey

    from .jwt import Jwt

T = TypeVar("T")

#: Fetches a URL within a number of seconds; raises FetchFailed.
Fetch: TypeAlias = "Callable[[str, float], Awaitable[bytes]]"

#: How long fetched keys are good (A4), in ns.
MAX_AGE = 300 * 1_000_000_000


class FetchFailed(Exception):
    """The JWKS document could not be had; the text says why."""


class KeysNeeded(Exception):
    """The decision needs key ``key_id`` of ``keys``, which have to be fetched first."""

    def __init__(self, keys: FetchedKeys, key_id: str) -> None:
        super().__init__(key_id)
        self.keys = keys
        self.key_id = key_id


async def with_keys(decide: Callable[[], T], *, now: int) -> T:
    """What ``decide`` returns, once the keys that it asks for have been fetched. Raises what it raises."""
    while True:
        try:
            return decide()
        except KeysNeeded as needed:
            await needed.keys.fetch(needed.key_id, now=now)


class Keys(Protocol):
    """Where a provider finds keys."""

    def find(self, key_id: str, *, now: int) -> tuple[RSAKey, int]:
        """The key, and the instant (ns) until which it is good. Raises Unauthenticated, KeysNeeded."""
        ...


class FixedKeys:
    """Keys that never change."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self._keys = read_keys(document)

    def find(self, key_id: str, *, now: int) -> tuple[RSAKey, int]:  # noqa: ARG002 - good for ever
        """As ``Keys.find``."""
        if key_id not in self._keys:
            raise unverifiable(_not_found(key_id))
        return self._keys[key_id], FOREVER


class FetchedKeys:
    """The keys at one URL. Owned by one provider."""

    def __init__(self, url: str, timeout: float, fetch: Fetch) -> None:
        """``timeout`` is in seconds."""
        self._url = url
        self._timeout = timeout
        self._fetch = fetch
        self._keys: Mapping[str, RSAKey] = {}
        self._stale_at = -FOREVER
        self._missing: dict[str, str] = {}

    def find(self, key_id: str, *, now: int) -> tuple[RSAKey, int]:
        """As ``Keys.find``. That a key is missing is said once: then the document is fetched again."""
        missing = self._missing.pop(key_id, None)
        if key_id in self._keys and now < self._stale_at:
            return self._keys[key_id], self._stale_at
        if missing is None:
            raise KeysNeeded(self, key_id)
        raise unverifiable(missing)

    async def fetch(self, key_id: str, *, now: int) -> None:
        """Fetch the document because ``key_id`` is needed; ``find`` then answers for that key without asking again."""
        try:
            keys = read_keys(_read_document(await self._fetch(self._url, self._timeout)))
        except FetchFailed as error:
            self._missing[key_id] = str(error)
            return
        self._keys, self._stale_at = keys, now + MAX_AGE
        if key_id not in keys:
            self._missing[key_id] = _not_found(key_id)


def check_signature(jwt: Jwt, key: RSAKey) -> None:
    """Raises Unauthenticated unless ``key`` signed the token."""
    from joserfc.jws import JWSRegistry  # noqa: PLC0415 - slow to import, and only a signed token needs it

    algorithm = JWSRegistry(algorithms=RSA_ALGORITHMS).get_alg(jwt.algorithm)
    if not algorithm.verify(jwt.signed, jwt.signature, key):
        raise bad_signature()


def read_keys(document: Mapping[str, object]) -> dict[str, RSAKey]:
    """The RSA keys of a JWKS document by their ids; what is no such key is passed over."""
    from joserfc.errors import JoseError  # noqa: PLC0415 - as in `check_signature`
    from joserfc.jwk import RSAKey  # noqa: PLC0415 - as in `check_signature`

    keys: dict[str, RSAKey] = {}
    entries = document.get("keys")
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("kty") != "RSA":
            continue
        numbers: dict[str, str | list[str]] = {name: str(entry.get(name, "")) for name in ("kty", "n", "e")}
        try:
            with warnings.catch_warnings():
                # A short key is no concern of a fake's.
                warnings.simplefilter("ignore")
                keys[str(entry.get("kid", ""))] = RSAKey.import_key(numbers)
        except (JoseError, ValueError):
            continue
    return keys


def bad_signature() -> Unauthenticated:
    """The refusal of a token that was signed with another key."""
    return Unauthenticated("token signature is invalid: crypto/rsa: verification error")


def _read_document(data: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FetchFailed(f"failed to parse JWKS: {error}") from None
    if not isinstance(document, dict):
        raise FetchFailed("failed to parse JWKS: it is no JSON object")
    return document


def _not_found(key_id: str) -> str:
    return f"key {key_id} not found in JWKS"
