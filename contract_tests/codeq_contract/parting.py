"""What a case leaves behind on somebody else's server: as little as it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codeq_contract.caller import Caller
    from codeq_contract.contract import Contract

_ENDED = {"status": "FAILED", "error": "left behind by the contract suite"}
_IN_PROGRESS = "IN_PROGRESS"


def leave_tidy(contract: Contract) -> None:
    """End each task of the case that can be ended by now; servers of our own are thrown away as they are.

    What is still delayed stays, under a command that nobody claims.
    """
    if contract.driver.start_other is not None:
        return
    tasks = {task["id"]: task["command"] for task in _tasks_seen(contract)}
    for name in [name for name in contract.driver.tokens if "worker" in name]:
        worker = contract.caller(name)
        for task in tasks:
            if worker.seen(task)["status"] == _IN_PROGRESS:
                worker.submit(task, **_ENDED)
        for command in sorted(set(tasks.values())):
            _drain(worker, command)


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
    while (reply := worker.claim(command)).body and "id" in reply.json:
        worker.submit(reply.json, **_ENDED)
