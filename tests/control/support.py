"""Calls and expected values that the tests of the control API share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

NOW = "2026-01-31T12:00:00Z"
SECOND = "2026-01-31T12:00:01Z"
ID = "6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c01"
OTHER = "6e0f2f9a-6c1c-4f3b-9a53-1f0e5d5a7c02"
READY = {"status": "PENDING", "location": "PENDING_LIST"}
DELAYED = {"status": "PENDING", "location": "DELAYED_ZSET"}
LEASED = {"status": "IN_PROGRESS", "location": "INPROG_SET"}
TASK = {
    "id": ID,
    "command": "A",
    "payload": '{"a":1}',
    "status": "PENDING",
    "lastKnownLocation": "PENDING_LIST",
    "maxAttempts": 5,
    "tenantId": "dev",
    "createdAt": "2026-01-31T09:00:00-03:00",
    "updatedAt": "2026-01-31T09:00:00-03:00",
}


def create(http: httpx.Client, task_id: str = ID, **fields: Any) -> str:
    http.post("/_fake/next", json={"ids": [task_id]}).raise_for_status()
    http.post("/v1/codeq/tasks", json={"command": "A", "payload": {"a": 1}, **fields}).raise_for_status()
    return task_id


def claim(http: httpx.Client, **fields: Any) -> None:
    http.post("/v1/codeq/tasks/claim", json={"commands": ["A"], **fields}).raise_for_status()


def get(http: httpx.Client, path: str) -> Any:
    reply = http.get(f"/_fake/{path}")
    assert reply.headers["content-type"] == "application/json"
    return reply.raise_for_status().json()


def refusal(reply: httpx.Response) -> tuple[int, str]:
    """Status and text of an error."""
    [(key, text)] = reply.json().items()
    assert key == "error"
    return reply.status_code, text
