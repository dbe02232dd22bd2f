"""Who calls in these tests, by name: a caller's token is its name. And where they call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = "2026-11-24T06:15:00Z"

V1 = "/v1/codeq"
TASKS = f"{V1}/tasks"
CLAIM = f"{TASKS}/claim"
SUBSCRIPTIONS = f"{V1}/workers/subscriptions"
QUEUES = f"{V1}/admin/queues"
CLEANUP = f"{V1}/admin/tasks/cleanup"

ALL_SCOPES = "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result codeq:subscribe"


def _producer(subject: str, **claims: object) -> dict[str, Any]:
    return {"kind": "producer", "claims": {"sub": subject, "tenantId": "acme"} | claims}


def _worker(subject: str, **claims: object) -> dict[str, Any]:
    return {
        "kind": "worker",
        "claims": {"sub": subject, "tenantId": "acme", "scope": ALL_SCOPES, "eventTypes": ["*"]} | claims,
    }


IDENTITIES: Mapping[str, dict[str, Any]] = {
    "producer": _producer("prod-1"),
    "admin": _producer("ops-1", role="ADMIN"),
    "worker": _worker("w-1"),
    "other": _worker("w-2"),
    "scopeless": _worker("w-3", scope="codeq:none"),
    "packer": _worker("w-4", eventTypes=["PACK"]),
    "nameless": _worker("", sub=None),
    "stranger": _producer("prod-2", tenantId="beta"),
}
