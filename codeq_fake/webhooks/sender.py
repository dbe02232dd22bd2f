"""One try of a callback or a notice: sent, redirects followed, and told how it ended."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from codeq_fake.webhooks.errors import BlockedError, DeliveryError
from codeq_fake.webhooks.guard import Guard
from codeq_fake.webhooks.messages import Answer, Hop, Outcome, Outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from codeq_fake.webhooks.transport import Transport

MAX_REQUESTS = 10
"""Go's client gives up when the tenth request of a try is answered with yet another redirect."""

# W4: what a redirect does to the method and the body.
_BECOMES_GET = frozenset({HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER})
_STAYS_AS_IT_IS = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})


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
        """Send ``outgoing`` and follow redirects to the answer that decides (W4); raises nothing."""
        request, hops = outgoing, list[Hop]()
        while True:
            hop = Hop(request.method, request.url)
            try:
                answer = await self._transport.exchange(request)
                hop = replace(hop, status=answer.status)
                redirected = _redirected(request, answer)
            except (BlockedError, DeliveryError) as reason:
                return Outcome((*hops, hop), str(reason), blocked=isinstance(reason, BlockedError))
            hops.append(hop)
            if redirected is None:
                return Outcome(tuple(hops))
            if len(hops) == MAX_REQUESTS:
                return Outcome(tuple(hops), f"stopped after {MAX_REQUESTS} redirects")
            request = redirected

    @cached_property
    def _transport(self) -> Transport:
        # httpx takes a quarter of a second to import, and most fakes never call anybody.
        from codeq_fake.webhooks.transport import Transport  # noqa: PLC0415 - see above

        return Transport(self._guard)


def _redirected(request: Outgoing, answer: Answer) -> Outgoing | None:
    """Return the request that a redirect asks for, with the same headers; None if the answer is final (W4)."""
    if answer.status not in _BECOMES_GET | _STAYS_AS_IT_IS or not answer.location:
        return None
    try:
        url = urljoin(request.url, answer.location)
    except ValueError as unreadable:
        raise DeliveryError(f"redirected to {answer.location!r}: {unreadable}") from unreadable
    if answer.status in _STAYS_AS_IT_IS:
        return replace(request, url=url)
    return replace(request, url=url, method="GET", body=b"")
