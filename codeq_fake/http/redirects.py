"""Redirects of paths that have a slash too many at their end, as Go and its router make them (R19)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote_to_bytes

from starlette.types import Scope

from codeq_fake.core import Version
from codeq_fake.wire.gohttp import TARGET

from .operations import OPERATIONS, TOPIC_OPERATIONS, Operation
from .replies import Reply

_PARAMETER = re.compile(r"\\\{\w+\\\}")
_ORIGIN = re.compile(rb"(?P<scheme>[a-z][a-z0-9+.-]*:)(?P<authority>(?://[^/?]*)?)", re.IGNORECASE)
#: What Go does not escape in the parts of a URL.
_OF_USER = "$&+,;="
_OF_HOST = "!$&'()*+,;=:[]<>\""
_OF_PATH = "/:@$&+,;=~-._"
_REASON = "the path of the route has no slash at its end (R19)"
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"})

#: The router redirects these too, although no route is there.
_ODDITIES = (("POST", "/v1/codeq/tasks/{id}"), ("POST", "/v1/codeq/workers/subscriptions/{id}"))


def redirect(scope: Scope, version: Version) -> Reply | None:
    """The reply to a request whose path is known without its last slash, None for any other request."""
    path: str = scope["path"]
    known = _KNOWN[version.has_topics].get(scope["method"])
    if known is None or not path.endswith("/") or not known.fullmatch(path, endpos=len(path) - 1):
        return None
    location = _location(scope)
    header = (b"location", re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02x" % ord(byte[0]), location.encode("latin-1")))
    if scope["method"] != "GET":
        return Reply(307, b"", (header,), reason=_REASON)
    body = f'<a href="{location.translate(_HTML)}">Moved Permanently</a>.\n\n'.encode("latin-1")
    return Reply(301, body, ((b"content-type", b"text/html; charset=utf-8"), header), reason=_REASON)


def _location(scope: Scope) -> str:
    """The target without its last slash: decoded, resolved, and encoded again. Other bytes stand as in Latin-1."""
    target: bytes = scope.get(TARGET) or _assumed_target(scope)
    before, mark, after = target.partition(b"?")
    query = (mark + after).decode("latin-1")
    origin = _ORIGIN.match(before)
    path = quote(unquote_to_bytes(before[origin.end() :] if origin else before)[:-1], safe=_OF_PATH)
    if prefix := _prefix(scope):
        path = f"{prefix}/{path}"
    if origin:
        scheme = origin["scheme"].decode().lower()
        return f"{scheme}{_authority(origin['authority'])}{'' if path.startswith('/') else '/'}{path}{query}"
    # Go takes a path that does not begin with a slash, as a prefix may make it, as relative to its own folder.
    path = posixpath.join(posixpath.dirname(path), path)
    # A slash that is still there stays.
    return f"{posixpath.normpath(path)}{'/' * path.endswith('/')}{query}"


def _assumed_target(scope: Scope) -> bytes:
    """The target as it may have been, where the server around the application does not tell it."""
    path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = scope["query_string"]
    return b"%b?%b" % (path, query) if query else path


def _prefix(scope: Scope) -> str:
    """The prefix that a proxy in front of the server has taken away, as the router takes it from the header."""
    sent = next((value for name, value in scope["headers"] if name == b"x-forwarded-prefix"), b"")
    return re.sub("/{2,}", "/", re.sub("[^a-zA-Z0-9/-]+", "", posixpath.normpath(sent.decode("latin-1"))))


def _authority(sent: bytes) -> str:
    """The user and host of an absolute target after two slashes, encoded again. There may be none."""
    user, at, host = sent.removeprefix(b"//").rpartition(b"@")
    name_and_password = ":".join(_encoded(part, _OF_USER) for part in user.split(b":", 1))
    return f"{'//' if sent else ''}{name_and_password}{at.decode()}{_encoded(host, _OF_HOST)}"


def _encoded(sent: bytes, safe: str) -> str:
    return quote(unquote_to_bytes(sent), safe=safe)


def _known(operations: Iterable[Operation]) -> Mapping[str, re.Pattern[str]]:
    """By method: the paths that are redirected with a slash at their end. A parameter may be empty."""
    patterns: dict[str, list[str]] = {}
    for method, path in (*((operation.method, operation.path) for operation in operations), *_ODDITIES):
        patterns.setdefault(method, []).append(_PARAMETER.sub("[^/]*", re.escape(path)))
    return {method: re.compile("|".join(paths)) for method, paths in patterns.items()}


#: By whether the version has topics.
_KNOWN = (_known(OPERATIONS), _known((*OPERATIONS, *TOPIC_OPERATIONS)))
