"""Tells which URLs Go's net/url accepts as a callback's address."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"https?:", re.IGNORECASE | re.ASCII)
_ESCAPED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*", re.DOTALL)
_USERINFO = re.compile(r"[-A-Za-z0-9._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::[0-9]*)?")
# In a host, percent escapes are for bytes beyond ASCII, and for the percent sign itself.
_HOST_CHARACTER = r"[-A-Za-z0-9._~!$&'()*+,;=:<>\"\[\]\x80-\U0010ffff]|%25"
_HOST = re.compile(rf"(?:{_HOST_CHARACTER}|%[89A-Fa-f][0-9A-Fa-f])*")
_ZONE_BYTE = re.compile(r"%([0-9A-Fa-f]{2})")
_ZONE_CHARACTER = re.compile(rf"{_HOST_CHARACTER}| ")


def is_webhook_url(text: str) -> bool:
    """Whether `text` is an absolute http or https URL with a host by Go's url.Parse (C3, U1)."""
    before_fragment, _, fragment = text.partition("#")
    if _CONTROL.search(before_fragment) or not _ESCAPED.fullmatch(fragment):
        return False
    scheme = _SCHEME.match(before_fragment)
    if scheme is None:
        return False
    hierarchy, _, _ = before_fragment[scheme.end() :].partition("?")
    if not hierarchy.startswith("//"):
        return False
    authority, slash, path = hierarchy[2:].partition("/")
    return _is_authority(authority) and _ESCAPED.fullmatch(slash + path) is not None


def _is_authority(authority: str) -> bool:
    userinfo, _, host = authority.rpartition("@")
    if not (_USERINFO.fullmatch(userinfo) and _ESCAPED.fullmatch(userinfo)):
        return False
    if host.startswith("["):
        return _is_bracketed_host(host)
    _, colon, port = host.rpartition(":")
    return bool(host) and "[" not in host and _PORT.fullmatch(colon + port if colon else "") is not None and (
        _HOST.fullmatch(host) is not None
    )


def _is_bracketed_host(host: str) -> bool:
    """An IPv6 address in brackets, perhaps with a zone, and an optional port."""
    literal, bracket, port = host[1:].rpartition("]")
    address, percent, zone = literal.partition("%25")
    if not bracket or not _PORT.fullmatch(port) or (percent and not _is_zone(zone)):
        return False
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return "%" not in address


def _is_zone(zone: str) -> bool:
    """Escapes in a zone may stand for what a host may hold, and for a blank."""
    if not zone or not _ESCAPED.fullmatch(zone):
        return False
    rest = _ZONE_BYTE.sub("", zone)
    escaped = [chr(int(byte, 16)) for byte in _ZONE_BYTE.findall(zone)]
    return _HOST.fullmatch(rest) is not None and all(
        character == "%" or _ZONE_CHARACTER.fullmatch(character) for character in escaped
    )
