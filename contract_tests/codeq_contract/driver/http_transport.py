"""Requests over the network, in real time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import httpx

from codeq_contract.driver.requests import Op, Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_contract.driver.clocks import Clock

#: Seconds after which nobody waits for an answer any more; a long poll takes 30 (K2).
TIMEOUT = 90.0
_AT_ONCE = 64

#: Seconds that a connection is kept: servers hang up after 5 or more, and what is sent just then is lost.
_KEPT_ALIVE = 2.0


class Wire:
    """The transport to a server at a URL. Threads may share it. A context manager, which closes the connections."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._clock = clock
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=_AT_ONCE, keepalive_expiry=_KEPT_ALIVE)
        # Certificates take long to load, and a server under test rarely has one.
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT, limits=limits, verify=url.startswith("https:"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def exchange(self, ops: Sequence[Op], schedule: int) -> list[Reply]:  # noqa: ARG002 - chance chooses
        """As `Transport.exchange`."""
        if len(ops) == 1:
            return [self._ask(ops[0])]
        start = threading.Barrier(len(ops))

        def ask(op: Op) -> Reply:
            start.wait()
            return self._ask(op)

        with ThreadPoolExecutor(len(ops)) as threads:
            return list(threads.map(ask, ops))

    def _ask(self, op: Op) -> Reply:
        # The path goes out as it is; joining it to a base would tidy it up.
        url = self._http.base_url.copy_with(raw_path=op.path.encode())
        request = self._http.build_request(op.method, url, headers=dict(op.headers), content=op.body)
        called = self._clock.now()
        try:
            response = self._http.send(request)
        except httpx.TransportError as error:
            return Reply(called, self._clock.now(), problem=f"{type(error).__name__}: {error}")
        return Reply(called, self._clock.now(), response.status_code, dict(response.headers), response.content)
