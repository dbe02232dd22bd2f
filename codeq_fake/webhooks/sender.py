"""One try of a callback or a notice: sent, redirects followed, and told how it ended."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from .errors import BlockedError, DeliveryError
from .guard import Guard
from .messages import Answer, Hop, Outcome, Outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from .transport import Transport

_MAX_REQUESTS = 10  # as Go's client: the tenth request's answer is the last redirect that it looks at
_STAYS_A_POST = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})  # W4


class Sender:
    """Sends requests, each to where the guard lets it go.

    It keeps no connection and no timeout: a sender serves any event loop, and whoever owns the clock cancels a try that
    takes too long (W3).
    """

    def __init__(self, *, guard: Guard | None = None, mounts: Mapping[str, ASGIApp] = MappingProxyType({})) -> None:
        self._guard = guard or Guard()
        for origin, app in mounts.items():
            self.mount(origin, app)

    def mount(self, origin: str, app: ASGIApp) -> None:
        """Let ``app`` answer all requests to ``origin``, for example ``http://hooks.test``, in this process.

        No connection is made, so no guard is asked. The application's lifespan is not run. Raises ValueError if
        ``origin`` is more or less than ``http(s)://host[:port]``.
        """
        self._transport.mount(origin, app)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send ``outgoing`` and follow redirects to the answer that decides (W4); raises only if it is cancelled."""
        request, hops = outgoing, list[Hop]()
        while True:
            try:
                answer = await self._transport.exchange(request)
            except (BlockedError, DeliveryError) as reason:
                hops.append(Hop(request.method, request.url))
                return Outcome(tuple(hops), str(reason), blocked=isinstance(reason, BlockedError))
            hops.append(Hop(request.method, request.url, answer.status))
            redirected = _redirected(request, answer)
            if redirected is None:
                return Outcome(tuple(hops))
            if len(hops) == _MAX_REQUESTS:
                return Outcome(tuple(hops), f"stopped after {_MAX_REQUESTS} redirects")
            request = redirected

    @cached_property
    def _transport(self) -> Transport:
        # httpx takes a quarter of a second to import, and most fakes never call anybody.
        from .transport import Transport  # noqa: PLC0415 - see above

        return Transport(self._guard)


def _redirected(request: Outgoing, answer: Answer) -> Outgoing | None:
    """Return the request that a redirect asks for, with the same headers; None if the answer is final (W4)."""
    if not answer.location:
        return None
    if answer.status in _STAYS_A_POST:
        return replace(request, url=answer.location)
    return replace(request, url=answer.location, method="GET", body=b"")
