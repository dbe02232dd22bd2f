"""The headers of callbacks and notices, and their HMAC signature."""

from __future__ import annotations

import hashlib
import hmac


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the lower-case hex HMAC-SHA256 of ``<timestamp>.<body>``; ``timestamp`` in Unix seconds (W2)."""
    return hmac.new(secret.encode(), b"%d.%b" % (timestamp, body), hashlib.sha256).hexdigest()


def headers(body: bytes, *, secret: str, timestamp: int, trace_parent: str = "") -> tuple[tuple[str, str], ...]:
    """Return the headers of one try: signed if there is a secret (W2), traced if there is a trace (X1).

    The timestamp, in Unix seconds, is that of the try, so each try needs headers of its own. The ``tracestate`` of a
    task stays with the task: the recorded callback of a task that has one carries ``traceparent`` alone.
    """
    lines = [("User-Agent", "Go-http-client/1.1"), ("Content-Type", "application/json")]
    if secret:
        lines += [("X-CodeQ-Timestamp", str(timestamp)), ("X-CodeQ-Signature", sign(secret, timestamp, body))]
    if trace_parent:
        lines.append(("traceparent", trace_parent))
    return tuple(lines)
