"""The processes of a run: a store, the server on a fixed port, and workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.client.laws_on_server.history import Monitor, TaskHistory, read

_SCOPES = ["codeq:claim", "codeq:heartbeat", "codeq:abandon", "codeq:nack", "codeq:result", "codeq:admin"]
_TOKEN = "laws"
_PATIENCE = 30.0
_ROOT = Path(__file__).parents[3]


class NotStartedError(Exception):
    """A program is missing, or does not answer."""


@dataclass
class Machine:
    """Starts the processes of one run in `folder`; `url` is the server's address."""

    server: Path
    store: str
    folder: Path
    _ports: tuple[int, int] = field(default_factory=lambda: (_free_port(), _free_port()))
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _monitor: Monitor = field(init=False)

    @property
    def _history(self) -> Path:
        return self.folder / "history.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def tokens(self) -> dict[str, str]:
        """The client's settings."""
        names = ("CODEQ_PRODUCER_TOKEN", "CODEQ_WORKER_TOKEN", "CODEQ_ADMIN_TOKEN")
        return {"CODEQ_BASE_URL": self.url, **dict.fromkeys(names, _TOKEN)}

    def start_store(self) -> None:
        """Start the store, and return when it accepts connections and `history.log` gets what it does."""
        options = ["--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self._start("store", [self.store, "--port", str(self._ports[1]), *options], {})
        _wait_for(self._ports[1], self.store)
        self._monitor = Monitor(self._ports[1], self._history)

    def history(self, ids: Iterable[str]) -> dict[str, TaskHistory]:
        """Return what happened to these tasks until now, and watch the store no longer."""
        self._monitor.close()
        with self._history.open(encoding="utf-8", errors="replace") as lines:
            histories = read(lines)
        return {task_id: histories[task_id] for task_id in ids}

    def start_server(self) -> subprocess.Popen[bytes]:
        """Start the server, also again on the same store, and return when it accepts connections."""
        identity: dict[str, object] = {"token": _TOKEN, "email": "a@b.test", "scopes": _SCOPES, "eventTypes": ["*"]}
        identity["raw"] = {"tenantId": "laws", "role": "ADMIN"}
        settings = {
            "PORT": str(self._ports[0]),
            "REDIS_ADDR": f"127.0.0.1:{self._ports[1]}",
            "PRODUCER_AUTH_PROVIDER": "static",
            "WORKER_AUTH_PROVIDER": "static",
            "PRODUCER_AUTH_CONFIG": json.dumps({**identity, "subject": "producer"}),
            "WORKER_AUTH_CONFIG": json.dumps({**identity, "subject": "worker"}),
            "BACKOFF_POLICY": "fixed",
            "BACKOFF_BASE_SECONDS": "1",
            "LOCAL_ARTIFACTS_DIR": str(self.folder / "artifacts"),
        }
        process = self._start("server", [str(self.server)], settings)
        _wait_for(self._ports[0], str(self.server))
        return process

    def start_worker(self, log: Path, engine: str, lease: int, fault: str) -> subprocess.Popen[bytes]:
        """Start a worker that writes what became of its tasks to `log`, with a `fault` unless that is empty."""
        target = "tests.client.laws_on_server.worker:worker"
        command = [sys.executable, "-m", "codeq_worker", "run", target, "--log-level", "ERROR"]
        settings = {"CLIENT_LAWS_LOG": str(log), "CLIENT_LAWS_ENGINE": engine, "CLIENT_LAWS_LEASE": str(lease)}
        settings["CLIENT_LAWS_FAULT"] = fault
        return self._start(log.stem, command, {**self.tokens, **settings})

    def _start(self, name: str, command: Sequence[str], settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as output:
            try:
                process = subprocess.Popen(
                    command, cwd=_ROOT, env={**os.environ, **settings}, stdout=output, stderr=output
                )
            except OSError as error:
                raise NotStartedError(f"{command[0]} does not start: {error.strerror}") from error
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill what still runs."""
        for process in reversed(self._started):
            with suppress(ProcessLookupError):
                process.kill()
            process.wait(_PATIENCE)


@contextmanager
def standing_still(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Stop a process for this long by SIGSTOP."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
        time.sleep(seconds)
    finally:
        process.send_signal(signal.SIGCONT)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(port: int, name: str) -> None:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError as error:
            if time.monotonic() > end:
                raise NotStartedError(f"{name} does not listen on port {port}: {error}") from error
            time.sleep(0.1)
        else:
            return
