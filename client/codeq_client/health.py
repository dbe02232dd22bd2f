"""Probes over HTTP that tell the truth, served from a thread that a blocked event loop does not stop."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

    from codeq_client._worker.worker import Worker, WorkerStatus


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on, in seconds, a worker is not live (its loops lag) or not ready (no claim was answered)."""

    lag: float = 30.0
    claim_age: float = 120.0


def live(status: WorkerStatus, limits: Limits) -> bool:
    """Whether the process does its work; when not, a restart is the way out."""
    return max(status.loop_lag, status.lease_lag) < limits.lag


def ready(status: WorkerStatus, limits: Limits) -> bool:
    """Whether the worker takes tasks: it runs, does not drain, and its latest claim was answered."""
    # A worker whose slots are all busy claims nothing: the tasks it holds are proof enough.
    claiming = status.claim_age < limits.claim_age or status.tasks > 0
    return status.running and not status.draining and not status.claim_error and claiming and live(status, limits)


class HealthServer:
    """Serves `/live` and `/ready`, 200 or 503 with the worker's status as JSON, while its `with` block runs.

    Port 0 takes a free one; `port` tells which.
    """

    def __init__(self, worker: Worker, port: int = 8081, host: str = "127.0.0.1", limits: Limits | None = None) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(worker, limits or Limits()))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="codeq-health", daemon=True)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(worker: Worker, limits: Limits) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class's name
            probe = {"/live": live, "/ready": ready}.get(self.path.partition("?")[0])
            if probe is None:
                self._answer(404, {"error": "only /live and /ready are here"})
                return
            status = worker.status()
            good = probe(status, limits)
            self._answer(200 if good else 503, {"ok": good, **_json(status)})

        do_HEAD = do_GET  # noqa: N815  # the base class's name; some balancers ask so

        def _answer(self, code: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Stay silent: probes come every few seconds."""

    return Handler


def _json(status: WorkerStatus) -> dict[str, Any]:
    return {
        "running": status.running,
        "draining": status.draining,
        "tasks": status.tasks,
        "claimAge": round(status.claim_age, 3) if status.claim_age < float("inf") else None,
        "claimError": status.claim_error,
        "loopLag": round(status.loop_lag, 3),
        "leaseLag": round(status.lease_lag, 3),
    }
