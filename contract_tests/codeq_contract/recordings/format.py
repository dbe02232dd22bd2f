"""A recording: the calls and callbacks of one session with a server."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

WEBHOOK_ORIGIN = "http://hooks.test"
"""The origin of all webhooks in recordings."""

SECRET_SETTING = "WEBHOOK_HMAC_SECRET"  # noqa: S105 - the name of a setting
"""The setting with the secret that signs callbacks (W2)."""

SIGNATURE_HEADERS = ("x-codeq-timestamp", "x-codeq-signature")
CALLBACK_HEADERS = ("content-type", "user-agent", "traceparent", *SIGNATURE_HEADERS)
"""The headers of a callback that a recording keeps."""

REQUEST_HEADERS = ("x-role", "x-request-id", "traceparent", "tracestate")
"""The headers of a request that a recording keeps, and a replay sends: those that the contract mentions.

An unusual `content-type` is kept, too, and an `authorization` that is no usual bearer token, without the token.
"""

REQUESTED_ENCODING = "gzip"
"""The `Accept-Encoding` of each request that is recorded or replayed: the same, so that replies can be compared."""

REPLY_HEADERS = ("content-encoding", "content-type", "location", "retry-after")
"""The headers of a reply that a recording keeps and a replay compares."""


def text_of(content: bytes) -> str:
    """A body as a recording keeps it. Each byte that is no UTF-8 becomes half a surrogate pair."""
    return content.decode(errors="surrogateescape")


def bytes_of(text: str) -> bytes:
    """The body that a recording keeps as `text`, byte for byte."""
    return text.encode(errors="surrogateescape")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a callback or a notice (W2)."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, "sha256").hexdigest()


#: What reading a document raises if it is not of its kind, though it may be valid JSON or YAML.
UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class RecordingError(Exception):
    """The file is not a recording. The text names the line and the reason."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller: its kind, producer or worker, and the claims of its token."""

    kind: str
    claims: Mapping[str, Any]
    alg: str | None = None
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class Header:
    """The set-up of the recorded server.

    `profile` is its store (K8), `settings` its environment variables, `yaml` the text of its settings file, `epoch` the
    start of the session in nanoseconds since 1970. `static` holds the static tokens for the producers' and the workers'
    routes; if it is None, the callers sent signed tokens. `drained` means that the session went on until no task was
    left to claim or to end. Only then does a task that no worker got count as lost. `reaper` is about one of the ticks
    of an embedded store's reaper, in nanoseconds after `epoch`.
    """

    name: str
    profile: str
    epoch: int
    settings: Mapping[str, str]
    yaml: str | None = None
    static: Mapping[str, Any] | None = None
    identities: Mapping[str, Identity] = field(default_factory=dict)
    drained: bool = True
    reaper: int | None = None


@dataclass(slots=True)  # not frozen: to make a frozen one takes three times as long, and there are millions
class Call:
    """One request and its reply. `sent` and `answered` are nanoseconds since 1970. `status` is 0 without a reply."""

    number: int
    sent: int
    answered: int
    identity: str | None
    method: str
    path: str
    headers: Mapping[str, str]
    body: str | None
    status: int
    reply_headers: Mapping[str, str]
    reply: str


@dataclass(frozen=True, slots=True)
class Callback:
    """One request of the server to a webhook, at nanosecond `at` since 1970, and the webhook's answer."""

    at: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: str
    status: int
    location: str | None = None


@dataclass(frozen=True)
class Recording:
    """A whole session. The calls are in the order of sending."""

    header: Header
    calls: tuple[Call, ...]
    callbacks: tuple[Callback, ...]

    @cached_property
    def end(self) -> int:
        """The moment of the last event, in nanoseconds since 1970."""
        moments = [call.answered for call in self.calls] + [callback.at for callback in self.callbacks]
        return max(moments, default=self.header.epoch)
