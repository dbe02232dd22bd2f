"""The guard of callbacks: they go only to this machine, to private networks, and to hosts that the user allows.

The addresses at which clouds hand out credentials (metadata services), and all link-local ones, are open only to a user
who names them.

Tests often contain real addresses of others (`https://your-app.com/hook`). A test must not contact these hosts, nor
the public DNS. So a name is looked up only if it cannot be public: it has a single label (a service of a compose file),
or ends in a domain that is reserved for private use. The user has to allow any other name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

from .exchange import BlockedError

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
        # Servers listen on the "any" address. A connection to it stays on this machine, as with Go's dialer.
        "0.0.0.0/32",
        "::/128",
    )
)

#: Link-local addresses, where most metadata services of clouds are, and those that are elsewhere.
_METADATA = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::/32",  # Amazon
        "fd20:ce::/32",  # Google
        "fd00:c1::/32",  # Oracle
        "fd00:42::/32",  # Scaleway
        "192.0.0.192/32",  # Oracle, at first
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure
    )
)

#: Names of metadata services, which a proxy may know although this machine does not.
_METADATA_NAMES = frozenset(
    {
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    }
)

#: IPv6 networks whose last 32 bits are an IPv4 address.
_ENDS_IN_IPV4 = tuple(map(ip_network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/96")))
#: Bits 64 to 95 of an IPv6 address whose last 32 bits are an IPv4 address, in any network (ISATAP).
_BEFORE_IPV4 = (0x0000_5EFE, 0x0200_5EFE)

_LOOPBACK = ("127.0.0.1", "::1")

# RFC 6761, RFC 6762, RFC 8375 and ICANN's reservation of .internal: none of them exists in the public DNS.
_PRIVATE_DOMAINS = (".test", ".local", ".home.arpa", ".internal")


async def look_up(name: str) -> tuple[str, ...]:
    """The addresses of a name, from this machine's resolver. Raises OSError if it knows none."""
    infos = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in infos))


class Guard:
    """Decides which hosts may be called.

    `allow` has further hosts by exact name or address; `*` stands for all but link-local ones and metadata services.
    """

    def __init__(self, allow: Iterable[str] = (), *, resolve: Resolver = look_up) -> None:
        self._allowed = frozenset(_allowed_host(host) for host in allow)
        self._resolve = resolve

    async def allows(self, host: str) -> bool:
        """Whether the user allows `host`: at any address, and through any proxy unless it is this machine.

        Raises BlockedError if `*` allows it, but it is link-local or a metadata service.
        """
        name = canonical(host)
        if name in self._allowed:
            return True
        if ANY_HOST not in self._allowed:
            return False
        try:
            for address in (name,) if as_address(name) else await self._resolve(name):
                _check_metadata(name, address)
        except OSError:  # the name may be one that only a proxy knows
            if name in _METADATA_NAMES:
                raise _blocked(name, "is a metadata service of a cloud") from None
        return True

    async def addresses(self, host: str) -> Sequence[str]:
        """The checked addresses of a host that the user has not allowed by name. Connect to these without a new lookup.

        Raises BlockedError if one of the addresses is public, link-local or a metadata service's, and OSError if there
        is none.
        """
        name = canonical(host)
        for address in (addresses := await self._find(name)):
            _check_metadata(name, address)
            if not _is_local(ip_address(address)):
                raise _blocked(name, f"{_at(name, address)}is not on this machine or a private network")
        return addresses

    async def _find(self, name: str) -> Sequence[str]:
        """The addresses of a name. One that may be public is not looked up: raises BlockedError."""
        if as_address(name):
            return (name,)
        if name == "localhost" or name.endswith(".localhost"):
            return _LOOPBACK  # RFC 6761 allows no other meaning, and a resolver might ask another machine
        if "." in name and not name.endswith(_PRIVATE_DOMAINS):
            raise _blocked(name, "may be a public name, so it was not even looked up")
        return await self._resolve(name)


def _check_metadata(name: str, address: str) -> None:
    meanings = _meanings(ip_address(address))
    if any(meaning in network for meaning in meanings for network in _METADATA):
        raise _blocked(name, f"{_at(name, address)}is link-local, or a metadata service of a cloud")


def _meanings(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """The address itself, and the IPv4 addresses that it may lead to."""
    yield address
    if isinstance(address, IPv6Address):
        number = int(address)
        if any(address in network for network in _ENDS_IN_IPV4) or number >> 32 & 0xFFFF_FFFF in _BEFORE_IPV4:
            yield IPv4Address(number & 0xFFFF_FFFF)
        for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
            if inner is not None:
                yield inner


def _at(name: str, address: str) -> str:
    return "" if address == name else f"at {address} "


def _blocked(name: str, reason: str) -> BlockedError:
    return BlockedError(f"{name} {reason}; --webhook-allow {name} would open it")


def _allowed_host(host: str) -> str:
    name = canonical(host)
    if not name or set(name) & set("/@?# ") or (":" in name and not as_address(name)):
        raise ValueError(f"{host!r} is neither a host name, nor an address, nor {ANY_HOST!r}")
    return name


def _is_local(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _LOCAL_NETWORKS)


def is_loopback(host: str) -> bool:
    """Whether a host is always this machine, in any spelling of its address. Nothing is looked up."""
    name = canonical(host)
    try:
        address = ip_address(name if ":" in name else socket.inet_aton(name))
    except (OSError, ValueError):
        return name == "localhost" or name.endswith(".localhost")
    address = getattr(address, "ipv4_mapped", None) or address
    # A connection to the "any" address stays on this machine.
    return address.is_loopback or address.is_unspecified


def canonical(host: str) -> str:
    """One spelling of a host: lower case, without brackets and the root's dot, IPv6 in its shortest form."""
    name = host.lower().rstrip(".").removeprefix("[").removesuffix("]")
    return str(as_address(name) or name)


def as_address(name: str) -> IPv4Address | IPv6Address | None:
    """The IP address that `name` is in the usual spelling, or None."""
    try:
        return ip_address(name)
    except ValueError:
        return None
