"""Host names and addresses in one spelling."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def canonical(host: str) -> str:
    """Spell ``host`` in one way: lower case, without brackets and the root's dot, IPv6 in its shortest form."""
    name = host.lower().rstrip(".").removeprefix("[").removesuffix("]")
    return str(as_address(name) or name)


def as_address(name: str) -> IPv4Address | IPv6Address | None:
    """Read ``name`` as an IP address; None if it is not one in the usual spelling."""
    try:
        return ip_address(name)
    except ValueError:
        return None
