"""A request of the journal as a rule sees it: which operation it was, on which task, with which fields."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from codeq_fake.journal import Request

_TASKS = "/v1/codeq/tasks"
_QUEUES = "/v1/codeq/admin/queues"
#: The operations that a rule looks at, by method and path.
_FIXED = {
    ("POST", _TASKS): "create",
    ("POST", f"{_TASKS}/batch"): "create_batch",
    ("POST", f"{_TASKS}/claim"): "claim",
    ("POST", f"{_TASKS}/claim/batch"): "claim_batch",
    ("POST", f"{_TASKS}/batch/results"): "submit_batch",
    ("POST", "/v1/codeq/workers/subscriptions"): "subscribe",
    ("POST", "/v1/codeq/admin/tasks/cleanup"): "cleanup",
    ("GET", _QUEUES): "queues",
    ("GET", "/healthz"): "healthz",
}
_ON_A_TASK = {"heartbeat": "heartbeat", "abandon": "abandon", "nack": "nack", "result": "submit"}


class Call(NamedTuple):
    """A request whose ``operation`` some rule looks at; ``task_id`` is empty where the path names none."""

    request: Request
    operation: str
    task_id: str = ""

    @classmethod
    def of(cls, request: Request) -> Call | None:
        """None for an operation that no rule looks at."""
        path = request.path.partition("?")[0]
        if operation := _FIXED.get((request.method, path)):
            return cls(request, operation)
        task, _, last = path.rpartition("/")
        parent, _, task_id = task.rpartition("/")
        if request.method == "POST" and parent == _TASKS and last in _ON_A_TASK:
            return cls(request, _ON_A_TASK[last], task_id)
        return cls(request, "queue") if request.method == "GET" and task == _QUEUES else None

    def fields(self) -> dict[str, Any]:
        """The body's fields; none where it is no JSON object."""
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def texts(self, name: str) -> list[str]:
        """The texts in a field that lists some."""
        listed = self.fields().get(name)
        return [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
