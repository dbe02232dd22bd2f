"""Where a callback may go: to this machine and private networks, and to hosts that were opened by name.

A fake serves tests, and tests are full of other people's addresses (``https://your-app.com/hook``). Nobody outside may
hear from a test, not even the DNS: a name is looked up only if it cannot be public, because it has a single label (a
service of a compose file) or ends in a domain reserved for private use. Any other name has to be opened.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

from .errors import BlockedError
from .hosts import as_address, canonical

Resolver: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]

ANY_HOST = "*"

_LOCAL_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "127.0.0.0/8",
        "::1/128",
        # Private use
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
        # Link-local
        "169.254.0.0/16",
        "fe80::/10",
        # "Any address" is where servers listen; a connection to it stays on this machine, and Go's dialer says so too.
        "0.0.0.0/32",
        "::/128",
    )
)

_LOOPBACK = ("127.0.0.1", "::1")

# RFC 6761, RFC 6762, RFC 8375 and ICANN's reservation of .internal: none of them exists in the public DNS.
_PRIVATE_DOMAINS = (".test", ".local", ".home.arpa", ".internal")


async def look_up(name: str) -> tuple[str, ...]:
    """Return the addresses that this machine's resolver knows for ``name``; OSError if it knows none."""
    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Guard:
    """Says which hosts may be called; ``allow`` opens further ones by exact name or address, ``*`` opens all."""

    def __init__(self, allow: Iterable[str] = (), *, resolve: Resolver = look_up) -> None:
        self._opened = frozenset(_opened_host(host) for host in allow)
        self._resolve = resolve

    def opens(self, host: str) -> bool:
        """Tell whether ``host`` was opened: it may then be called at whatever address, and by whatever proxy."""
        return ANY_HOST in self._opened or canonical(host) in self._opened

    async def addresses(self, host: str) -> Sequence[str]:
        """Return where to connect to for ``host``, which was not opened: checked addresses, not to be looked up again.

        Raises BlockedError if even one of the host's addresses is public, and OSError if it has none.
        """
        name = canonical(host)
        for address in (found := await self._find(name)):
            if not _is_local(ip_address(address)):
                at = "" if address == name else f"at {address} "
                raise _blocked(name, f"{at}is not on this machine or a private network")
        return found

    async def _find(self, name: str) -> Sequence[str]:
        if as_address(name):
            return (name,)
        if name == "localhost" or name.endswith(".localhost"):
            return _LOOPBACK  # RFC 6761 lets nothing else be meant, and a resolver might ask around
        if "." in name and not name.endswith(_PRIVATE_DOMAINS):
            raise _blocked(name, "may be a public name, so it was not even looked up")
        return await self._resolve(name)


def _blocked(name: str, reason: str) -> BlockedError:
    return BlockedError(f"{name} {reason}; --webhook-allow {name} would open it")


def _opened_host(host: str) -> str:
    name = canonical(host)
    if not name or set(name) & set("/@?# ") or (":" in name and not as_address(name)):
        raise ValueError(f"{host!r} is neither a host name, nor an address, nor {ANY_HOST!r}")
    return name


def _is_local(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _LOCAL_NETWORKS)
