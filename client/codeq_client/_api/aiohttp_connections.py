"""Connections to the server by aiohttp: those of the asynchronous client, unless the user has a transport or a proxy.

aiohttp takes about a quarter of the CPU time of httpx for a request.
"""

from __future__ import annotations

import os
from contextlib import suppress
from socket import inet_aton, inet_ntoa
from typing import Any

import aiohttp
import httpx
from yarl import URL

from codeq_client._compat.aiohttp import new_connector
from codeq_client.errors import ClientClosed

from .calls import Reply
from .exchanges import Body, Settings, Slots, check_head, errors_of, request_headers, total_timeout
from .sending import Send

_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

_IDLE_SECONDS = 4
"""How long a free connection is kept: many servers close one after 5 s, and a request must not meet that."""

_NEVER = 1e9
"""aiohttp rounds times up to whole seconds from this many seconds on."""


class AiohttpConnections:
    """The connections of one event loop, at most `MAX_CONNECTIONS` at a time."""

    def __init__(self, settings: Settings) -> None:
        self.process = os.getpid()
        self._settings = settings
        self._base_url = _sent_url(settings["base_url"])
        self._ssl: Any = settings["verify"] or True
        self._slots = Slots()
        self._is_closed = False
        self._session: aiohttp.ClientSession | None = None

    def __del__(self) -> None:
        """Let a client that was never closed end without aiohttp's warning, as the blocking one does."""
        if self._session is not None:
            self._session.detach()

    async def send(self, step: Send) -> Reply:
        """Send a request and read its reply; raises `Unavailable`."""
        with errors_of(step, self._settings, _UNSENT):
            headers = request_headers(step)
            async with self._slots.taken(step.connect):
                return await self._exchange(step, headers)

    async def _exchange(self, step: Send, headers: dict[str, str]) -> Reply:
        """Send the request of a step, and read its whole reply."""
        async with self._open_session().request(
            step.call.method,
            URL(self._base_url + step.call.path, encoded=True),
            data=step.call.body,
            headers=headers,
            timeout=_timeouts(step),
            ssl=self._ssl,
            allow_redirects=False,
        ) as response:
            check_head(headers, response.headers)
            body = Body()
            async for chunk in response.content.iter_any():
                body.add(chunk)
        received = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, received, body.joined())

    def _open_session(self) -> aiohttp.ClientSession:
        """Return the session, which the first request makes: it belongs to the running loop."""
        if self._is_closed:
            raise ClientClosed
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=new_connector(limit=0, keepalive_timeout=_IDLE_SECONDS, timeout_ceil_threshold=_NEVER),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    async def aclose(self) -> None:
        """Close the connections."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()


def _timeouts(step: Send) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=total_timeout(step), connect=step.connect, sock_read=step.timeout, ceil_threshold=_NEVER
    )


def _sent_url(base_url: str) -> str:
    """Return the URL as aiohttp takes it: without user and password, and with an address such as 127.1 in full."""
    url = httpx.URL(base_url)
    with suppress(OSError):
        url = url.copy_with(host=inet_ntoa(inet_aton(url.host)))
    return f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode().rstrip('/')}"
