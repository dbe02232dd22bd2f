"""Bearer tokens: a fixed text, or a provider that is called again before the token expires and after a 401."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from anyio import to_thread

from codeq_client.errors import ConfigurationError, SubjectChanged, Unavailable

TokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]
TokenSource: TypeAlias = "str | TokenProvider"

_EARLY_SECONDS = 30.0
"""A token is renewed this long before its `exp`, but not before half of its life is over."""


class Token:
    """One token and its provider.

    While leases are held (`hold` and `release`) a new token with another subject is refused: the server identifies the
    holder of a lease by the token's subject, so the new token could neither renew nor settle (K5, H2).
    """

    def __init__(self, source: TokenSource) -> None:
        self.provider: TokenProvider | None = source if callable(source) else None
        self._text = "" if callable(source) else _checked(source)
        self._expires, self._subject = _claims(self._text)
        self._renew_at = self._expires
        self._holds = 0
        self._refused = False

    @property
    def text(self) -> str:
        """The current token, empty before the first one was fetched."""
        return self._text

    def due(self, now: float) -> bool:
        """Whether to call the provider before the next request; `now` is in seconds since the epoch."""
        return self.provider is not None and (not self.usable(now) or now >= self._renew_at)

    def usable(self, now: float) -> bool:
        """Whether the server can still accept the current token."""
        return bool(self._text) and not self._refused and now < self._expires

    def note_refusal(self, text: str) -> bool:
        """Note a 401 for `text`; return whether there may be a better token to try."""
        if self.provider is None:
            return False
        if text == self._text:
            self._refused = True
        return True

    def accept(self, text: str, now: float) -> None:
        """Take what the provider answers at `now`; raises `SubjectChanged`, and `ConfigurationError` for no token."""
        text = _checked(text)
        expires, subject = _claims(text)
        if self._holds and self._subject and subject != self._subject:
            raise SubjectChanged(f"the new token's subject is {subject!r}; leases are held by {self._subject!r}")
        self._text, self._expires, self._subject, self._refused = text, expires, subject, False
        self._renew_at = max(expires - _EARLY_SECONDS, (now + expires) / 2)

    def hold(self) -> None:
        """Count one more lease that only this token's subject can renew."""
        self._holds += 1

    def release(self) -> None:
        """Count one such lease less."""
        self._holds -= 1


def _checked(token: str) -> str:
    """Return the token without space around it; raises `ConfigurationError` if a header cannot carry it."""
    if not isinstance(token, str):
        raise ConfigurationError(f"a token must be a string, not a {type(token).__name__}")
    token = token.strip()
    if not (token.isascii() and token.isprintable()):
        raise ConfigurationError("a token has a character that is not printable ASCII")
    return token


def _claims(token: str) -> tuple[float, str]:
    """Return expiry and subject of a JWT, unverified. Any other token never expires and has no subject."""
    try:
        body = token.split(".")[1]
        claims: Any = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        expires = claims.get("exp")
        return (math.inf if expires is None else float(expires)), str(claims.get("sub", ""))
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return math.inf, ""


class TokenFetcher:
    """Calls token providers for one event loop. Calls at the same time share one answer; it has `timeout` seconds.

    A plain function runs on a thread, so that it does not block the loop. With `threads` False it runs in the loop: on
    a test's clock, virtual time would pass while the thread works.
    """

    def __init__(self, *, timeout: float, threads: bool) -> None:
        self._timeout = timeout
        self._threads = threads
        self._running: dict[int, asyncio.Task[str]] = {}

    async def fetch(self, provider: TokenProvider) -> str:
        """Return the provider's answer; raises `Unavailable` for its errors, and if it takes too long."""
        key = id(provider)  # a provider need not be hashable, and it lives longer than this call
        fetching = self._running.get(key)
        if fetching is None:
            fetching = self._running[key] = asyncio.create_task(self._fetch(provider))
            fetching.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(fetching)  # a cancelled caller does not take the answer from the others

    def _forget(self, key: int, done: asyncio.Task[str]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # the callers get it; without any caller left, asyncio would warn

    async def _fetch(self, provider: TokenProvider) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                token = await self._call(provider)
                text: str = await token if inspect.isawaitable(token) else token
                return text
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # in a task, a SystemExit would end the event loop
            raise _failed(error) from error

    async def _call(self, provider: TokenProvider) -> Any:  # noqa: ANN401 - a text or an awaitable
        call: Any = getattr(provider, "__call__", None)  # noqa: B004 - the call of an object may be a coroutine function
        if inspect.iscoroutinefunction(provider) or inspect.iscoroutinefunction(call) or not self._threads:
            return provider()
        return await to_thread.run_sync(provider, abandon_on_cancel=True)


def fetch_blocking(provider: TokenProvider) -> str:
    """Return the answer of a plain provider, called in this thread; raises `Unavailable` for its errors."""
    try:
        token = provider()
    except Exception as error:
        raise _failed(error) from error
    if inspect.isawaitable(token):
        if inspect.iscoroutine(token):
            token.close()
        raise ConfigurationError("the token provider is asynchronous; BlockingCodeQ needs a plain callable")
    return token


def _failed(error: BaseException) -> Unavailable:
    return Unavailable(f"the token provider failed: {error!r}", sent=False)
