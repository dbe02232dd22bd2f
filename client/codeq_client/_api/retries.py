"""How a call is made: tokens, retries and their pauses, as a generator that performs nothing itself.

A `Flow` yields steps and is sent their outcomes; the asynchronous and the blocking client are two small loops that
perform the steps. So every rule about calls stands once, and can be tested without a network or a clock.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from codeq_client.errors import (
    BadReply,
    CodeQError,
    ConfigurationError,
    RateLimited,
    ServerError,
    SubjectChanged,
    Unauthorized,
    Unavailable,
)

from . import refusals

if TYPE_CHECKING:
    from .calls import Call, Reply, Role
    from .clock import Clock
    from .tokens import Token, TokenProvider

T = TypeVar("T")

_SHORTEST_TRY = 1.0
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_LONGEST_WISH = 60.0
"""A Retry-After beyond this is some proxy's or a mistake: it must not put a caller to sleep for a day."""

_log = logging.getLogger("codeq_client")


@dataclass(frozen=True, slots=True)
class Send:
    """Step: send the call with this token; the outcome is the `Reply`, or `Unavailable` thrown into the flow."""

    call: Call[Any]
    token: str
    timeout: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Step: wait so many seconds, or until `wake` returns when that comes first."""

    seconds: float
    wake: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Step: ask for a token; the outcome is its text, or `Unavailable` thrown into the flow."""

    provider: TokenProvider


Step: TypeAlias = Send | Pause | Ask
Flow: TypeAlias = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Core:
    """The settings that all calls of one client share."""

    clock: Clock
    tokens: Mapping[Role, Token]
    timeout: float
    retries: int
    random: Callable[[], float]

    def send(
        self,
        call: Call[T],
        *,
        retries: float | None = None,
        timeout: float | None = None,
        deadline: float = math.inf,
        guard: Callable[[], None] = lambda: None,
    ) -> Flow[T]:
        """Send `call` until it is answered, as often as is safe; raises the error of the last try.

        No try is begun or waited for beyond `deadline`, a moment of the clock's `monotonic`, but for a second's grace;
        the last one is made at it.
        `guard` is called right before each sending, and may raise.
        """
        left = self.retries if retries is None else retries
        failures = 0
        renewed = False
        while True:
            token = ""
            try:
                token = yield from self._token(call.role)
                guard()
                longest = max(_SHORTEST_TRY, deadline - self.clock.monotonic())
                reply: Reply = yield Send(call, token, min((timeout or self.timeout) + call.wait, longest))
                return refusals.read(call, reply)
            except Unauthorized:
                if renewed or not self._token_of(call.role).refuse(token):
                    raise
                renewed = True
            except (Unavailable, RateLimited, ServerError) as error:
                until_deadline = deadline - self.clock.monotonic()
                if failures >= left or not may_repeat(call, error) or until_deadline <= _wish(error):
                    raise
                yield Pause(min(self.pause(failures, error), until_deadline))
                failures += 1

    def pause(self, failures: int, error: CodeQError) -> float:
        """Return the seconds to wait after so many earlier failures: the server's wish, or doubling with jitter."""
        backoff = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures, 10)) * (0.5 + self.random() / 2)
        return max(_wish(error), backoff)

    def _token_of(self, role: Role) -> Token:
        try:
            return self.tokens[role]
        except KeyError:
            raise ConfigurationError(f"this call needs a {role.value} token, and the client has none") from None

    def _token(self, role: Role) -> Flow[str]:
        token = self._token_of(role)
        if token.provider is not None and token.due(self.clock.time()):
            try:
                token.accept((yield Ask(token.provider)))
            except (Unavailable, SubjectChanged) as error:
                if not token.usable(self.clock.time()):
                    raise
                _log.warning("keeping the present %s token: %s", role.value, error)
        return token.text


def _wish(error: CodeQError) -> float:
    return min(error.retry_after, _LONGEST_WISH) if isinstance(error, RateLimited) else 0.0


def may_repeat(call: Call[Any], error: CodeQError) -> bool:
    """Whether sending the call again cannot do what it did a second time."""
    if isinstance(error, BadReply):
        return False  # it would most likely be as bad again
    if isinstance(error, RateLimited) or (isinstance(error, Unavailable) and not error.sent):
        return True  # the server did nothing: the limit is checked first (B3)
    return call.repeatable
