"""A request as a handler gets it, and reading what its client sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from starlette.types import Receive, Scope

from codeq_fake import wire
from codeq_fake.auth import Caller
from codeq_fake.core import Broker
from codeq_fake.payloads import FaultKind
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.wire import BadBody, Struct

from .limits import LARGEST_BODY
from .rejections import BodyTooLarge

#: The caller of a route that needs no token.
ANYONE = Caller(subject="", tenant="", scopes=frozenset(), event_types=(), claims={}, token="")


@dataclass(slots=True, eq=False)
class Call:
    """A request. The checks (B3) set its caller and its body.

    `arrived` is when it came in, `now` the time at which it is carried out (ns): later, if its body took a while.
    """

    broker: Broker
    zone: ZoneInfo
    params: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    request_id: bytes
    now: int
    caller: Caller = ANYONE
    body: bytes = b""
    #: A large body, when it has been decoded.
    decoded: dict[str, Any] | BadBody | None = None
    #: The kinds of the faults that came on it.
    faults: tuple[FaultKind, ...] = ()
    query_string: bytes = b""
    arrived: int = 0

    @classmethod
    def of(cls, runtime: FakeServer, scope: Scope) -> Call:
        """A request that has just come in."""
        # Of a repeated header, Go takes the first.
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        request_id = headers.get(b"x-request-id", b"").strip(b" \t") or runtime.source.request_id().encode()  # R20
        params = scope.get("path_params", {})
        zone = runtime.config.settings.timezone
        now, query_string = runtime.clock.now(), scope["query_string"]
        return cls(runtime.broker, zone, params, headers, request_id, now, query_string=query_string, arrived=now)

    def refresh_from(self, runtime: FakeServer) -> None:
        """Use the present state and time, to be called after each wait: the fake may have been reset meanwhile."""
        self.broker, self.now = runtime.broker, runtime.clock.now()

    def is_outdated(self, runtime: FakeServer) -> bool:
        """Whether the state that this request is for has been replaced."""
        return self.broker is not runtime.broker

    def decode(self, struct: Struct) -> dict[str, Any]:
        """The fields of the body. Raises BadBody (B2)."""
        if self.decoded is None:
            return wire.decode(self.body, struct)
        return _fields_of(self.decoded)

    def decode_leniently(self, struct: Struct) -> dict[str, Any]:
        """The fields of a body. A bad one has none."""
        try:
            return self.decode(struct)
        except BadBody:
            return {}

    def query(self, name: str) -> str:
        """The first value of a parameter in the query, or an empty text."""
        pairs = parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True)
        return next((value for found, value in pairs if found == name), "")

    def header(self, name: bytes) -> str:
        """A header's value, or an empty text."""
        return self.headers.get(name, b"").decode("latin-1")


def _fields_of(decoded: dict[str, Any] | BadBody) -> dict[str, Any]:
    if isinstance(decoded, BadBody):
        raise BadBody(*decoded.args)  # a new one: its traceback refers to the request, and the request to `decoded`
    return decoded


class ClientGone(Exception):
    """The client hung up before its request was complete."""


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises ClientGone or BodyTooLarge."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


async def hang_up(receive: Receive) -> None:
    """Wait until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
