"""Clients that keep a server busy: each creates, claims and completes tasks as fast as they are answered."""

from __future__ import annotations

from http import HTTPStatus
from itertools import count
from typing import Any

from .actors import LONGEST_LEASE, Actor, ActorContext, claimed, end_together

#: The most tasks that one claim gets (K10).
_MOST_CLAIMED = 10

#: The priority of all tasks. For each higher one a claim of the real server asks its store once more (K4).
_PRIORITY = 5


def cycles(producer: ActorContext, worker: ActorContext) -> Actor:
    """Create a task, claim one and complete it, until the load is over. All claims are one request."""
    claiming = next(worker.claim(LONGEST_LEASE, pause=0))
    for number in count():
        if not producer.goes_on():
            return
        yield from producer.create(_task(producer, number))
        reply = yield claiming
        for task in claimed(reply):
            reply = yield from worker.post(f"/{task}/result", _result(task))
            if reply.status == HTTPStatus.OK:
                worker.log.end(task, with_result=True)


def batch_cycles(producer: ActorContext, worker: ActorContext, batch: int) -> Actor:
    """As `cycles`, with `batch` tasks in each call. A larger batch takes several claims, of at most 10 tasks (K10)."""
    for number in count(step=batch):
        if not producer.goes_on():
            return
        body = {"tasks": [_task(producer, number + place) for place in range(batch)]}
        reply = yield from producer.post("/batch", body)
        if reply.status == HTTPStatus.OK:
            for answer in reply.json["results"]:
                if "task" in answer:
                    producer.log.create(answer["task"]["id"])
        elif not reply.status:
            producer.log.complete = False
        held: list[str] = []
        while len(held) < batch:
            asked = {"commands": worker.commands, "leaseSeconds": LONGEST_LEASE}
            reply = yield from worker.post("/claim/batch", {**asked, "count": min(batch - len(held), _MOST_CLAIMED)})
            tasks = claimed(reply)
            if not tasks:
                break
            held += tasks
        if held:
            yield from end_together(worker, {task: _result(task) for task in held})


def _task(producer: ActorContext, number: int) -> dict[str, Any]:
    payload = {"by": producer.identity, "n": number}
    return {"command": producer.commands[0], "payload": payload, "priority": _PRIORITY}


def _result(task: str) -> dict[str, Any]:
    return {"status": "COMPLETED", "result": {"of": task}}
