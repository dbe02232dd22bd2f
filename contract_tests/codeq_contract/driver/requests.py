"""Requests to a server, and their replies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes

TASKS = "/v1/codeq/tasks"
SUBSCRIPTIONS = "/v1/codeq/workers/subscriptions"
ADMIN = "/v1/codeq/admin"

_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_ORIGIN = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*:(?://[^/]*)?")
_TOKEN = re.compile(r"\{token:([^}]+)\}")


def _no_headers() -> Mapping[str, str]:
    return MappingProxyType({})


class UnsupportedError(Exception):
    """The target lacks something that the case needs. The text names it."""


@dataclass(slots=True)  # not frozen, as a `Call`: there are millions in a load
class Request:
    """A request with the bearer token of the caller `identity`. `{token:NAME}` in a header stands for a token.

    The characters of a raw path are bytes, which go out as they are, and so does the rest of a raw request.
    """

    method: str
    path: str
    identity: str | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    is_raw: bool = False

    @property
    def target(self) -> bytes:
        """The target, byte for byte."""
        return self.path.encode("latin-1") if self.is_raw else target_of(self.path)

    @property
    def text(self) -> str:
        """The body as text."""
        return (self.body or b"").decode(errors="backslashreplace")


def target_of(path: str) -> bytes:
    """The target of a request to `path`, which may have a query, byte for byte.

    Only what no client sends is changed: a fragment is left out, and bytes beyond ASCII are escaped.
    """
    return _BEYOND_ASCII.sub(lambda found: b"%%%02x" % ord(found[0]), path.partition("#")[0].encode())


def asgi_target(target: bytes) -> dict[str, Any]:
    """The part of an ASGI scope that describes the target of a request."""
    before, _, query = target.partition(b"?")
    # An absolute target has its path behind the host.
    raw_path = _ORIGIN.sub(b"", before)
    return {
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        # A fake in this process learns from it whether there was a `?` without a query.
        "codeq_fake.target": target,
    }


def tokens_named(headers: Mapping[str, str]) -> list[str]:
    """The callers whose tokens stand in these headers as `{token:NAME}`."""
    return [name for value in headers.values() for name in _TOKEN.findall(value)]


def signed(request: Request, tokens: Mapping[str, str]) -> Request:
    """The request as it goes out: with the token of its caller, and tokens in place of their names."""
    token = None if request.identity is None else tokens[request.identity]
    usual = _usual_headers(token, has_body=request.body is not None)
    if not request.headers:
        return Request(request.method, request.path, request.identity, request.body, usual, request.is_raw)
    own = {name: _TOKEN.sub(lambda found: tokens[found[1]], value) for name, value in request.headers.items()}
    headers = {**usual, **own}
    if request.body is not None and not headers["Content-Type"]:
        # An empty one stands for none.
        del headers["Content-Type"]
    return Request(request.method, request.path, request.identity, request.body, headers, request.is_raw)


@lru_cache(maxsize=256)
def _usual_headers(token: str | None, *, has_body: bool) -> Mapping[str, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return {**headers, "Content-Type": "application/json"} if has_body else headers


@dataclass  # as above
class Reply:
    """A reply. `called` and `returned` are nanoseconds of the driver's clock: when the request went out and ended.

    Header names are in lower case. Without a reply `status` is 0, and `problem` says what happened.
    """

    called: int
    returned: int
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=_no_headers)
    body: bytes = b""
    problem: str = ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="backslashreplace")

    @cached_property
    def json(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """The body as JSON. Raises ValueError."""
        # From bytes `json` would guess the encoding first, which takes a fifth of the time.
        return json.loads(self.body.decode("utf-8", "surrogatepass"))

    @property
    def refusal(self) -> tuple[int, str]:
        """The status and the error text of a refusal (R22). Any other reply has its body in place of the text."""
        body = self.json if self.body.startswith(b"{") else {}
        return self.status, body["error"] if body.keys() == {"error"} else self.text

    def __repr__(self) -> str:
        return f"<Reply {self.status or self.problem} {self.text}>"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its reply."""

    request: Request
    reply: Reply


def tasks_in(body: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON of any shape
    """The tasks in the body of a reply: a single one, a batch of claims, or a batch of creates."""
    if not isinstance(body, dict):
        return []
    single = [body] if "id" in body and "command" in body else []
    claimed = [task for task in body.get("tasks") or () if isinstance(task, dict)]
    return [*single, *claimed, *(item["task"] for item in body.get("results") or () if "task" in item)]
