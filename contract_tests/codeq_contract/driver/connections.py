"""HTTP clients of the suite. Requests to this machine go past the proxies of the environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from ipaddress import ip_address
from socket import inet_aton
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from .servers import NotRunError

_LOOPBACK = "localhost,127.0.0.1,::1"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def connect(url: str, *, direct: bool = False, **options: Any) -> httpx.Client:
    """A client of the server at `url`, with `options` of httpx.

    It uses the proxies of the environment, unless `direct` is set or the server is on this machine. Raises NotRunError
    if a proxy is not usable.
    """
    settings = _settings(url, direct=direct)
    try:
        return httpx.Client(base_url=url, **settings, **options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise _unusable(error) from None


def connect_async(url: str, *, direct: bool = False, **options: Any) -> httpx.AsyncClient:
    """As `connect`, with an event loop."""
    settings = _settings(url, direct=direct)
    try:
        return httpx.AsyncClient(base_url=url, **settings, **options)
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise _unusable(error) from None


def has_proxy(url: str, *, direct: bool = False) -> bool:
    """Whether a proxy of the environment leads to the server at `url`."""
    target = httpx.URL(url)
    proxies = {} if direct or is_loopback(target.host) else getproxies()
    return not proxies.keys().isdisjoint((target.scheme, "all")) and not proxy_bypass(target.host)


def answers(url: str) -> bool:
    """Whether a server that the suite has started answers this request."""
    try:
        with connect(url, direct=True, timeout=2) as http:
            return http.get(url).is_success
    except httpx.TransportError:
        return False


def _settings(url: str, *, direct: bool) -> dict[str, Any]:
    # Certificates take long to load, and a server under test rarely has one.
    verify: ssl.SSLContext | bool = url.startswith("https:") and httpx.create_ssl_context()
    return {"verify": verify, "trust_env": not (direct or is_loopback(httpx.URL(url).host))}


def _unusable(error: Exception) -> NotRunError:
    return NotRunError(f"a proxy setting of the environment (HTTP_PROXY, ALL_PROXY, NO_PROXY) is not usable: {error}")


def is_loopback(host: str) -> bool:
    """Whether a host is always this machine, in any spelling of its address. Nothing is looked up."""
    name = host.lower().rstrip(".")
    try:
        address = ip_address(name if ":" in name else inet_aton(name))
    except (OSError, ValueError):
        return name == "localhost" or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    # A connection to the "any" address stays on this machine.
    return address.is_loopback or address.is_unspecified


def with_direct_loopback(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environ`; if they set proxies, programs that read them call this machine directly."""
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if excepted.strip() == "*" or not any(name.lower() in _PROXIES for name in environ):
        return dict(environ)
    direct = f"{excepted},{_LOOPBACK}" if excepted else _LOOPBACK
    return {**environ, "no_proxy": direct, "NO_PROXY": direct}
