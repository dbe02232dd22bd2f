"""The calls that these tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

TASKS = "/v1/codeq/tasks"


def create(http: httpx.Client, command: str = "A", **fields: Any) -> httpx.Response:
    return http.post(TASKS, json={"command": command, "payload": {}, **fields})


def claim(http: httpx.Client, *commands: str, **fields: Any) -> httpx.Response:
    return http.post(f"{TASKS}/claim", json={"commands": list(commands or ("A",)), **fields})


def complete(http: httpx.Client, task_id: str, **result: Any) -> httpx.Response:
    return http.post(f"{TASKS}/{task_id}/result", json={"status": "COMPLETED", "result": result})


def heartbeat(http: httpx.Client, task_id: str) -> httpx.Response:
    return http.post(f"{TASKS}/{task_id}/heartbeat", json={"extendSeconds": 60})
