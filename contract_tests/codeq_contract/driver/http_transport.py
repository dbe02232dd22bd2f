"""Requests over the network, in real time."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException, HTTPResponse
from typing import Self

import httpx

from .clocks import Clock
from .connections import connect, has_proxy
from .plain_connection import KEEPALIVE, TIMEOUT, Answered, Connection, PlainConnection
from .requests import Reply, Request

_MAX_IDLE_CONNECTIONS = 64


class HttpTransport:
    """The transport to a server at a URL. Threads may share it. A context manager, which closes the connections.

    `direct` is for a server that no proxy leads to. Otherwise a proxy of the environment may lead to it (`has_proxy`).
    """

    def __init__(self, url: str, clock: Clock, *, direct: bool = False) -> None:
        self._clock = clock
        self.url = url
        self.has_proxy = has_proxy(url, direct=direct)
        self._prefix = httpx.URL(url).raw_path.rstrip(b"/")
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=_MAX_IDLE_CONNECTIONS, keepalive_expiry=KEEPALIVE
        )
        self._http = connect(url, direct=direct, timeout=TIMEOUT, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def exchange(self, requests: Sequence[Request], schedule: int) -> list[Reply]:  # noqa: ARG002 - left to chance
        """As `Transport.exchange`."""
        if len(requests) == 1:
            return [self._send(requests[0])]
        start = threading.Barrier(len(requests))

        def send(request: Request) -> Reply:
            start.wait()
            return self._send(request)

        with ThreadPoolExecutor(len(requests)) as threads:
            return list(threads.map(send, requests))

    def connection(self) -> Connection:
        """A connection for one request at a time, on an event loop. Much cheaper, but not through a proxy."""
        return _ThreadedConnection(self._send) if self.has_proxy else PlainConnection(self.url, self._clock.now)

    def _send(self, request: Request) -> Reply:
        """Send one request. A lost one is a reply without a status."""
        if request.is_raw:
            return self._send_raw(request)
        # The path goes out unchanged. In a URL it would be normalized.
        sent = self._http.build_request(
            request.method,
            "/",
            headers=[(name.encode(), value.encode("latin-1")) for name, value in request.headers.items()],
            content=request.body,
            extensions={"target": self._prefix + request.target},
        )
        called = self._clock.now()
        try:
            response = self._http.send(sent)
        except httpx.TransportError as error:
            return Reply(called, self._clock.now(), problem=f"{type(error).__name__}: {error}")
        response.headers.encoding = "latin-1"
        return Reply(called, self._clock.now(), response.status_code, dict(response.headers), response.content)

    def _send_raw(self, request: Request) -> Reply:
        """Send a request that no client library would send, byte for byte, on a connection for itself."""
        url = self._http.base_url
        length = {} if request.body is None else {"Content-Length": str(len(request.body))}
        headers = {"Host": url.netloc.decode("ascii"), **request.headers, **length, "Connection": "close"}
        lines = [f"{name}: {value}".encode("latin-1") for name, value in headers.items()]
        first = b"%s %s HTTP/1.1" % (request.method.encode(), self._prefix + request.target)
        called = self._clock.now()
        try:
            with socket.create_connection((url.host, url.port or 80), TIMEOUT) as connection:
                connection.sendall(b"\r\n".join([first, *lines, b"", request.body or b""]))
                response = HTTPResponse(connection, method=request.method)
                response.begin()
                content = response.read()
        except (OSError, HTTPException) as error:
            return Reply(called, self._clock.now(), problem=f"{type(error).__name__}: {error}")
        reply_headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(called, self._clock.now(), response.status, reply_headers, content)


class _ThreadedConnection:
    """A connection whose requests are sent by a thread."""

    def __init__(self, send: Callable[[Request], Reply]) -> None:
        self._send = send
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="connection")

    def send(self, request: Request, answered: Answered) -> None:
        """As `Connection.send`."""
        sending = asyncio.get_running_loop().run_in_executor(self._thread, self._send, request)
        sending.add_done_callback(partial(_hand_over, answered))

    def close(self) -> None:
        """As `Connection.close`."""
        self._thread.shutdown(wait=False)


def _hand_over(answered: Answered, sent: asyncio.Future[Reply]) -> None:
    if not sent.cancelled():
        answered(sent.result())
