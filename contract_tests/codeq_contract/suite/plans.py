"""Random plans: the steps of a random test, chosen before the first one runs. Tasks are numbered as created.

`cases.test_plans` draws them, and says how often each step comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from codeq_contract.driver import Reply, Request

from .caller import Caller
from .case_context import CaseContext


@dataclass(frozen=True, slots=True)
class Create:
    """Create a task of a command, delayed by `delay` seconds. `key` numbers an idempotency key, 0 is none."""

    command: int
    priority: int = 0
    delay: int = 0
    max_attempts: int = 5
    key: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim by each of these workers at once, for `lease` seconds. `schedule` is as in `Driver.together`."""

    workers: tuple[str, ...]
    commands: tuple[int, ...]
    lease: int
    schedule: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """A heartbeat, abandon, nack, complete, fail or read of a task. `seconds` are the extension or the delay.

    Without a `worker` it is the last holder of the task, without a `task` the one that was claimed last. Numbers beyond
    the last task count from the first again.
    """

    action: str
    worker: str
    task: int | None
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Count:
    """Read the sizes of a command's queue."""

    command: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Let `seconds` pass."""

    seconds: float


Step: TypeAlias = Create | Claim | Settle | Count | Wait


@dataclass(frozen=True, slots=True)
class Done:
    """A finished step with its replies, and the id of its task and its worker if it has one."""

    step: Create | Claim | Settle | Count
    replies: tuple[Reply, ...]
    task: str = ""
    worker: str = ""


class Execution:
    """Executes a plan, step by step, and records the replies."""

    def __init__(self, contract: CaseContext, commands: int) -> None:
        self._contract = contract
        self.commands = [contract.command() for _ in range(commands)]
        self._keys: dict[int, str] = {}
        self._tasks: list[str] = []
        #: The last holder of each task, in the order of their claims.
        self._holders: dict[str, str] = {}

    def run(self, plan: Sequence[Step]) -> list[Done]:
        """Execute all steps. Those without a reply are left out of the result."""
        return [done for step in plan if (done := self._do(step)) is not None]

    def _do(self, step: Step) -> Done | None:
        """Execute one step. None if it has no reply: for a wait, and where there is no such task yet."""
        match step:
            case Wait(seconds):
                self._contract.clock.sleep(seconds)
                return None
            case Create():
                reply = self._contract.call(self._creation(step))
                self._tasks.append(reply.json["id"])
                return Done(step, (reply,), self._tasks[-1])
            case Claim():
                names = [self.commands[number] for number in step.commands]
                requests = [
                    self._contract.caller(name).claiming(*names, leaseSeconds=step.lease) for name in step.workers
                ]
                replies = self._contract.together(requests, schedule=step.schedule)
                for worker, reply in zip(step.workers, replies, strict=True):
                    if reply.body:
                        task = reply.json.get("id", "")
                        self._holders.pop(task, None)
                        self._holders[task] = worker
                return Done(step, tuple(replies))
            case Count(command):
                return Done(step, (self._contract.admin.queue(self.commands[command]),))
            case Settle(task=number):
                tasks = self._tasks if number is not None else list(self._holders)
                if not tasks:
                    return None
                task = tasks[-1 if number is None else number % len(tasks)]
                worker = step.worker or self._holders.get(task, "worker")
                return Done(step, (_settle(self._contract.caller(worker), step, task),), task, worker)

    def _creation(self, step: Create) -> Request:
        fields: dict[str, object] = {"priority": step.priority, "maxAttempts": step.max_attempts}
        if step.delay:
            fields["delaySeconds"] = step.delay
        if step.key:
            fields["idempotencyKey"] = self._keys.setdefault(step.key, self._contract.names.key())
        return self._contract.producer.creating(self.commands[step.command], **fields)


def _settle(worker: Caller, step: Settle, task: str) -> Reply:
    """Carry out the operation of a step as `worker`."""
    match step.action:
        case "heartbeat":
            return worker.heartbeat(task, extendSeconds=step.seconds)
        case "abandon":
            return worker.abandon(task)
        case "nack":
            return worker.nack(task, delaySeconds=step.seconds)
        case "complete":
            return worker.submit(task)
        case "fail":
            return worker.submit(task, status="FAILED", error="planned")
        case _:
            return worker.task(task)
