"""What a case leaves behind on somebody else's server: as little as it can."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from codeq_contract.suite.caller import Caller
    from codeq_contract.suite.case_context import Contract

_ENDED = {"status": "FAILED", "error": "left behind by the contract suite"}
_PENDING, _IN_PROGRESS = "PENDING", "IN_PROGRESS"


def leave_tidy(contract: Contract) -> dict[str, str]:
    """End each task of the case that can be ended; servers of our own are thrown away as they are.

    Returns what is left, as `end_all` does.
    """
    if contract.driver.start_other is not None:
        return {}
    return end_all(contract, {task["id"]: task["command"] for task in _tasks_seen(contract)})


def end_all(contract: Contract, tasks: Mapping[str, str]) -> dict[str, str]:
    """End each of these tasks that can be ended by now; those that are left. All by id, with their commands.

    What is left is delayed, under a command that nobody claims: no request ends such a task.
    """
    for name in [name for name in contract.driver.tokens if "worker" in name]:
        worker = contract.caller(name)
        for task in tasks:
            shown = worker.task(task)
            if shown.status == HTTPStatus.OK and shown.json["status"] == _IN_PROGRESS:
                worker.submit(task, **_ENDED)
        for command in sorted(set(tasks.values())):
            _drain(worker, command)
    return {task: command for task, command in tasks.items() if _is_live(contract.worker, task)}


def _is_live(worker: Caller, task: str) -> bool:
    shown = worker.task(task)
    return shown.status == HTTPStatus.OK and shown.json["status"] in (_PENDING, _IN_PROGRESS)


def _tasks_seen(contract: Contract) -> Iterator[dict[str, Any]]:
    """The tasks under names of the case's own in what it was answered."""
    for exchange in contract.transcript:
        if exchange.reply.body.startswith(b"{"):
            for task in _tasks_in(exchange.reply.json):
                if task["command"].lower().startswith(contract.names.prefix):
                    yield task


def _tasks_in(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "id" in body and "command" in body:
        yield body
    yield from body.get("tasks") or ()
    yield from (item["task"] for item in body.get("results") or () if "task" in item)


def _drain(worker: Caller, command: str) -> None:
    """Claim and end what waits under a command."""
    while (reply := worker.claim(command)).status == HTTPStatus.OK:
        worker.submit(reply.json, **_ENDED)
