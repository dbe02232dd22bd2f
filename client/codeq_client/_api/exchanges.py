"""One request and its reply: what holds for all of them, whatever library sends it. `sending` decides about the next.

Each request has an id, which the server echoes (R20). A reply is limited in size, and never compressed: a small one
could fill the memory. An error says whether the request can have been sent.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeAlias
from urllib.request import getproxies, proxy_bypass

import anyio
import httpx

from codeq_client._display import excerpt, without_password
from codeq_client.errors import BadReply, CertificateError, ClientClosed, NoFreeConnection, Unavailable

from . import limits
from .sending import Send

_USUAL_LIMIT = 1024 * 1024
"""How many bytes of a request proxies take by default."""

_REQUEST_ID = "x-request-id"
_OUR_IDS = "codeq-client-"

Settings: TypeAlias = Mapping[str, Any]


ALL_IN_USE = f"all {limits.MAX_CONNECTIONS} connections of the client are in use"


class Slots:
    """At most `MAX_CONNECTIONS` requests at a time. The wait for a slot does not count as time of the request."""

    def __init__(self) -> None:
        self._free = anyio.Semaphore(limits.MAX_CONNECTIONS, fast_acquire=True)

    @asynccontextmanager
    async def taken(self, longest: float) -> AsyncIterator[None]:
        """Wait for a slot, for `longest` seconds at most."""
        await self._take(longest)
        try:
            yield
        finally:
            self._free.release()

    async def _take(self, longest: float) -> None:
        with suppress(anyio.WouldBlock):
            self._free.acquire_nowait()
            return
        try:
            with anyio.fail_after(longest):
                await self._free.acquire()
        except TimeoutError:
            raise NoFreeConnection(ALL_IN_USE) from None


def request_headers(step: Send) -> dict[str, str]:
    """Return the headers of a request; raises `UnicodeError` for a token that a header cannot carry."""
    step.token.encode("ascii")
    headers = {
        **dict(step.call.headers),
        "accept-encoding": "identity",
        "authorization": f"Bearer {step.token}",
        _REQUEST_ID: _OUR_IDS + secrets.token_hex(8),  # not from `random`, which a forked process repeats
    }
    if step.call.body is not None:
        headers["content-type"] = "application/json"
    return headers


def total_timeout(step: Send) -> float:
    """Return how long the whole response may take: the libraries' own limit applies to each read of a body.

    It is a little longer than that one, whose error tells more: whether the request was sent.
    """
    return 1.1 * step.timeout


def check_head(sent: Mapping[str, str], received: Mapping[str, str]) -> None:
    """Raise `BadReply` for a reply whose headers forbid to read it. `sent` are the headers of the request."""
    echoed = received.get(_REQUEST_ID, "")
    # A proxy may replace the id by its own. But one of ours that is another request's is a foreign reply.
    if echoed.startswith(_OUR_IDS) and echoed != sent[_REQUEST_ID]:
        raise BadReply("this is the reply to another request: is the connection used by two processes?")
    if received.get("content-encoding", "identity").lower() != "identity":
        raise BadReply("the reply is compressed, which was not asked for")
    length = received.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > limits.MAX_REPLY_BYTES):  # noqa: PLR2004 - digits
        raise BadReply(_TOO_LARGE)


class Body:
    """The body of a reply, up to `MAX_REPLY_BYTES`."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, chunk: bytes) -> None:
        """Append a part of the body; raises `BadReply` if there is too much."""
        self._size += len(chunk)
        if self._size > limits.MAX_REPLY_BYTES:
            raise BadReply(_TOO_LARGE)
        self._chunks.append(chunk)

    def joined(self) -> bytes:
        """Return the whole body."""
        return b"".join(self._chunks)


_TOO_LARGE = f"the reply is larger than {limits.MAX_REPLY_BYTES // 1024 // 1024} MiB"


@contextmanager
def errors_of(step: Send, settings: Settings, unsent: tuple[type[Exception], ...]) -> Iterator[None]:
    """Raise the client's errors for those of a library and of transports.

    `unsent` are the library's errors after which nothing can have been sent.
    """
    try:
        yield
    except (BadReply, NoFreeConnection) as error:
        raise type(error)(f"{step.call.method} {step.call.path}: {error}") from None
    except ClientClosed:
        raise
    except Exception as error:
        detail = excerpt(str(error)) or type(error).__name__
        text = f"{step.call.method} {step.call.path}: no answer from {_route(settings)}: {detail}"
        if _is_about_certificate(error):
            raise CertificateError(f"{text}; {_TRUST}") from error
        sent = not isinstance(error, (*unsent, UnicodeError))
        raise Unavailable(f"{text}{_doubt_of_size(step)}" if sent else text, sent=sent) from error


def _doubt_of_size(step: Send) -> str:
    """Return what a large request leaves open: the refusal of a server that then hangs up may get lost."""
    size = len(step.call.body or b"")
    return f"; does the server take a request of {size:,} bytes?" if size > _USUAL_LIMIT else ""


_TRUST = "set SSL_CERT_FILE to the certificates that are trusted, or correct the URL"


def proxy_for(settings: Settings) -> str | None:
    """Return the proxy of the environment through which the server is called."""
    url, proxies = httpx.URL(settings["base_url"]), getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if proxy and settings["trust_env"] and not proxy_bypass(url.host) else None


def _route(settings: Settings) -> str:
    """Return the server, and the proxy that is called instead."""
    shown, proxy = without_password(settings["base_url"]), proxy_for(settings)
    return f"{shown} through the proxy {without_password(proxy)}" if proxy else shown


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
