"""Which clauses of the contract a request is about: what a reader of a difference looks up first."""

from __future__ import annotations

import re

_ROUTES = tuple(
    (method, re.compile(path), clauses)
    for method, path, clauses in (
        ("POST", "/v1/codeq/tasks", "R1 B1-B3 C1-C8 T1"),
        ("POST", "/v1/codeq/tasks/batch", "R2 C9"),
        ("POST", "/v1/codeq/tasks/claim", "R3 K1-K9 N5"),
        ("POST", "/v1/codeq/tasks/claim/batch", "R4 K1-K8 K10"),
        ("POST", "/v1/codeq/tasks/[^/]+/heartbeat", "R5 H1-H4"),
        ("POST", "/v1/codeq/tasks/[^/]+/abandon", "R6 D1 D2"),
        ("POST", "/v1/codeq/tasks/[^/]+/nack", "R7 N1-N6"),
        ("POST", "/v1/codeq/tasks/[^/]+/result", "R8 S1-S5"),
        ("POST", "/v1/codeq/tasks/batch/results", "R9 S6"),
        ("POST", "/v1/codeq/workers/subscriptions", "R10 U1"),
        ("POST", "/v1/codeq/workers/subscriptions/[^/]+/heartbeat", "R11 U2 U9"),
        ("GET", "/v1/codeq/tasks/[^/]+", "R12 S8"),
        ("GET", "/v1/codeq/tasks/[^/]+/result", "R13 S7"),
        ("GET", "/v1/codeq/admin/queues", "R14 M1"),
        ("GET", "/v1/codeq/admin/queues/[^/]+", "R15 M2"),
        ("POST", "/v1/codeq/admin/tasks/cleanup", "R16 M3"),
        ("GET", "/metrics", "R17 L2"),
    )
)
_STATUSES = {401: "A1-A8", 429: "L1"}


def clauses_of_call(method: str, path: str, status: int) -> str:
    """The clauses behind the recorded answer `status` to a request."""
    bare_path = path.partition("?")[0]
    for route_method, pattern, clauses in _ROUTES:
        if method == route_method and pattern.fullmatch(bare_path):
            return f"{clauses.split()[0]} {_STATUSES[status]}" if status in _STATUSES else clauses
    return "R18 R19"


def clauses_of_callback(body: str) -> str:
    """The clauses behind a request to a webhook: a queue-ready notice or a result callback."""
    return "U3-U9 W2" if '"notificationId"' in body else "W1-W4"
