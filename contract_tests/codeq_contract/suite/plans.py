"""Plans: what a drawn test will do, before it does any of it. Tasks are named by the order of their creation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_contract.driver import Op, Reply
    from codeq_contract.suite.caller import Caller
    from codeq_contract.suite.case_context import Contract


@dataclass(frozen=True, slots=True)
class Create:
    """A task of the command, delayed by `delay` seconds; `key` numbers an idempotency key, 0 is none."""

    command: int
    priority: int = 0
    delay: int = 0
    max_attempts: int = 5
    key: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of each worker named, all at once, for `lease` seconds; `schedule` as in `Driver.together`."""

    workers: tuple[str, ...]
    commands: tuple[int, ...]
    lease: int
    schedule: int = 0


@dataclass(frozen=True, slots=True)
class Settle:
    """A heartbeat, abandon, nack, complete, fail or look at the task numbered; `seconds` extend or delay.

    Without a `worker` it is whoever holds the task, or held it last.
    """

    what: str
    worker: str
    task: int
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Let so many seconds pass."""

    seconds: float


Step: TypeAlias = Create | Claim | Settle | Wait


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was answered, its replies, and where it has one its task's id and its worker."""

    step: Create | Claim | Settle
    replies: tuple[Reply, ...]
    task: str = ""
    worker: str = ""


class Execution:
    """Carries a plan out, step by step, and records it."""

    def __init__(self, contract: Contract, commands: int) -> None:
        self._contract = contract
        self.commands = [contract.command() for _ in range(commands)]
        self._keys: dict[int, str] = {}
        self._tasks: list[str] = []
        self._holders: dict[str, str] = {}

    def run(self, plan: Sequence[Step]) -> list[Done]:
        """The whole plan; a step whose task could not be made is left out."""
        return [done for step in plan if (done := self._do(step)) is not None]

    def _do(self, step: Step) -> Done | None:
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
                ops = [self._contract.caller(name).claiming(*names, leaseSeconds=step.lease) for name in step.workers]
                replies = self._contract.together(ops, schedule=step.schedule)
                for worker, reply in zip(step.workers, replies, strict=True):
                    if reply.body:
                        self._holders[reply.json.get("id", "")] = worker
                return Done(step, tuple(replies))
            case Settle():
                task = self._tasks[step.task]
                worker = step.worker or self._holders.get(task, "worker")
                return Done(step, (_settle(self._contract.caller(worker), step, task),), task, worker)

    def _creation(self, step: Create) -> Op:
        fields: dict[str, object] = {"priority": step.priority, "maxAttempts": step.max_attempts}
        if step.delay:
            fields["delaySeconds"] = step.delay
        if step.key:
            fields["idempotencyKey"] = self._keys.setdefault(step.key, self._contract.names.key())
        return self._contract.producer.creating(self.commands[step.command], **fields)


def _settle(worker: Caller, step: Settle, task: str) -> Reply:
    match step.what:
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
