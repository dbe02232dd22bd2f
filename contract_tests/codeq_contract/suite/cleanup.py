"""Ends the tasks of a case on someone else's server, as far as that is possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from codeq_contract.driver.requests import tasks_in

from .caller import Caller
from .case_context import CaseContext

_RESULT = {"status": "FAILED", "error": "left behind by the contract suite"}
_PENDING, _IN_PROGRESS = "PENDING", "IN_PROGRESS"


def clean_up(contract: CaseContext) -> dict[str, str]:
    """End the tasks of the case, unless the server is our own and will be thrown away.

    Returns the remaining ones, as `end_all` does.
    """
    if contract.driver.start_other is not None:
        return {}
    return end_all(contract, {task["id"]: task["command"] for task in _tasks_seen(contract)})


def end_all(contract: CaseContext, tasks: Mapping[str, str]) -> dict[str, str]:
    """End all of these tasks that can be ended now, and return the others. Both are commands by id.

    The others are delayed: no request ends such a task. No worker claims their commands.
    """
    for name in [name for name in contract.driver.tokens if "worker" in name]:
        worker = contract.caller(name)
        for task in tasks:
            reply = worker.task(task)
            if reply.status == HTTPStatus.OK and reply.json["status"] == _IN_PROGRESS:
                worker.submit(task, **_RESULT)
        for command in sorted(set(tasks.values())):
            _drain(worker, command)
    return {task: command for task, command in tasks.items() if _is_live(contract.worker, task)}


def _is_live(worker: Caller, task: str) -> bool:
    reply = worker.task(task)
    return reply.status == HTTPStatus.OK and reply.json["status"] in (_PENDING, _IN_PROGRESS)


def _tasks_seen(contract: CaseContext) -> Iterator[dict[str, Any]]:
    """The tasks in the replies whose commands belong to the case."""
    for exchange in contract.transcript:
        if exchange.reply.body.startswith(b"{"):
            for task in tasks_in(exchange.reply.json):
                if task["command"].lower().startswith(contract.names.prefix):
                    yield task


def _drain(worker: Caller, command: str) -> None:
    """Claim and end the tasks of a command."""
    while (reply := worker.claim(command)).status == HTTPStatus.OK:
        worker.submit(reply.json, **_RESULT)
