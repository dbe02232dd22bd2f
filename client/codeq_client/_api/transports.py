"""httpx: requests, responses and errors of a call, as both clients need them."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from codeq_client.errors import Unavailable

from .calls import Reply
from .retries import Send

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)
"""By default httpx keeps 20 connections open; a worker with more slots would open one for each further result."""


def tls_for(base_url: str) -> ssl.SSLContext | bool:
    """Return the TLS context, or False for plain HTTP: loading the certificate authorities takes 30 ms."""
    return httpx.URL(base_url).scheme == "https" and httpx.create_ssl_context()


def request_arguments(step: Send) -> dict[str, Any]:
    """Return the arguments of `httpx.Client.request` for a step."""
    headers = {**dict(step.call.headers), "authorization": f"Bearer {step.token}"}
    if step.call.body is not None:
        headers["content-type"] = "application/json"
    return {
        "method": step.call.method,
        "url": step.call.path,
        "content": step.call.body,
        "headers": headers,
        "timeout": step.timeout,
    }


def total_timeout(step: Send) -> float:
    """Return how long the whole response may take: httpx's timeout applies to each read, and a body may trickle in.

    It is a little longer than httpx's timeout, whose error tells more: whether the request was sent.
    """
    return 1.1 * step.timeout


def reply_from(response: httpx.Response, body: bytes) -> Reply:
    """Return httpx's response as a `Reply`."""
    return Reply(response.status_code, dict(response.headers), body)


def unavailable(step: Send, error: Exception) -> Unavailable:
    """Return the client's error for one of httpx or of a transport; it says whether the request can have been sent.

    A token that is not ASCII is a `UnicodeError`, raised before anything is sent.
    """
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | UnicodeError)
    detail = str(error) or type(error).__name__
    return Unavailable(f"{step.call.method} {step.call.path}: no answer: {detail}", sent=not unsent)
