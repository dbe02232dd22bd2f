"""Decides which URLs are callback addresses to Go's net/url."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

_HEX = "[0-9A-Fa-f]"
_SCHEME = re.compile("https?:", re.IGNORECASE | re.ASCII)
_PORT = re.compile("(?::[0-9]*)?")
_ZONE_ESCAPE = re.compile(f"%({_HEX}{{2}})")

# What each part must not contain. A search for a fault needs no memory, however long the URL is.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(f"%(?!{_HEX}{{2}})")
_NOT_USERINFO = re.compile(rf"[^-A-Za-z0-9._:~!$&'()*+,;=%@]|{_BAD_ESCAPE.pattern}")
_NOT_PLAIN = r"\x00-\x1f#/?@\\^`{|}\x7f"
# In a host, percent escapes are for bytes beyond ASCII and for the percent sign itself.
_NOT_HOST = re.compile(rf"[{_NOT_PLAIN} ]|%(?!25|[89A-Fa-f]{_HEX})")
# In a zone, they are for ASCII that is also allowed unescaped, for a blank and for the percent sign.
_NOT_ZONE = re.compile(rf"[{_NOT_PLAIN} ]|{_BAD_ESCAPE.pattern}")
_NOT_ESCAPED_IN_ZONE = re.compile(rf"[{_NOT_PLAIN}\x80-\xff]")


def is_webhook_url(text: str) -> bool:
    """Whether `text` is an absolute http or https URL with a host to Go's `url.Parse` (C3, U1)."""
    before_fragment, _, fragment = text.partition("#")
    scheme = _SCHEME.match(before_fragment)
    if scheme is None or _CONTROL_CHARACTER.search(before_fragment) or _BAD_ESCAPE.search(fragment):
        return False
    hierarchy, _, _ = before_fragment[scheme.end() :].partition("?")
    authority, _, path = hierarchy.removeprefix("//").partition("/")
    return hierarchy.startswith("//") and is_authority(authority) and not _BAD_ESCAPE.search(path)


def is_authority(authority: str) -> bool:
    """Whether Go takes this as the user, host and port of a URL."""
    userinfo, _, host = authority.rpartition("@")
    if _NOT_USERINFO.search(userinfo) or "[" in host[1:]:
        return False
    if host.startswith("["):
        return _is_address_in_brackets(host)
    _, colon, port = host.rpartition(":")
    if colon and not _PORT.fullmatch(colon + port):
        return False
    return bool(host) and not _NOT_HOST.search(host)


def _is_address_in_brackets(host: str) -> bool:
    """Whether it is an IPv6 address in brackets, with an optional zone and an optional port."""
    literal, _, port = host[1:].rpartition("]")
    address, percent, zone = literal.partition("%25")
    if not _PORT.fullmatch(port) or (percent and not _is_zone(zone)) or "%" in address:
        return False
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return True


def _is_zone(zone: str) -> bool:
    escaped = [chr(int(digits, 16)) for digits in _ZONE_ESCAPE.findall(zone)]
    return zone != "" and not _NOT_ZONE.search(zone) and not any(map(_NOT_ESCAPED_IN_ZONE.search, escaped))
