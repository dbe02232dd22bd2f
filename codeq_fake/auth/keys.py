"""The keys of a JWKS document: cached for five minutes, and fetched again if one is missing or old (A4).

`find` does not wait: if the document has to be fetched first, it raises `KeysNeeded`. `with_keys` then fetches it and
tries again. `fetch_url` is the only input and output of `codeq_fake.auth`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from codeq_fake.server_settings import JwksAuth

from .caller import FOREVER, Unauthenticated
from .jwt import RSA_ALGORITHMS, Jwt, unverifiable

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

T = TypeVar("T")

#: Fetches a URL within a number of seconds. Raises FetchFailed.
Fetch: TypeAlias = Callable[[str, float], Awaitable[bytes]]

#: For how long fetched keys are used (A4), in ns.
MAX_AGE = 300 * 1_000_000_000

_OK = 200


class FetchFailed(Exception):
    """The JWKS document could not be fetched. The text says why."""


class KeysNeeded(Exception):
    """Key `key_id` of `keys` is needed, which have to be fetched first."""

    def __init__(self, keys: Keys, key_id: str) -> None:
        super().__init__(key_id)
        self.keys = keys
        self.key_id = key_id


async def with_keys(authenticate: Callable[[], T], *, now: int) -> T:
    """The result of `authenticate`, after fetching the keys that it needs. Raises what it raises."""
    while True:
        try:
            return authenticate()
        except KeysNeeded as needed:
            await needed.keys.fetch(needed.key_id, now=now)


class Keys:
    """The keys of one provider: those of its document, which do not change, or those at its URL."""

    def __init__(self, auth: JwksAuth, fetch: Fetch) -> None:
        self._auth = auth
        self._fetch = fetch
        self._keys = {} if auth.jwks is None else read_keys(auth.jwks)
        self._stale_at = -FOREVER if auth.jwks is None else FOREVER
        self._missing: dict[str, str] = {}

    def find(self, key_id: str, *, now: int) -> tuple[RSAKey, int]:
        """The key, and the instant (ns) until which it can be used. Raises Unauthenticated or KeysNeeded.

        A missing key is refused once after `fetch`. Then the document is needed again.
        """
        missing = self._missing.pop(key_id, None)
        if key_id in self._keys and now < self._stale_at:
            return self._keys[key_id], self._stale_at
        if missing is None and self._auth.jwks is None:
            raise KeysNeeded(self, key_id)
        raise unverifiable(missing or _not_found(key_id))

    async def fetch(self, key_id: str, *, now: int) -> None:
        """Fetch the document for `key_id`. The next `find` of that key does not raise KeysNeeded."""
        try:
            keys = read_keys(_read_document(await self._fetch(self._auth.url, self._auth.timeout)))
        except FetchFailed as error:
            self._missing[key_id] = str(error)
            return
        self._keys, self._stale_at = keys, now + MAX_AGE
        if key_id not in keys:
            self._missing[key_id] = _not_found(key_id)


def check_signature(jwt: Jwt, key: RSAKey) -> None:
    """Raise Unauthenticated unless `key` signed the token."""
    from joserfc.jws import JWSRegistry  # noqa: PLC0415 - slow, and only signed tokens need it

    algorithm = JWSRegistry(algorithms=RSA_ALGORITHMS).get_alg(jwt.algorithm)
    if not algorithm.verify(jwt.signed, jwt.signature, key):
        raise bad_signature()


def read_keys(document: Mapping[str, object]) -> dict[str, RSAKey]:
    """The RSA keys of a JWKS document by id. Other entries are ignored."""
    from joserfc.errors import JoseError  # noqa: PLC0415 - as above
    from joserfc.jwk import RSAKey  # noqa: PLC0415 - as above

    keys: dict[str, RSAKey] = {}
    entries = document.get("keys")
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("kty") != "RSA":
            continue
        numbers: dict[str, str | list[str]] = {name: str(entry.get(name, "")) for name in ("kty", "n", "e")}
        try:
            with warnings.catch_warnings():
                # A short key does not matter in tests.
                warnings.simplefilter("ignore")
                keys[str(entry.get("kid", ""))] = RSAKey.import_key(numbers)
        except (JoseError, ValueError):
            continue
    return keys


def bad_signature() -> Unauthenticated:
    """The refusal of a token that another key has signed."""
    return Unauthenticated("token signature is invalid: crypto/rsa: verification error")


def _read_document(data: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FetchFailed(f"failed to parse JWKS: {error}") from None
    if not isinstance(document, dict):
        raise FetchFailed("failed to parse JWKS: it is not a JSON object")
    return document


def _not_found(key_id: str) -> str:
    return f"key {key_id} not found in JWKS"


async def fetch_url(url: str, timeout: float) -> bytes:  # noqa: ASYNC109 - the timeout of each step, as in httpx
    """The content of an `http(s)://` or `file://` URL, within `timeout` seconds. Raises FetchFailed."""
    if url.startswith("file://"):
        return await _read_file(url)
    import httpx  # noqa: PLC0415 - slow, and often not needed

    try:
        # Without the proxies of the environment: a JWKS server is on this machine or in this network.
        async with httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=True) as client:
            response = await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailed(f'failed to fetch JWKS: Get "{url}": {str(error) or type(error).__name__}') from None
    if response.status_code != _OK:
        raise FetchFailed(f"JWKS endpoint returned status {response.status_code}")
    return response.content


async def _read_file(url: str) -> bytes:
    from urllib.parse import urlsplit  # noqa: PLC0415 - as httpx
    from urllib.request import url2pathname  # noqa: PLC0415 - as httpx

    import anyio  # noqa: PLC0415 - as httpx

    try:
        return await anyio.Path(url2pathname(urlsplit(url).path)).read_bytes()
    except (OSError, ValueError) as error:
        raise FetchFailed(f'failed to fetch JWKS: Get "{url}": {error}') from None
