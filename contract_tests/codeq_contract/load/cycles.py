"""Clients that keep a server busy: each creates, claims and completes tasks as fast as they are answered."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from http import HTTPStatus
from itertools import count
from typing import Any

from codeq_contract.driver import TASKS, Reply, Request

from .actors import LONG, LONGEST_LEASE, Actor, ActorContext, Turn, claimed, end_together

#: The most tasks that one claim gets (K10).
_MOST_CLAIMED = 10

#: The priority of all tasks. For each higher one a claim of the real server asks its store once more (K4).
_PRIORITY = 5

#: What stands in a body for the number or the id of a task.
_BLANK = "#"

#: The beginning of a task's JSON.
_FIRST_ID = re.compile(rb'\{"id":"([\w-]+)"')

#: The statuses of a create after which there may be a task that is not known: no reply, and one that cannot be read.
_UNKNOWN = (0, HTTPStatus.ACCEPTED)


def cycles(producer: ActorContext, worker: ActorContext) -> Actor:
    """Create a task, claim one and complete it, until the load is over.

    No JSON is written or read, which would be a third of a cycle: all bodies are made of three.
    """
    task, result = json.dumps(_task(producer, _BLANK)), json.dumps(_result(_BLANK))
    claiming = replace(next(worker.claim(LONGEST_LEASE, pause=0)), is_read=False)
    pause = 0.0
    for number in count():
        if not producer.goes_on():
            return
        reply = yield _post("", producer, task.replace(f'"{_BLANK}"', str(number)), pause=pause)
        pause = _pause_after(reply)
        created = _id_in(reply, HTTPStatus.ACCEPTED)
        if created:
            producer.log.create(created)
        elif reply.status in _UNKNOWN:
            producer.log.complete = False
        reply = yield claiming
        held = _id_in(reply, HTTPStatus.OK)
        if held:
            reply = yield _post(f"/{held}/result", worker, result.replace(_BLANK, held))
            if reply.status == HTTPStatus.OK:
                worker.log.end(held, with_result=True)


def _pause_after(reply: Reply) -> float:
    """Seconds until the next create. A server that is gone refuses thousands of calls a second, all to be recorded."""
    return 0 if reply.status else LONG


def _post(path: str, context: ActorContext, body: str, *, pause: float = 0) -> Turn:
    return Turn(pause, Request("POST", TASKS + path, context.identity, body.encode()), is_read=False)


def _id_in(reply: Reply, status: int) -> str:
    """The id of the task in a reply with this status. Empty if it has another, or cannot be read."""
    if reply.status != status:
        return ""
    first = _FIRST_ID.match(reply.body)
    if first:
        return first[1].decode()
    try:
        return str(reply.json["id"])
    except (LookupError, TypeError, ValueError):
        return ""


def batch_cycles(producer: ActorContext, worker: ActorContext, batch: int) -> Actor:
    """As `cycles`, with `batch` tasks in each call. A larger batch takes several claims, of at most 10 tasks (K10)."""
    pause = 0.0
    for number in count(step=batch):
        if not producer.goes_on():
            return
        body = {"tasks": [_task(producer, number + place) for place in range(batch)]}
        reply = yield from producer.post("/batch", body, pause=pause)
        pause = _pause_after(reply)
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


def _task(producer: ActorContext, number: int | str) -> dict[str, Any]:
    payload = {"by": producer.identity, "n": number}
    return {"command": producer.commands[0], "payload": payload, "priority": _PRIORITY}


def _result(task: str) -> dict[str, Any]:
    return {"status": "COMPLETED", "result": {"of": task}}
