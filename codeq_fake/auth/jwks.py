"""The keys of a JWKS document: cached for five minutes, and fetched again if one is missing or old (A4).

`find` does not wait: if the document has to be fetched first, it raises `KeysNeeded`. `with_keys` then fetches it and
tries again. `fetch_url` is the only part of `codeq_fake.auth` that does I/O.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from codeq_fake.server_settings import JwksAuth

from .caller import FOREVER, Unauthenticated
from .jwt import RSA_ALGORITHMS, Jwt, unverifiable

if TYPE_CHECKING:
    import httpx
    from joserfc.jwk import RSAKey
    from starlette.types import ASGIApp

T = TypeVar("T")

#: Fetches a URL within a number of seconds. Raises FetchFailed.
Fetch: TypeAlias = Callable[[str, float], Awaitable[bytes]]
#: The addresses of a host that may be called. Raises OSError if none may.
Addresses: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]

#: For how long fetched keys are used (A4), in ns.
MAX_AGE = 300 * 1_000_000_000

#: The pause between two fetches of a document, in seconds.
INTERVAL = 0.1
#: The largest document, in bytes.
LARGEST = 1024 * 1024
#: How many of its RSA keys are read, and how many characters each of their numbers may have (16,384 bits have 2,731):
#: each key takes a tenth of a millisecond, a number of a whole document half a second.
MOST_KEYS = 200
LONGEST_NUMBER = 4096

_OK = 200
_MAX_REDIRECTS = 10  # as Go's client


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
        #: Key id -> why the last fetch did not bring this key. `find` removes it when it refuses the key.
        self._missing: dict[str, str] = {}
        #: The fetch that is under way, or the last one.
        self._fetching: asyncio.Task[str] | None = None
        #: The time of the event loop (s) before which no other fetch begins.
        self._next_at = 0.0

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
        """Fetch the document for `key_id`. The next `find` of that key does not raise KeysNeeded.

        Requests that need a key at the same time share one fetch. Those that come later wait for the next one, which
        begins `INTERVAL` after the end of the last one: so a new key is found at once, and tokens with invented keys
        do not flood the server of the document. Expired keys are fetched without that pause.
        """
        loop = asyncio.get_running_loop()
        fetching = self._fetching
        if fetching is None or fetching.done() or fetching.get_loop() is not loop:
            # In the context of the fake: neither a cancelled request nor a killed host of a simulation ends it.
            fetching = self._fetching = loop.create_task(self._fetch_document(now), context=Context())
        await asyncio.wait({fetching})
        failure = "failed to fetch JWKS: context canceled" if fetching.cancelled() else fetching.result()
        if failure or key_id not in self._keys:
            self._missing[key_id] = failure or _not_found(key_id)

    async def _fetch_document(self, now: int) -> str:
        """Fetch the document and use its keys. Returns why that failed, or an empty text."""
        loop = asyncio.get_running_loop()
        if -FOREVER < self._stale_at <= now:
            # Keys expire rarely, so that no pause is needed: a test that moves the clock does not wait. If this fetch
            # fails, the next one waits.
            self._stale_at = -FOREVER
        elif 0 < (pause := self._next_at - loop.time()) <= INTERVAL:  # a longer one comes from a loop with another time
            await asyncio.sleep(pause)
        try:
            keys = read_keys(_read_document(await self._fetch(self._auth.url, self._auth.timeout)))
        except FetchFailed as error:
            return str(error)
        finally:
            self._next_at = loop.time() + INTERVAL
        self._keys, self._stale_at = keys, now + MAX_AGE
        return ""


def check_signature(jwt: Jwt, key: RSAKey) -> None:
    """Raise Unauthenticated unless `key` signed the token."""
    from joserfc.jws import JWSRegistry  # noqa: PLC0415 - slow, and only signed tokens need it

    algorithm = JWSRegistry(algorithms=RSA_ALGORITHMS).get_alg(jwt.algorithm)
    if not algorithm.verify(jwt.signed, jwt.signature, key):
        raise bad_signature()


def read_keys(document: Mapping[str, object]) -> dict[str, RSAKey]:
    """The RSA keys of a JWKS document by id. Other entries are ignored, as are those beyond `MOST_KEYS`."""
    from joserfc.errors import JoseError  # noqa: PLC0415 - as above
    from joserfc.jwk import RSAKey  # noqa: PLC0415 - as above

    keys: dict[str, RSAKey] = {}
    entries = document.get("keys")
    for numbers, key_id in islice(_rsa_entries(entries if isinstance(entries, list) else ()), MOST_KEYS):
        try:
            with warnings.catch_warnings():
                # A short key does not matter in tests.
                warnings.simplefilter("ignore")
                keys[key_id] = RSAKey.import_key(numbers)
        except (JoseError, ValueError):
            continue
    return keys


def _rsa_entries(entries: Iterable[object]) -> Iterator[tuple[dict[str, str | list[str]], str]]:
    """Type, modulus and exponent of each RSA key, as texts, and its id."""
    for entry in entries:
        if isinstance(entry, dict) and entry.get("kty") == "RSA":
            numbers = {name: entry.get(name, "") for name in ("kty", "n", "e")}
            if all(isinstance(number, str) and len(number) <= LONGEST_NUMBER for number in numbers.values()):
                yield numbers, str(entry.get("kid", ""))


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


async def fetch_url(
    url: str,
    timeout: float,  # noqa: ASYNC109 - what a Fetch is given
    addresses: Addresses | None = None,
    mounts: Mapping[str, ASGIApp] = MappingProxyType({}),
) -> bytes:
    """The content of an `http(s)://` or `file://` URL: at most `LARGEST` bytes, within `timeout` seconds in all.

    `addresses` returns the addresses that may be called for a host; it is asked again for each redirect. Without it any
    address is called. `mounts` maps origins to applications in this process, which answer in place of their hosts:
    `addresses` is not asked for these. Raises FetchFailed.
    """
    is_file = url.startswith("file://")
    # Before the timeout begins: to load them takes a good part of a second on a busy machine.
    for library in ("anyio",) if is_file else ("anyio", "httpx"):
        import_module(library)
    try:
        async with asyncio.timeout(timeout):
            return await (_read_file(url) if is_file else _get(url, addresses or _itself, mounts))
    except TimeoutError:
        raise _failed(url, "context deadline exceeded") from None


async def _itself(host: str) -> Sequence[str]:
    """The host as its own address: any is allowed, and the system looks it up."""
    return (host,)


async def _get(url: str, addresses: Addresses, mounts: Mapping[str, ASGIApp]) -> bytes:
    """The content of an http(s) URL, after its redirects."""
    import httpx  # noqa: PLC0415 - slow, and often not needed

    try:
        target = httpx.URL(url)
        # One by one, since httpx would read the body of each redirect to its end.
        for _ in range(_MAX_REDIRECTS):
            app, host = _mounted(target, mounts), target.raw_host.decode("ascii")
            async with _answer(target, (host,) if app is not None else await addresses(host), app) as response:
                if not response.has_redirect_location:
                    return await _content(response)
                target = target.join(response.headers["Location"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OverflowError, OSError) as error:
        raise _failed(url, str(error) or type(error).__name__) from None
    raise _failed(url, f"stopped after {_MAX_REDIRECTS} redirects")


def _mounted(target: httpx.URL, mounts: Mapping[str, ASGIApp]) -> ASGIApp | None:
    """The application that is mounted at the origin of a URL, if there is one."""
    import httpx  # noqa: PLC0415 - as above

    for origin, app in mounts.items():
        url = httpx.URL(origin)
        if (url.scheme, url.host, url.port) == (target.scheme, target.host, target.port):
            return app
    return None


@asynccontextmanager
async def _answer(target: httpx.URL, addresses: Sequence[str], app: ASGIApp | None) -> AsyncIterator[httpx.Response]:
    """The answer of an application, or of the first of these addresses that accepts a connection; without its body."""
    import httpx  # noqa: PLC0415 - as above

    # Without the proxies of the environment: a JWKS server is on this machine or in this network. Not compressed: a
    # small answer could become a large document. Without a timeout: `fetch_url` has one for the whole fetch.
    headers = {"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"}
    extensions = {"sni_hostname": target.raw_host.decode("ascii")}
    transport = None if app is None else httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        timeout=None,  # noqa: S113 - see above
        trust_env=False,
        verify=_tls(target.scheme),
        transport=transport,
    ) as client:
        for address in addresses:
            request = client.build_request(
                "GET", target.copy_with(host=address), headers=headers, extensions=extensions
            )
            try:
                response = await client.send(request, stream=True)
            except httpx.ConnectError:
                if address == addresses[-1]:
                    raise
                continue
            try:
                yield response
            finally:
                await response.aclose()
            return


@cache
def _tls(scheme: str) -> ssl.SSLContext:
    """The context for a scheme. httpx needs one for http, too, where it need not read the trusted certificates."""
    import httpx  # noqa: PLC0415 - as above

    return httpx.create_ssl_context() if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _content(response: httpx.Response) -> bytes:
    """The body of a reply with keys. Raises FetchFailed for another status, or a body that is too long."""
    if response.status_code != _OK:
        raise FetchFailed(f"JWKS endpoint returned status {response.status_code}")
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        _check_size(content)
    return bytes(content)


async def _read_file(url: str) -> bytes:
    import anyio  # noqa: PLC0415 - slow, and often not needed

    try:
        return await anyio.to_thread.run_sync(_read_regular_file, url)
    except (OSError, ValueError) as error:
        raise _failed(url, str(error)) from None


def _read_regular_file(url: str) -> bytes:
    """The content of the file at a `file://` URL. Blocks, so it is called in a thread."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - as httpx
    from urllib.request import url2pathname  # noqa: PLC0415 - as httpx

    path = Path(url2pathname(urlsplit(url).path))
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")  # reading a device or a pipe may not end
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    _check_size(content)
    return content


def _check_size(content: bytes | bytearray) -> None:
    if len(content) > LARGEST:
        raise FetchFailed(f"failed to parse JWKS: it has more than {LARGEST} bytes")


def _failed(url: str, reason: str) -> FetchFailed:
    return FetchFailed(f'failed to fetch JWKS: Get "{url}": {reason}')
