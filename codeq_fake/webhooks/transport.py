"""One HTTP exchange through httpx: with a mounted application, a checked address, or an allowed host."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TypeAlias

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from .exchange import Answer, BlockedError, DeliveryError, Outgoing
from .guard import Guard, canonical, is_loopback

_logger = logging.getLogger(__name__)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65_535

_Origin: TypeAlias = tuple[str, str, int]


class Transport:
    """Sends a request to the place that its URL and the guard determine, and returns the head of the answer."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._mounts: dict[_Origin, ASGIApp] = {}

    def mount(self, origin: str, app: ASGIApp) -> None:
        """Let `app` answer for `origin`. Raises ValueError if that is not `http(s)://host[:port]`."""
        try:
            url = httpx.URL(origin)
            key = _origin(url)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as unreadable:
            raise ValueError(f"{origin!r} is not an origin: {unreadable}") from unreadable
        if url.userinfo or url.raw_path != b"/" or url.fragment:
            raise ValueError(f"{origin!r} is not an origin: want http(s)://host[:port] and nothing more")
        self._mounts[key] = app

    async def exchange(self, request: Outgoing) -> Answer:
        """Send one request and return its answer, also if that is a redirect.

        Raises BlockedError if the guard refuses the host, and DeliveryError if there is no answer.
        """
        try:
            return await self._exchange(request, httpx.URL(request.url))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as failure:
            raise DeliveryError(f"{type(failure).__name__}: {failure}") from failure
        except (ValueError, ImportError) as failure:
            # A host, header or redirect that cannot be put into bytes; a proxy setting that httpx cannot use.
            raise DeliveryError(f"not sendable: {failure}") from failure
        except BlockedError:
            raise
        except Exception as failure:  # whatever a test has put in the place of sockets
            raise DeliveryError(f"not sendable: {_innermost(failure)!r}") from failure

    async def _exchange(self, request: Outgoing, url: httpx.URL) -> Answer:
        """Send a request to the application mounted at its origin, or to the addresses that the guard has checked."""
        host = url.raw_host.decode("ascii")
        addresses: Sequence[str] = (host,)
        # A client for each exchange, since one client cannot serve two event loops. No timeout:
        # `runtime.webhook_deliveries` cancels a try that takes too long (W3).
        if app := self._mounts.get(_origin(url)):
            transport = httpx.ASGITransport(_logged(app, request.url), raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)  # noqa: S113 - see above
        else:
            allowed = await self._guard.allows(host)
            if not allowed:
                # Connect to the checked addresses: a second lookup could return others.
                addresses = await self._guard.addresses(host)
            # A proxy looks the host up itself: so only for a host that the user allows at any address.
            proxied = allowed and not is_loopback(host)
            tls = self._tls if url.scheme == "https" else self._no_tls
            client = httpx.AsyncClient(verify=tls, trust_env=proxied, timeout=None)  # noqa: S113 - see above
        async with client:
            return await _first_answer(client, request, url, addresses)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()  # reads the trusted certificates, which takes 30 ms

    @cached_property
    def _no_tls(self) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # httpx needs one for http, too


async def _first_answer(
    client: httpx.AsyncClient, request: Outgoing, url: httpx.URL, addresses: Sequence[str]
) -> Answer:
    """Send the request to each address in turn, until one accepts the connection."""
    *others, last = addresses
    for address in others:
        with suppress(httpx.ConnectError):
            return await _exchange_at(client, request, url, address)
    return await _exchange_at(client, request, url, last)


async def _exchange_at(client: httpx.AsyncClient, request: Outgoing, url: httpx.URL, address: str) -> Answer:
    """Send the request to the server at `address`, with the host name of the URL."""
    to_address = httpx.Request(
        request.method,
        url.copy_with(host=address),
        headers=[("Host", url.netloc.decode("ascii")), *request.headers],
        content=request.body,
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )
    response = await client.send(to_address, stream=True)
    await response.aclose()  # without reading the body, which may never end
    location = response.headers["Location"] if response.has_redirect_location else ""
    return Answer(response.status_code, str(url.join(location)) if location else "")


def _innermost(failure: Exception) -> Exception:
    """The first error in groups of groups of errors."""
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def _origin(url: httpx.URL) -> _Origin:
    if url.scheme not in _DEFAULT_PORTS or not url.raw_host:
        raise httpx.UnsupportedProtocol("want http or https and a host")
    port = url.port or _DEFAULT_PORTS[url.scheme]
    if port > _LAST_PORT:
        raise httpx.InvalidURL(f"there is no port {port}")  # C3 and httpx allow it
    return url.scheme, canonical(url.raw_host.decode("ascii")), port


def _logged(app: ASGIApp, url: str) -> ASGIApp:
    """Log the exceptions of `app`, as a server does: the sender sees only a 500."""

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            _logger.exception("the application mounted for %s failed", url)
            raise

    return logged
