"""The composer: makes the requests of callbacks and notices, with their bodies, headers and signatures."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from codeq_fake.core.effects import CallbackDue, NoticeDue
from codeq_fake.wire import callback_text, quote, rfc3339_nano, rfc3339_seconds

from .exchange import Outgoing

_SECOND = 1_000_000_000


class Composer:
    """Composes each try of a callback and each notice. `now` is in nanoseconds since the epoch, by the fake's clock.

    `zone` is the server's time zone, for `completedAt`. `secret` is the key of the signatures (`WEBHOOK_HMAC_SECRET`);
    with "" requests are not signed (W2).
    """

    def __init__(self, zone: ZoneInfo, secret: str = "") -> None:
        self._zone = zone
        self._secret = secret

    def callback(self, due: CallbackDue, *, now: int) -> Outgoing:
        """The request of one try of a result callback (W1, W2). Its body is the same for each try (W3)."""
        artifacts = [
            f'{{"name":{quote(artifact.name)},"url":{quote(artifact.url)}}}' for artifact in due.artifacts or ()
        ]
        body = _body(
            taskId=quote(due.task_id),
            eventType=quote(due.command),
            status=quote(due.status),
            result="null" if due.result is None else due.result,
            error=quote(due.error),
            artifacts="null" if due.artifacts is None else f"[{','.join(artifacts)}]",
            completedAt=quote(rfc3339_nano(due.completed_at, self._zone)),
        )
        return self._signed(due.url, body, now=now, trace_parent=due.trace_parent)

    def notice(self, due: NoticeDue, *, now: int) -> Outgoing:
        """The request of a queue-ready notice (U4)."""
        body = _body(
            eventType=quote(due.command),
            available="true",
            queueDepth="0",
            claimUrl=quote("/v1/codeq/tasks/claim"),
            sentAt=quote(rfc3339_seconds(now)),
            notificationId=quote(f"ntf-{due.subscription_id}"),
        )
        return self._signed(due.url, body, now=now)

    def _signed(self, url: str, body: bytes, *, now: int, trace_parent: str = "") -> Outgoing:
        lines = headers(body, secret=self._secret, timestamp=now // _SECOND, trace_parent=trace_parent)
        return Outgoing(url=url, headers=lines, body=body)


def headers(body: bytes, *, secret: str, timestamp: int, trace_parent: str = "") -> tuple[tuple[str, str], ...]:
    """The headers of one try: signed if there is a secret (W2), traced if there is a trace (X1).

    The timestamp, in Unix seconds, is that of the try, so each try has its own headers. There is no `tracestate`, even
    if the task has one: the recorded callback of such a task has only `traceparent`.
    """
    lines = [("User-Agent", "Go-http-client/1.1"), ("Content-Type", "application/json")]
    if secret:
        lines += [("X-CodeQ-Timestamp", str(timestamp)), ("X-CodeQ-Signature", sign(secret, timestamp, body))]
    if trace_parent:
        lines.append(("traceparent", trace_parent))
    # Go's client adds it. What the receiver then compresses is not read.
    return (*lines, ("Accept-Encoding", "gzip"))


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The lower-case hex HMAC-SHA256 of `<timestamp>.<body>`, with the timestamp in Unix seconds (W2)."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and most fakes have no secret
    import hmac  # noqa: PLC0415 - as above

    return hmac.new(secret.encode(), b"%d.%b" % (timestamp, body), hashlib.sha256).hexdigest()


def _body(**members: str) -> bytes:
    """A JSON object of members whose values are JSON texts."""
    text = ",".join(f'"{name}":{value}' for name, value in members.items())
    return callback_text(f"{{{text}}}").encode()
