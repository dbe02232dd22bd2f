"""Laws that hold for any producers, workers, faults and moments: a state machine on the fake's manual clock.

Its rules create tasks, start, stop and kill workers, break the network, make the server's races happen and let time
pass. When it is over the faults stop, and everything must come to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from codeq_client import (
    Abandon,
    ClaimFailed,
    End,
    Event,
    Fail,
    Job,
    LeaseEnded,
    LeaseTerms,
    Polled,
    Renewed,
    Retry,
    Settled,
    Task,
    TaskContext,
    TaskEnded,
    TaskStarted,
    Worker,
)
from codeq_client.errors import CodeQError
from tests.client.support import (
    IDENTITIES,
    Fault,
    Network,
    Race,
    Scenario,
    answers,
    broken,
    false_empty,
    garbled,
    gateway_lost,
    half_accepted,
    late,
    operation_of,
    refused,
    reply_lost,
    request_lost,
    slow,
)

T = TypeVar("T")

OPERATIONS = ["create", "claim", "heartbeat", "nack", "abandon", "submit", "get", "result"]
SUBJECTS = ["worker", "other", "third"]
WHICH = st.integers(0, 11)
RACES: dict[str, Race] = {"Z1": "redeliver_finished", "Z2": "lose_task", "Z3": "revoke_lease"}
KINDS = [
    "refused",
    "broken",
    "request lost",
    "reply lost",
    "half",
    "500",
    "502",
    "429",
    "401",
    "garbled",
    "late",
    "slow",
    "Z4",
]
OUTCOMES = ["complete", "fail", "retry", "abandon", "crash", "panic"]


class Panic(BaseException):
    """An exception of a handler that is not an `Exception`."""


class Law(StrEnum):
    """What must hold for every worker."""

    FENCE = "a handler never runs past its fence"
    ALONE = "no two handlers of one task overlap in time"
    KEPT = "every acknowledged create ends completed, failed or dead, or is still there"
    ONCE = "no create is duplicated by retries"
    NOTHING_LEASED = "after shutdown nothing is leased"
    SETTLED = "each task is settled as its handler said, or reported as lost"
    LASTING = "nothing ends a worker but its stop"
    PROGRESS = "the worker makes progress once faults stop"
    EVENTS = "each event says what the server did"


@dataclass
class Host:
    """A worker with its network and the state of its run."""

    worker: Worker
    network: Network
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    run: asyncio.Task[None] | None = None
    cut_until: float = 0.0
    leaving: bool = False

    def fault_for(self, request: Any) -> Fault | None:
        if self.network.clock.monotonic() < self.cut_until:
            return request_lost
        for index, (operation, fault) in enumerate(self.faults):
            if operation == operation_of(request):
                del self.faults[index]
                return fault
        return None


@dataclass
class Attempt:
    """One call of a handler for a task."""

    task_id: str
    begin: float
    end: float | None = None


class EventLaws:
    """A hook that holds the events of one worker against what the server did."""

    def __init__(self, laws: Laws, network: Network) -> None:
        self._laws = laws
        self._network = network
        self._started: dict[str, int] = {}
        """The attempts of each task that a handler here began."""

    def __call__(self, event: Event) -> None:
        is_true = True
        match event:
            case Polled(tasks=tasks):
                is_true = tasks == self._leased()
            case ClaimFailed(orphan=orphan):
                is_true = self._leased() == 0 or orphan
            case Renewed(task_id=task_id, outcome="renewed"):
                replies = [reply for _, path, reply in self._network.served if path.endswith(f"/{task_id}/heartbeat")]
                is_true = replies[-1].status_code == 200
            case TaskStarted(task=task):
                self._started[task.id] = task.attempts
                is_true = self._is_ours(task.id)
            case LeaseEnded(task_id=task_id, end=End.REVOKED):
                is_true = not self._is_ours(task_id)
            case TaskEnded(task=task, settled=settled, started=started):
                is_true = started == ((task.id, task.attempts) in self._laws.called) and self._has_left(task, settled)
            case _:
                pass
        if not is_true and not self._is_raced(event):
            self._laws.broken.append(f"{Law.EVENTS}: {event}")

    def _is_raced(self, event: Event) -> bool:
        """Whether a race of the server happened to the task, so that its history is not what a worker can know."""
        match event:
            case TaskStarted(task=task) | TaskEnded(task=task):
                return task.id in self._laws.raced
            case LeaseEnded(task_id=task_id):
                return task_id in self._laws.raced
            case _:
                return False

    def _leased(self) -> int:
        """Return how many tasks the server has leased since the last event of a claim."""
        claims = [reply for operation, _, reply in self._network.served if operation == "claim"]
        self._network.served.clear()
        return sum(len(reply.json().get("tasks", [0])) for reply in claims if reply.status_code == 200)

    def _is_ours(self, task_id: str) -> bool:
        task = self._laws.scenario.task(task_id)
        mine = ("IN_PROGRESS", self._network.subject, self._started.get(task_id))
        return (task.status, task.worker, task.attempts) == mine

    def _has_left(self, task: Task, settled: Settled) -> bool:
        """Whether the server did what the end of a task says; more may have happened since."""
        now = self._laws.scenario.task(task.id)
        match settled:
            case Settled.RETRIED:
                return now.attempts > task.attempts
            case Settled.DEAD:
                return (now.status, now.attempts) == ("FAILED", task.attempts + 1)
            case Settled.ABANDONED:
                return (now.status, now.attempts) != ("IN_PROGRESS", task.attempts)
            case _:
                return True  # `judge` has the others


class Laws(RuleBasedStateMachine):
    shared_subject = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.scenario = self.perform(self._scenario())
        self.producer = Network(self.scenario.fake, self.scenario.clock)
        self.producer_faults: list[Fault] = []
        self.producer.fault_for = lambda _request: self.producer_faults.pop(0) if self.producer_faults else None
        self.client = self.scenario.client("worker", self.producer)
        self.calm = Network(self.scenario.fake, self.scenario.clock, "other")
        self.hosts: list[Host] = []
        self.intents = 0
        self.acknowledged: set[str] = set()
        self.attempts: list[Attempt] = []
        self.called: set[tuple[str, int]] = set()
        """Task and attempts of each call of a handler."""
        self.raced: set[str] = set()
        self.dropped: set[str] = set()
        self.lost: set[str] = set()
        self.orphans = False
        self.late_requests: list[asyncio.Task[None]] = []
        self.broken: list[str] = []

    def perform(self, code: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(code)

    async def _scenario(self) -> Scenario:
        return Scenario(BACKOFF_POLICY="fixed", BACKOFF_BASE_SECONDS="1")

    # What happens.

    @initialize(lease=st.sampled_from([6, 9, 20]), concurrency=st.integers(1, 4))
    def open_first(self, lease: int, concurrency: int) -> None:
        self.open(lease, concurrency)

    @rule(lease=st.sampled_from([6, 9, 20]), concurrency=st.integers(1, 4))
    def open(self, lease: int, concurrency: int) -> None:
        if len(self.hosts) == len(SUBJECTS):
            return
        subject = SUBJECTS[0] if self.shared_subject else SUBJECTS[len(self.hosts)]
        network = Network(self.scenario.fake, self.scenario.clock, IDENTITIES[subject]["claims"]["sub"])
        codeq = self.scenario.client(subject, network)
        hooks: list[Callable[[Event], None]] = [self.judge, EventLaws(self, network)]
        worker = Worker(codeq, concurrency=concurrency, lease=LeaseTerms(lease), poll=5, grace=8, hooks=hooks)
        worker.handler("X")(self.handler(network))
        host = Host(worker, network)
        network.fault_for = host.fault_for
        self.hosts.append(host)

        async def start() -> None:
            host.run = asyncio.create_task(worker.run(signals=False))
            await self.scenario.clock.advance(0)

        self.perform(start())

    def handler(self, network: Network) -> Any:
        async def handle(job: Job[Any], _context: TaskContext) -> Any:
            attempt = Attempt(job.id, self.scenario.clock.monotonic())
            self.attempts.append(attempt)
            self.called.add((job.id, job.attempts))
            try:
                await self.scenario.clock.sleep(job.payload["seconds"])
            finally:
                attempt.end = self.scenario.clock.monotonic()
                self._judge_fence(job, network.subject)
            return self._end_as(job, attempt)

        return handle

    @staticmethod
    def _end_as(job: Job[Any], attempt: Attempt) -> Any:
        outcome = job.payload["outcome"]
        if outcome == "fail":
            raise Fail(f"failed at {job.attempts}")
        if outcome == "crash" and not job.is_last:
            raise OSError
        if outcome == "panic" and not job.is_last:
            raise Panic
        if outcome == "retry" and not job.is_last:
            raise Retry(2)
        if outcome == "abandon" and job.attempts == 1:
            raise Abandon
        return {"attempts": job.attempts, "begin": attempt.begin}

    @rule(
        seconds=st.sampled_from([0, 0, 1, 5, 30]),
        outcome=st.sampled_from(OUTCOMES),
        delay=st.sampled_from([0, 0, 3]),
        faults=st.lists(st.sampled_from([refused, request_lost, reply_lost, answers(503), answers(429)]), max_size=2),
    )
    def create(self, seconds: int, outcome: str, delay: int, faults: list[Fault]) -> None:
        payload = {"intent": self.intents, "seconds": seconds, "outcome": outcome}
        self.intents += 1
        self.producer_faults = list(faults)

        async def create() -> None:
            with contextlib.suppress(CodeQError):
                created = await self.scenario.finished(self.client.create("X", payload, delay=delay))
                self.acknowledged.add(created.id)

        self.perform(create())

    @rule(seconds=st.sampled_from([0.25, 1, 3, 10, 25]))
    def pass_time(self, seconds: float) -> None:
        self.perform(self.scenario.clock.advance(seconds))

    @rule(
        which=WHICH,
        operations=st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=6),
        kind=st.sampled_from(KINDS),
        seconds=st.sampled_from([0.5, 2, 7]),
    )
    def break_network(self, which: int, operations: list[str], kind: str, seconds: float) -> None:
        host = self.hosts[which % len(self.hosts)]
        faults = {
            "refused": refused,
            "broken": broken,
            "request lost": request_lost,
            "reply lost": reply_lost,
            "half": half_accepted,
            "500": answers(500),
            "502": gateway_lost,
            "429": answers(429, retry_after="1"),
            "401": answers(401),
            "garbled": garbled,
            # With one subject for all workers, a late request would apply to another worker's lease. And with any
            # subject, a late NACK or abandon revokes the next lease, which no worker can detect.
            "late": request_lost if self.shared_subject else late(self.scenario.clock, seconds, self.late_requests),
            "slow": slow(self.scenario.clock, seconds),
            "Z4": false_empty,
        }
        if kind == "Z4":
            operations = [operation for operation in operations if operation == "claim"]
        self.orphans |= "claim" in operations
        if kind == "late":
            operations = [operation for operation in operations if operation not in {"nack", "abandon"}]
        host.faults += [(operation, faults[kind]) for operation in operations]

    @rule(which=WHICH, seconds=st.sampled_from([2, 8, 30]))
    def cut_off(self, which: int, seconds: float) -> None:
        host = self.hosts[which % len(self.hosts)]
        host.cut_until = self.scenario.clock.monotonic() + seconds
        self.orphans = True

    @rule(which=WHICH, race=st.sampled_from(sorted(RACES)))
    def race(self, which: int, race: str) -> None:
        if not self.attempts:
            return
        task_id = self.attempts[which % len(self.attempts)].task_id
        if self.scenario.race(task_id, RACES[race]):
            # The worker that holds a lost task can still settle it: all laws apply.
            (self.dropped if race == "Z2" else self.raced).add(task_id)

    @rule(which=WHICH)
    def stop(self, which: int) -> None:
        host = self.hosts[which % len(self.hosts)]
        host.leaving = True
        host.worker.stop()

    @rule(which=WHICH)
    def kill(self, which: int) -> None:
        host = self.hosts[which % len(self.hosts)]
        host.leaving = True
        self.orphans = True

        async def kill() -> None:
            host.network.fault_for = lambda _request: refused
            assert host.run
            host.run.cancel()
            await self.scenario.clock.advance_until(host.run.done)
            with contextlib.suppress(asyncio.CancelledError):
                await host.run

        self.perform(kill())

    @rule()
    def end_the_faults(self) -> None:
        """Let the remaining workers, after all these faults, finish all tasks."""
        self.remove_faults()
        if all(host.leaving for host in self.hosts):
            return
        with self.must(Law.PROGRESS):
            self.perform(
                self.scenario.clock.advance_until(lambda: self.one_gave_up() or self.all_is_done(), within=900)
            )
        assert not self.one_gave_up(), Law.LASTING

    def one_gave_up(self) -> bool:
        return any(host.run and host.run.done() for host in self.hosts if not host.leaving)

    @staticmethod
    @contextlib.contextmanager
    def must(law: Law) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise AssertionError(law) from error

    def remove_faults(self) -> None:
        for host in self.hosts:
            host.faults.clear()
            host.cut_until = 0.0

    def all_is_done(self) -> bool:
        return self.scenario.unended() <= self.dropped

    def give_up(self) -> None:
        """Close the loop after a law was violated, in any state of the workers."""
        for host in self.hosts:
            if host.run and host.run.done() and not host.run.cancelled():
                host.run.exception()
        self.runner.close()

    # What must hold.

    def _judge_fence(self, job: Job[Any], subject: str) -> None:
        """A handler never runs past its fence: when it ends, its task cannot have been claimed by another yet."""
        task = self.scenario.task(job.id)
        ours = (task.status, task.worker, task.attempts) == ("IN_PROGRESS", subject, job.attempts)
        if ours and "lease has run out" in str(task.claimable["reason"]):
            self.broken.append(f"{Law.FENCE}: {task}")

    def judge(self, event: Event) -> None:
        if not isinstance(event, TaskEnded) or event.task.id in self.raced:
            return
        task = self.scenario.task(event.task.id)
        if event.settled is Settled.COMPLETED and (task.status, task.result and task.result["attempts"]) != (
            "COMPLETED",
            event.task.attempts,
        ):
            self.broken.append(f"{Law.SETTLED}: {event} but {task}")
        if event.settled is Settled.LOST:
            self.lost.add(event.task.id)
        if event.settled is Settled.FAILED and (task.status, task.error) != (
            "FAILED",
            f"failed at {event.task.attempts}",
        ):
            self.broken.append(f"{Law.SETTLED}: {event} but {task}")

    def teardown(self) -> None:
        try:
            self.perform(self._end_all())
            self._judge_all()
        finally:
            self.give_up()

    async def _end_all(self) -> None:
        clock = self.scenario.clock
        self.remove_faults()
        for host in self.hosts:
            host.worker.stop()
        with self.must(Law.PROGRESS):
            await clock.advance_until(lambda: all(host.run and host.run.done() for host in self.hosts), within=120)
        assert not self.broken, self.broken
        leased = {task.id for task in self.scenario.fake.tasks(status="IN_PROGRESS")}
        assert self.orphans or leased <= self.lost | self.raced, Law.NOTHING_LEASED
        await clock.advance(21)
        for request in self.late_requests:
            with contextlib.suppress(Exception):
                await request
        last = Worker(self.scenario.client("other", self.calm), concurrency=4, poll=5, hooks=[self.judge])
        last.handler("X")(self.handler(self.calm))
        run = asyncio.create_task(last.run(signals=False))
        with self.must(Law.PROGRESS):
            await clock.advance_until(self.all_is_done, within=900)
        last.stop()
        await clock.advance_until(run.done, within=60)
        await run

    def _judge_all(self) -> None:
        assert not self.broken, self.broken
        tasks = self.scenario.fake.tasks()
        assert self.acknowledged <= {task.id for task in tasks}, Law.KEPT
        intents = Counter(task.payload["intent"] for task in tasks)
        assert not intents or max(intents.values()) == 1, Law.ONCE
        for host in self.hosts:
            assert host.run
            assert host.run.done()
            if not host.run.cancelled():
                assert host.run.exception() is None, Law.LASTING
        for task in tasks:
            if task.id not in self.raced:
                self._judge_overlap([attempt for attempt in self.attempts if attempt.task_id == task.id])

    @staticmethod
    def _judge_overlap(attempts: list[Attempt]) -> None:
        ordered = sorted(attempts, key=lambda attempt: attempt.begin)
        for earlier, later in pairwise(ordered):
            assert earlier.end is not None
            assert earlier.end <= later.begin, f"{Law.ALONE}: {earlier} {later}"


class LawsOfOneSubject(Laws):
    """All workers share one token, so that the server cannot distinguish them."""

    shared_subject = True
