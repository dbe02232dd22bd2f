"""One run: tasks, two workers, and what happens to them and to the server; then what the laws say about the end."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from codeq_client import BlockingCodeQ, NewTask
from tests.client.laws_on_server.history import TaskHistory
from tests.client.laws_on_server.machine import Machine, standing_still

COMMAND = "CLIENT_LAWS"
_STILL = 8.0
_PATIENCE = 240.0
_STANDSTILL = 60.0


@dataclass(frozen=True)
class Plan:
    """What is run: the program of the server, that of its store, the client's engine, and perhaps a fault of it."""

    server: Path
    store: str
    engine: str
    lease: int
    tasks: int
    fault: str = ""


@dataclass
class Outcome:
    """What was seen: the seconds that all took, how tasks left the workers, and which laws were broken.

    `returned` tasks were delivered again after their end (Z1), `lost` ones never again (Z2), and `revoked` ones lost a
    lease that ran (Z3).
    """

    seconds: float = 0.0
    left: Counter[str] = field(default_factory=Counter)
    returned: int = 0
    lost: int = 0
    revoked: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Left:
    """A line of a worker's log: how a delivery of a task ended."""

    by: str
    attempts: int
    settled: str
    loss: str


class Run:
    """The producer and the workers of one run."""

    def __init__(self, plan: Plan, machine: Machine) -> None:
        self._plan = plan
        self._machine = machine
        self._logs: list[Path] = []
        self._codeq = BlockingCodeQ.from_env(machine.tokens, timeout=10, retries=10)

    def carry_out(self) -> Outcome:
        """Let everything happen, and judge it."""
        self._machine.start_store()
        server = self._machine.start_server()
        count = self._plan.tasks
        new = [NewTask(command=COMMAND, payload={"n": n}, max_attempts=40) for n in range(count)]
        ids = [task.id for task in self._codeq.create_batch(new).all()]
        began = time.monotonic()
        first, second = self._worker(), self._worker()
        self._until_left(count // 8)
        first.kill()
        third = self._worker()
        self._until_left(2 * count // 8)
        with standing_still(second, _STILL):
            pass
        self._until_left(3 * count // 8)
        with standing_still(server, _STILL):
            pass
        self._until_left(5 * count // 8)
        server.kill()
        server.wait()
        self._machine.start_server()
        self._until_left(6 * count // 8)
        third.kill()
        last = self._worker()
        self._until_ended(ids)
        outcome = Outcome(time.monotonic() - began)
        for worker in (second, last):
            worker.send_signal(signal.SIGTERM)
        outcome.problems += [
            f"a worker ended with code {code}" for worker in (second, last) if (code := worker.wait(60)) != 0
        ]
        self._judge(ids, outcome)
        return outcome

    def _worker(self) -> subprocess.Popen[bytes]:
        log = self._machine.folder / f"worker{len(self._logs)}.jsonl"
        self._logs.append(log)
        return self._machine.start_worker(log, self._plan.engine, self._plan.lease, self._plan.fault)

    def _left(self) -> dict[str, list[Left]]:
        """Return how the deliveries of each task ended, of all workers."""
        left = defaultdict(list)
        for log in self._logs:
            for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
                task_id, attempts, settled, loss = json.loads(line)
                left[task_id].append(Left(log.name, attempts, settled, loss))
        return left

    def _until_left(self, count: int) -> None:
        """Wait until so many deliveries have ended."""
        end = time.monotonic() + _PATIENCE
        while sum(map(len, self._left().values())) < count and time.monotonic() < end:
            time.sleep(0.1)

    def _until_ended(self, ids: list[str]) -> None:
        """Wait until all tasks have ended, or for a minute none has: the server may have lost the others (Z2)."""
        left, end = ids, time.monotonic() + _STANDSTILL
        while left and time.monotonic() < end:
            before, left = left, [task_id for task_id in left if not self._codeq.get(task_id).ended]
            if len(left) < len(before):
                end = time.monotonic() + _STANDSTILL
            time.sleep(0.5)

    def _judge(self, ids: list[str], outcome: Outcome) -> None:
        left = self._left()
        outcome.left = Counter(f"{one.settled} {one.loss}".strip() for of_task in left.values() for one in of_task)
        for task_id, history in self._machine.history(ids).items():
            completed = [one for one in left[task_id] if one.settled == "completed"]
            problems = problems_in(history, completed)
            if not history.is_lost:
                problems += self._problems_of(task_id, completed)
            outcome.problems += [f"{task_id}: {problem}" for problem in problems]
            outcome.returned += history.returned > 0
            outcome.lost += history.is_lost
            outcome.revoked += history.revoked > 0
        stats = self._codeq.queue_stats(COMMAND)
        if stats.in_progress:
            outcome.problems.append(f"{stats.in_progress} tasks are leased, and no worker runs")

    def _problems_of(self, task_id: str, completed: Sequence[Left]) -> list[str]:
        """Return what is wrong with the end of a task, of which these deliveries count as completed."""
        task = self._codeq.get(task_id)
        if task.status != "COMPLETED":
            return [f"it is {task.status} after {task.attempts} attempts: {task.error}"]
        result = self._codeq.result(task_id).record.result
        if result["task"] != task_id:
            return [f"it has the result of {result['task']}"]
        if completed and (result["by"], result["attempts"]) not in {(one.by, one.attempts) for one in completed}:
            return [f"it has the result of a delivery that does not count as completed: {result}"]
        return []


def problems_in(history: TaskHistory, completed: Sequence[Left]) -> list[str]:
    """Return what is wrong with the history of a task, of which these deliveries count as completed for the workers."""
    deliveries = Counter((one.by, one.attempts) for one in completed)
    problems = [
        f"delivery {number} of {by} was completed twice" for (by, number), times in deliveries.items() if times > 1
    ]
    problems += [
        f"{by} counts delivery {number} as completed, and the server has no result of it"
        for by, number in deliveries
        if (by, number) not in history.results
    ]
    if len(deliveries) > 1 + history.returned + history.revoked:
        problems.append(f"it was completed in {len(deliveries)} deliveries without a race of the server")
    return history.problems + problems


def run(plan: Plan, folder: Path) -> Outcome:
    """Carry out one run with separate processes. Their logs, and the history of the store, stay in `folder`."""
    machine = Machine(plan.server, plan.store, folder)
    try:
        return Run(plan, machine).carry_out()
    finally:
        machine.end()
