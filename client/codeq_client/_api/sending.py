"""How a call is sent until it is answered: its token, its timeout, and when and after which pause it is sent again.

`calls` says what is sent, and `exchanges` how one request goes to the server. A `Flow` is a generator without I/O: it
yields steps and receives their outcomes. The asynchronous and the blocking client are two small loops that
perform the steps, so every rule about calls exists once and is tested without a network or a clock.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from codeq_client.errors import (
    BadReply,
    CertificateError,
    CodeQError,
    ConfigurationError,
    RateLimited,
    Refused,
    ServerError,
    SubjectChanged,
    Unauthorized,
    Unavailable,
)

from . import refusals
from .calls import Call, Reply, Role
from .clock import Clock
from .long_polls import LongPolls
from .tokens import Token, TokenProvider

T = TypeVar("T")

_SHORTEST_TIMEOUT = 1.0
_SHORTEST_CONNECT = 0.001
"""The libraries take a time of 0 for one without a limit."""
_FIRST_PAUSE = 0.2
"""Seconds before a call is repeated; they double each time, and up to half of them is taken off by chance."""
_LONGEST_PAUSE = 5.0
_LONGEST_RETRY_AFTER = 60.0
"""A longer Retry-After comes from a proxy or is a mistake: it must not stop a caller for a day."""

_log = logging.getLogger("codeq_client")


@dataclass(frozen=True, slots=True)
class Send:
    """Step: send the call with this token, with a `timeout` in seconds, of which a connection has `connect` to be made.

    The outcome is the `Reply`, or `Unavailable` raised at the flow's `yield`. A client may call `meanwhile`, which
    raises nothing, while it waits for the reply.
    """

    call: Call[Any]
    token: str = field(repr=False)
    timeout: float
    connect: float
    meanwhile: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Step: wait for `seconds`, or until `wake` returns if that is earlier."""

    seconds: float
    wake: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class FetchToken:
    """Step: call the provider; the outcome is the token, or `Unavailable` raised at the flow's `yield`."""

    provider: TokenProvider


Step: TypeAlias = Send | Pause | FetchToken
Flow: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Core:
    """The settings that all calls of one client share, and what they found out about the server."""

    clock: Clock
    tokens: Mapping[Role, Token]
    timeout: float
    retries: int
    random: Callable[[], float]
    long_polls: LongPolls = field(default_factory=LongPolls)

    def send(
        self,
        call: Call[T],
        *,
        retries: float | None = None,
        timeout: float | None = None,
        deadline: float = math.inf,
        send_by: float = math.inf,
        guard: Callable[[], None] = lambda: None,
        meanwhile: Callable[[], object] | None = None,
    ) -> Flow[T]:
        """Send `call` until it is answered, as often as is safe; raises the error of the last try.

        No try starts or waits beyond `deadline`, a moment of the clock's `monotonic`, except for one second of grace:
        the last try is made at the deadline. No request leaves the client after `send_by`, another such moment, though
        its answer may come later. `guard` is called right before each try, and may raise. `meanwhile` may be called,
        also more than once, during a try.
        """
        retries_left = self.retries if retries is None else retries
        failures = 0
        refreshed = has_unknown_try = False
        while True:
            token = ""
            try:
                token = yield from self._token_for(call.role)
                guard()
                longest = max(_SHORTEST_TIMEOUT, deadline - self.clock.monotonic())
                limit = min((timeout or self.timeout) + call.wait, longest)
                connect = max(_SHORTEST_CONNECT, min(limit, send_by - self.clock.monotonic()))
                reply: Reply = yield Send(call, token, limit, connect, meanwhile)
                return refusals.decode(call, reply, self.clock.time)
            except Unauthorized:
                if refreshed or not self._token_of(call.role).note_refusal(token):
                    raise
                refreshed = True
            except (Unavailable, RateLimited, ServerError) as error:
                until_deadline = deadline - self.clock.monotonic()
                if failures >= retries_left or not _may_repeat(call, error) or until_deadline <= retry_after(error):
                    if has_unknown_try and isinstance(error, Unavailable) and not error.sent:
                        raise Unavailable(f"{error} (an earlier try had no answer)", sent=True) from error
                    raise
                has_unknown_try = has_unknown_try or may_have_acted(error)
                yield Pause(min(self.pause_seconds(failures, error), until_deadline))
                failures += 1

    def pause_seconds(self, failures: int, error: CodeQError) -> float:
        """Return the seconds to wait after `failures` earlier failures: exponential, with jitter, or Retry-After."""
        backoff = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures, 10)) * (0.5 + self.random() / 2)
        return max(retry_after(error), backoff)

    def _token_of(self, role: Role) -> Token:
        try:
            return self.tokens[role]
        except KeyError:
            raise ConfigurationError(f"this call needs a {role.value} token, and the client has none") from None

    def _token_for(self, role: Role) -> Flow[str]:
        """Return the token, renewed if that is due. An error of its provider is raised only if the old one is over."""
        token = self._token_of(role)
        if token.provider is not None and token.due(self.clock.time()):
            try:
                text = yield FetchToken(token.provider)
                token.accept(text, self.clock.time())
            except (Unavailable, SubjectChanged) as error:
                if not token.usable(self.clock.time()):
                    raise
                _log.warning("keeping the present %s token: %s", role.value, error)
        return token.text


def retry_after(error: Exception) -> float:
    """Return the server's Retry-After in seconds, limited; 0 if it sent none."""
    return min(error.retry_after, _LONGEST_RETRY_AFTER) if isinstance(error, Refused) else 0.0


def may_have_acted(error: CodeQError) -> bool:
    """Return whether the server may have carried the call out. A rate limit is checked before that (B3)."""
    return isinstance(error, ServerError) or (isinstance(error, Unavailable) and error.sent)


def _may_repeat(call: Call[Any], error: CodeQError) -> bool:
    """Return whether the call can be sent again without a second effect."""
    if isinstance(error, BadReply | CertificateError):
        return False  # it would most likely be as bad again
    return call.repeatable or not may_have_acted(error)
