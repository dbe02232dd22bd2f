"""A caller in a case, with a method for each operation of the contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codeq_contract.driver import ADMIN, SUBSCRIPTIONS, TASKS, Reply, Request

Task = Mapping[str, Any]

CLEAN_UP = f"{ADMIN}/tasks/cleanup"
_TOPICS = f"{ADMIN}/topics"

_ACCEPTED = 202
_OK = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Sends requests with the token of `name`, or without one. Methods return the reply unless they say otherwise.

    `fields` are those of the request's body, by their names in the contract. A task is its id or its JSON in a reply.
    """

    name: str | None
    _send: Callable[[Request], Reply]

    def request(self, method: str, path: str, body: object = None, **headers: str) -> Request:
        """A request of this caller. Bytes go out unchanged, other bodies as JSON. `_` in a header name means `-`."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return Request(
            method, path, self.name, content, {name.replace("_", "-"): text for name, text in headers.items()}
        )

    def get(self, path: str, **headers: str) -> Reply:
        """GET."""
        return self._send(self.request("GET", path, **headers))

    def post(self, path: str, body: object = None, **headers: str) -> Reply:
        """POST."""
        return self._send(self.request("POST", path, body, **headers))

    # Producers.

    def creating(self, command: str, payload: object = None, **fields: object) -> Request:
        """The request that creates a task. A payload of None is `{}`."""
        return self.request(
            "POST", TASKS, {"command": command, "payload": {} if payload is None else payload, **fields}
        )

    def create(self, command: str, payload: object = None, **fields: object) -> Reply:
        """Create a task (R1)."""
        return self._send(self.creating(command, payload, **fields))

    def created(self, command: str, payload: object = None, **fields: object) -> dict[str, Any]:
        """Create a task (R1), which must succeed, and return it."""
        return _body(self.create(command, payload, **fields), _ACCEPTED)

    def create_batch(self, tasks: object) -> Reply:
        """Create tasks in one request (R2)."""
        return self.post(f"{TASKS}/batch", {"tasks": tasks})

    # Workers.

    def claiming(self, *commands: str, **fields: object) -> Request:
        """The request that claims a task."""
        return self.request("POST", f"{TASKS}/claim", {"commands": commands, **fields})

    def claim(self, *commands: str, **fields: object) -> Reply:
        """Claim a task (R3)."""
        return self._send(self.claiming(*commands, **fields))

    def claimed(self, *commands: str, **fields: object) -> dict[str, Any]:
        """Claim a task (R3), which must find one, and return it."""
        return _body(self.claim(*commands, **fields), _OK)

    def claim_batch(self, *commands: str, **fields: object) -> Reply:
        """Claim tasks in one request (R4)."""
        return self.post(f"{TASKS}/claim/batch", {"commands": commands, **fields})

    def heartbeat(self, task: Task | str, **fields: object) -> Reply:
        """Extend a lease (R5)."""
        return self.post(f"{_of(task)}/heartbeat", fields)

    def abandon(self, task: Task | str) -> Reply:
        """Give a task back at once (R6)."""
        return self.post(f"{_of(task)}/abandon")

    def nack(self, task: Task | str, **fields: object) -> Reply:
        """Give a task back as not done (R7)."""
        return self.post(f"{_of(task)}/nack", fields)

    def submitting(self, task: Task | str, **fields: object) -> Request:
        """The request that ends a task. Without fields the task is completed."""
        return self.request("POST", f"{_of(task)}/result", fields or {"status": "COMPLETED", "result": {"ok": True}})

    def submit(self, task: Task | str, **fields: object) -> Reply:
        """End a task (R8). Without fields it is completed."""
        return self._send(self.submitting(task, **fields))

    def submit_batch(self, results: object) -> Reply:
        """End tasks in one request (R9)."""
        return self.post(f"{TASKS}/batch/results", {"results": results})

    def subscribe(self, **fields: object) -> Reply:
        """Subscribe to notices (R10)."""
        return self.post(SUBSCRIPTIONS, fields)

    def renew(self, subscription: str, **fields: object) -> Reply:
        """Renew a subscription (R11)."""
        return self.post(f"{SUBSCRIPTIONS}/{subscription}/heartbeat", fields)

    # Readers and admins.

    def task(self, task: Task | str) -> Reply:
        """Read a task (R12)."""
        return self.get(_of(task))

    def seen(self, task: Task | str) -> dict[str, Any]:
        """Read a task (R12), which must exist, and return it."""
        return _body(self.task(task), _OK)

    def reading(self, task: Task | str, query: str = "") -> Request:
        """The request that reads a task and its result."""
        return self.request("GET", f"{_of(task)}/result{query}")

    def result(self, task: Task | str, query: str = "") -> Reply:
        """Read a task and its result (R13). With a query such as `?waitSeconds=5` main waits for it (G1)."""
        return self._send(self.reading(task, query))

    def queues(self) -> Reply:
        """The sizes of the built-in commands' queues (R14)."""
        return self.get(f"{ADMIN}/queues")

    def queue(self, command: str) -> Reply:
        """The sizes of one command's queue (R15)."""
        return self.get(f"{ADMIN}/queues/{command}")

    def topic(self, name: str) -> Reply:
        """Read a topic (G3)."""
        return self.get(f"{_TOPICS}/{name}")

    def put_topic(self, name: str, policy: object) -> Reply:
        """Create a topic, or change its policy (G3)."""
        return self._send(self.request("PUT", f"{_TOPICS}/{name}", policy))

    def delete_topic(self, name: str, query: str = "?deletionPolicy=Delete") -> Reply:
        """Delete a topic (G3)."""
        return self._send(self.request("DELETE", f"{_TOPICS}/{name}{query}"))

    def clean_up(self, **fields: object) -> Reply:
        """Delete old tasks (R16)."""
        return self.post(CLEAN_UP, fields)


def ids(tasks: Sequence[Task]) -> list[str]:
    """The ids of tasks."""
    return [task["id"] for task in tasks]


def exact(value: object) -> str:
    """The JSON text of a value. Equal texts have the same types and the same order of keys: `1` is not `true`."""
    return json.dumps(value, ensure_ascii=False)


def _of(task: Task | str) -> str:
    return f"{TASKS}/{task if isinstance(task, str) else task['id']}"


def _body(reply: Reply, status: int) -> dict[str, Any]:
    if reply.status != status:
        raise AssertionError(f"found {reply}; it must be {status}")
    body: dict[str, Any] = reply.json
    return body
