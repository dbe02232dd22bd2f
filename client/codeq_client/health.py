"""Health probes and metrics over HTTP, served from a separate thread: a blocked event loop does not stop them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from codeq_client._worker.worker import Worker, WorkerStatus

_TEXT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus's format


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in seconds.

    A worker is not live if its loops lag, or stuck handlers leave no usable slot, for longer than `lag`. It is not
    ready without an answered claim for `claim_age`.
    """

    lag: float = 30.0
    claim_age: float = 120.0


def live(status: WorkerStatus, limits: Limits) -> bool:
    """Return whether the process works; if not, restart it."""
    return max(status.loop_lag, status.lease_lag, status.standstill) < limits.lag


def ready(status: WorkerStatus, limits: Limits) -> bool:
    """Return whether the worker takes tasks: it runs with a usable slot, and its latest claim was answered."""
    # A worker without a free slot, or at its rates, does not claim, and needs no proof that it could.
    claiming = status.claim_age < limits.claim_age or status.tasks > 0 or status.limited
    running = status.running and not (status.draining or status.paused or status.standstill)
    return running and not status.claim_error and claiming and live(status, limits)


class HealthServer:
    """Serves `/live` and `/ready` inside its `with` block: 200 or 503, with the worker's status as JSON.

    `metrics` returns the text for `/metrics`, such as `codeq_client.metrics.WorkerMetrics(worker)`. Port 0 chooses a
    free port; `port` is its number.
    """

    def __init__(
        self,
        worker: Worker,
        port: int = 8081,
        host: str = "127.0.0.1",
        limits: Limits | None = None,
        *,
        metrics: Callable[[], bytes] | None = None,
    ) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(worker, limits or Limits(), metrics))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="codeq-health", daemon=True)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(worker: Worker, limits: Limits, metrics: Callable[[], bytes] | None) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers the probes of one worker: http.server makes an instance for each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the base class's name
            path = self.path.partition("?")[0]
            if path == "/metrics" and metrics is not None:
                self._answer(200, metrics(), _TEXT)
                return
            probe = {"/live": live, "/ready": ready}.get(path)
            if probe is None:
                served = "/live and /ready" if metrics is None else "/live, /ready and /metrics"
                self._answer_json(404, {"error": f"only {served} are served"})
                return
            status = worker.status()
            good = probe(status, limits)
            self._answer_json(200 if good else 503, {"ok": good, **_json(status)})

        do_HEAD = do_GET  # noqa: N815 - the base class's name; some balancers ask so

        def _answer_json(self, code: int, body: dict[str, Any]) -> None:
            self._answer(code, json.dumps(body).encode(), "application/json")

        def _answer(self, code: int, body: bytes, content_type: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing: probes come every few seconds."""

    return Handler


def _json(status: WorkerStatus) -> dict[str, Any]:
    """Return the status of a worker as the probes show it."""
    return {
        "running": status.running,
        "draining": status.draining,
        "tasks": status.tasks,
        "claimAge": round(status.claim_age, 3) if status.claim_age < float("inf") else None,
        "claimError": status.claim_error,
        "loopLag": round(status.loop_lag, 3),
        "leaseLag": round(status.lease_lag, 3),
        "oldest": round(status.oldest, 3),
        "stuck": status.stuck,
        "standstill": round(status.standstill, 3),
        "paused": status.paused,
        "slots": status.slots,
        "limited": status.limited,
    }
