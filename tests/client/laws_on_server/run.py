"""One run: tasks, two workers, and what happens to them and to the server; then what the laws say about the end."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from codeq_client import BlockingCodeQ, NewTask
from tests.client.laws_on_server.machine import Machine, standing_still

COMMAND = "CLIENT_LAWS"
_STILL = 8.0
_PATIENCE = 240.0


@dataclass(frozen=True)
class Plan:
    """What is run: the program of the server, that of its store, and the client's engine."""

    server: Path
    store: str
    engine: str
    lease: int
    tasks: int


@dataclass
class Outcome:
    """What was seen: the seconds that all took, how tasks left the workers, and which laws were broken.

    `returned` is the number of tasks that the server delivered again after they had ended (Z1).
    """

    seconds: float = 0.0
    left: Counter[str] = field(default_factory=Counter)
    returned: int = 0
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
        unended = self._until_ended(ids)
        outcome = Outcome(time.monotonic() - began)
        outcome.problems += [f"{task_id} did not end" for task_id in unended]
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
        return self._machine.start_worker(log, self._plan.engine, self._plan.lease)

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

    def _until_ended(self, ids: list[str]) -> list[str]:
        """Wait until all tasks have ended, and return those that have not."""
        end = time.monotonic() + _PATIENCE
        left = ids
        while left and time.monotonic() < end:
            left = [task_id for task_id in left if not self._codeq.get(task_id).ended]
            time.sleep(0.5)
        return left

    def _judge(self, ids: list[str], outcome: Outcome) -> None:
        left = self._left()
        outcome.left = Counter(f"{one.settled} {one.loss}".strip() for of_task in left.values() for one in of_task)
        for task_id in ids:
            completed = [one for one in left[task_id] if one.settled == "completed"]
            outcome.problems += self._problems_of(task_id, completed)
            outcome.returned += len(completed) > 1
        stats = self._codeq.queue_stats(COMMAND)
        if stats.in_progress:
            outcome.problems.append(f"{stats.in_progress} tasks are leased, and no worker runs")

    def _problems_of(self, task_id: str, completed: list[Left]) -> list[str]:
        """Return what is wrong with a task, of which these deliveries count as completed."""
        task = self._codeq.get(task_id)
        if task.status != "COMPLETED":
            return [f"{task_id} is {task.status} after {task.attempts} attempts: {task.error}"]
        result = self._codeq.result(task_id).record.result
        if result["task"] != task_id:
            return [f"{task_id} has the result of {result['task']}"]
        deliveries = {(one.by, one.attempts) for one in completed}
        if len({one.attempts for one in completed}) < len(completed):  # each claim counts as an attempt (K5)
            return [f"{task_id} was completed twice in one delivery: {sorted(deliveries)}"]
        if completed and (result["by"], result["attempts"]) not in deliveries:
            return [f"{task_id} has the result of another delivery than {sorted(deliveries)}: {result}"]
        return []


def run(plan: Plan) -> Outcome:
    """Carry out one run with separate processes and files."""
    with tempfile.TemporaryDirectory() as name:
        machine = Machine(plan.server, plan.store, Path(name))
        try:
            return Run(plan, machine).carry_out()
        finally:
            machine.end()
