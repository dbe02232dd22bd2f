"""Servers that several cases of a run use, one for each set-up. They run until the run ends."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import ExitStack
from typing import TypeAlias

from codeq_contract.driver import Driver, Setup

_Key: TypeAlias = tuple[tuple[tuple[str, str], ...], str]


class SharedServers:
    """The shared servers of one target. Threads may use it."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._open = ExitStack()
        self._lock = threading.Lock()
        self._servers: dict[_Key, Future[Driver]] = {}

    def get(self, setup: Setup) -> Driver:
        """The server with this set-up. The first use starts it; if that fails, so does each use."""
        key = (tuple(sorted(setup.environment.items())), setup.yaml)
        with self._lock:
            is_first = key not in self._servers
            server = self._servers.setdefault(key, Future())
        if is_first:
            try:
                server.set_result(self._open.enter_context(self._driver.other(setup)))
            except BaseException as error:
                server.set_exception(error)
                raise
        return server.result()

    def close(self) -> None:
        """Stop all of them."""
        self._open.close()
