"""The sender: sends one try of a callback or notice, follows redirects, and returns the outcome."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from .exchange import Answer, BlockedError, DeliveryError, Hop, Outcome, Outgoing
from .guard import Guard

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from .transport import Transport

_MAX_REQUESTS = 10  # as Go's client: it does not follow the redirect in the tenth answer
_USER = re.compile(r"^([A-Za-z]+://)[^/?#]*@")
_STAYS_A_POST = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})  # W4


class Sender:
    """Sends requests to the hosts that the guard allows.

    It keeps no connections, so it works in any event loop. It has no timeout: `runtime.webhook_deliveries`, which has
    the clock, cancels a try that takes too long (W3).
    """

    def __init__(
        self,
        *,
        guard: Guard | None = None,
        mounts: Mapping[str, ASGIApp] = MappingProxyType({}),
        drops_content_type: bool = False,
    ) -> None:
        self._guard = guard or Guard()
        self._drops_content_type = drops_content_type
        for origin, app in mounts.items():
            self.mount(origin, app)

    def mount(self, origin: str, app: ASGIApp) -> None:
        """Let `app` answer all requests to `origin`, for example `http://hooks.test`, in this process.

        There is no connection, so the guard does not apply. The application's lifespan does not run. Raises ValueError
        if `origin` is not exactly `http(s)://host[:port]`.
        """
        self._transport.mount(origin, app)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send a request and follow its redirects to the final answer (W4). Raises only if it is cancelled."""
        request, hops = outgoing, list[Hop]()
        while True:
            try:
                answer = await self._transport.exchange(request)
            except (BlockedError, DeliveryError) as reason:
                hops.append(Hop(request.method, request.url))
                return Outcome(tuple(hops), str(reason), blocked=isinstance(reason, BlockedError))
            hops.append(Hop(request.method, request.url, answer.status))
            redirected = self._redirected(request, answer)
            if redirected is None:
                return Outcome(tuple(hops))
            if len(hops) == _MAX_REQUESTS:
                return Outcome(tuple(hops), f"stopped after {_MAX_REQUESTS} redirects")
            request = redirected

    def _redirected(self, request: Outgoing, answer: Answer) -> Outgoing | None:
        """The next request of a redirect, with the same headers and a referer, or None if the answer is final (W4).

        A version of the server may drop the type of a body that is no longer sent.
        """
        if not answer.location:
            return None
        headers = _with_referer(request, answer.location)
        if answer.status in _STAYS_A_POST:
            return request._replace(url=answer.location, headers=headers)
        if self._drops_content_type:
            headers = tuple((name, value) for name, value in headers if name != "Content-Type")
        return request._replace(url=answer.location, headers=headers, method="GET", body=b"")

    @cached_property
    def _transport(self) -> Transport:
        from .transport import Transport  # noqa: PLC0415 - httpx is slow to import, and most fakes send nothing

        return Transport(self._guard)


def _with_referer(request: Outgoing, location: str) -> tuple[tuple[str, str], ...]:
    """The headers, with the URL that redirects, as from Go's client: without its user, and not from https to http."""
    headers = tuple((name, value) for name, value in request.headers if name != "Referer")
    if request.url.startswith("https:") and location.startswith("http:"):
        return headers
    return (*headers, ("Referer", _USER.sub(r"\1", request.url)))
