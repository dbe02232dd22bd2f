"""Webhooks: verify signatures, and an ASGI application that receives result callbacks and queue-ready notices."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import anyio

from codeq_client._api import reply_bodies
from codeq_client._api.clock import Clock, SystemClock
from codeq_client._api.models import Record

from .errors import ConfigurationError, InvalidSignature

Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[MutableMapping[str, Any]]]"
Send: TypeAlias = "Callable[[MutableMapping[str, Any]], Awaitable[None]]"

_MAX_REMEMBERED = 10_000
_MAX_DIGITS = 20
_MAX_BODY = 16 * 1024 * 1024

#: Key of an extension of the scope: a function that receives what a handler raises. A fake that calls the receiver in
#: process gives it, so that a test fails with the error.
_ON_ERROR = "codeq.on_error"

_log = logging.getLogger("codeq_client.webhooks")


def verify_signature(
    secret: str, headers: Mapping[str, str], body: bytes, tolerance: float = 300, *, now: float | None = None
) -> None:
    """Raise `InvalidSignature` unless `body` was signed with `secret` at most `tolerance` seconds from `now` (W2).

    The names in `headers` may be in upper or lower case. `now` is in seconds since the epoch, by default the machine's
    time. Raises `ConfigurationError` for a secret that is empty or no string.
    """
    _check_secret(secret)
    lower = {name.lower(): value for name, value in headers.items()}
    timestamp, signature = lower.get("x-codeq-timestamp", ""), lower.get("x-codeq-signature", "")
    is_time = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _MAX_DIGITS
    if not is_time or not signature:
        raise InvalidSignature("the request has no CodeQ signature")
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        raise InvalidSignature("the signature does not match the secret")
    age = (SystemClock().time() if now is None else now) - int(timestamp)
    if abs(age) > tolerance:
        raise InvalidSignature(f"the signature is {age:.0f} s old; at most {tolerance:.0f} s are allowed")


def _check_secret(secret: object) -> None:
    if not isinstance(secret, str):
        raise ConfigurationError(f"the secret is a {type(secret).__name__}, not a string")
    if not secret.strip():
        raise ConfigurationError(
            "the secret is empty: anybody can sign with it; a receiver takes None for unsigned requests"
        )


@dataclass(frozen=True, slots=True)
class ResultCallback:
    """A finished task's result, as the server sends it to the task's webhook (W1)."""

    task_id: str
    command: str
    record: Record


@dataclass(frozen=True, slots=True)
class QueueReady:
    """A notice that the command's queue got its first task (U4)."""

    command: str
    sent_at: datetime
    notification_id: str


OnResult: TypeAlias = Callable[[ResultCallback], Awaitable[None]]
OnReady: TypeAlias = Callable[[QueueReady], Awaitable[None]]


class WebhookReceiver:
    """An ASGI application for the server's POSTs: mount it at the webhook and callback URLs.

    With a `secret`, only requests signed with it at most `tolerance` seconds ago are accepted; `None` accepts unsigned
    ones. A message that is delivered more than once, as retries do (W3), reaches the handlers once. If a handler
    raises, its error is logged and the server delivers again; in a test it goes to the fake that sent the message. A
    result also wakes `CodeQ.wait_for_result(..., wake=receiver)`.
    """

    def __init__(self, secret: str | None, *, tolerance: float = 300, clock: Clock | None = None) -> None:
        if secret is not None:
            _check_secret(secret)
        self._secret = secret
        self._tolerance = tolerance
        self._clock = clock or SystemClock()
        self._on_result: list[OnResult] = []
        self._on_ready: list[OnReady] = []
        # By `_key` of a message: those that reached all handlers, the oldest first, and those that are reaching them.
        self._seen: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._delivering: dict[tuple[str, ...], anyio.Event] = {}
        # By task: the events to set when its result arrives.
        self._waiting: dict[str, set[anyio.Event]] = {}

    def on_result(self, handler: OnResult) -> OnResult:
        """Register the decorated coroutine function for results."""
        self._on_result.append(handler)
        return handler

    def on_ready(self, handler: OnReady) -> OnReady:
        """Register the decorated coroutine function for queue-ready notices."""
        self._on_ready.append(handler)
        return handler

    async def ended(self, task_id: str) -> None:
        """Return when a result of the task arrives."""
        with self._waiter(task_id) as event:
            await event.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 204 if the message was accepted, otherwise an error status."""
        if scope["type"] != "http":
            raise RuntimeError(f"a webhook receiver answers only HTTP, not {scope['type']}")
        status = 405 if scope["method"] != "POST" else await self._receive(scope, receive)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _receive(self, scope: Scope, receive: Receive) -> int:
        """Verify and decode one message, and return the status of the reply."""
        body = await _body(receive)
        if body is None:
            return 413
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            if self._secret is not None:
                verify_signature(self._secret, headers, body, self._tolerance, now=self._clock.time())
            message = _message(json.loads(body))
        except InvalidSignature as error:
            _log.warning("a webhook was refused: %s", error)
            return 401
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            _log.warning("a webhook was not a CodeQ message: %r", error)
            return 400
        return await self._deliver(message, scope.get("extensions", {}).get(_ON_ERROR, _log_error))

    async def _deliver(self, message: ResultCallback | QueueReady, on_error: Callable[[Exception], object]) -> int:
        """Call the handlers for a message, once even if the server repeats it; return the status of the reply."""
        key = _key(message)
        while earlier := self._delivering.get(key):  # the server waits 15 s and then sends again (W3)
            await earlier.wait()
        if key in self._seen:
            return 204
        self._delivering[key] = anyio.Event()
        try:
            if isinstance(message, ResultCallback):
                for on_result in self._on_result:
                    await on_result(message)
            else:
                for on_ready in self._on_ready:
                    await on_ready(message)
        except Exception as error:  # noqa: BLE001 - the reply makes the server deliver again
            on_error(error)
            return 500
        else:
            self._remember(key)
        finally:
            self._delivering.pop(key).set()
        if isinstance(message, ResultCallback):
            for event in self._waiting.get(message.task_id, ()):
                event.set()
        return 204

    def _remember(self, key: tuple[str, ...]) -> None:
        self._seen[key] = None
        if len(self._seen) > _MAX_REMEMBERED:
            self._seen.popitem(last=False)

    @contextmanager
    def _waiter(self, task_id: str) -> Iterator[anyio.Event]:
        event = anyio.Event()
        waiting = self._waiting.setdefault(task_id, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(task_id, None)


async def _body(receive: Receive) -> bytes | None:
    """Return the request's body, or None if it is larger than any message of the server."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BODY:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _log_error(error: Exception) -> None:
    _log.error("a webhook handler failed", exc_info=error)


_TEXTS = ("taskId", "eventType", "status", "error", "completedAt", "sentAt", "notificationId")


def _message(wire: Mapping[str, Any]) -> ResultCallback | QueueReady:
    """Read the body of a callback or a notice. Raises what a malformed one causes."""
    fields = {name: value for name, value in wire.items() if value is not None}
    for name in _TEXTS:
        if not isinstance(fields.get(name, ""), str):
            raise TypeError(f"{name} is not a string")
    if "taskId" in fields:
        record = {name: value for name, value in fields.items() if name != "eventType" and value != ""}
        return ResultCallback(fields["taskId"], fields["eventType"], reply_bodies.record(record))
    return QueueReady(fields["eventType"], datetime.fromisoformat(fields["sentAt"]), fields["notificationId"])


def _key(message: ResultCallback | QueueReady) -> tuple[str, ...]:
    """Return what repeated deliveries of a message have in common: `completedAt` is the same in every try (W3)."""
    if isinstance(message, ResultCallback):
        return ("result", message.task_id, str(message.record.completed_at))
    return ("ready", message.notification_id, str(message.sent_at))
