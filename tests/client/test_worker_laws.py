"""Laws that hold for any producers, workers, faults and moments: a state machine on the fake's manual clock.

Its rules create tasks, start, stop and kill workers, break the network, make the server's races happen and let time
pass. When it is over the faults stop, and everything must come to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from codeq_client import (
    Abandon,
    Event,
    Fail,
    Job,
    LeaseTerms,
    Retry,
    Settled,
    TaskContext,
    TaskEnded,
    Worker,
    _core,
    _delivery,
    _lease,
    _settle,
    _shift,
)
from codeq_client.errors import CodeQError, ServerError, Unavailable
from tests.client.stage import (
    Fault,
    Network,
    Stage,
    answers,
    garbled,
    operation_of,
    refused,
    reply_lost,
    request_lost,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

OPERATIONS = ["create", "claim", "heartbeat", "nack", "abandon", "submit", "get", "result"]
SUBJECTS = ["worker", "other", "third"]
WHICH = st.integers(0, 11)
SAYINGS = ["complete", "fail", "retry", "abandon", "crash"]


def late(stage: Stage, seconds: float, strays: list[asyncio.Task[None]]) -> Fault:
    """Return a fault that brings the request to the server so many seconds later, when the client has given up."""

    async def fault(request: Any, forward: Any) -> Any:
        async def arrive() -> None:
            await stage.clock.sleep(seconds)
            await forward()

        strays.append(asyncio.create_task(arrive()))
        return await request_lost(request, forward)

    return fault


def slow(stage: Stage, seconds: float) -> Fault:
    async def fault(_request: Any, forward: Any) -> Any:
        response = await forward()
        await stage.clock.sleep(seconds)
        return response

    return fault


@dataclass
class Site:
    """A worker with its network and what its handlers did."""

    worker: Worker
    network: Network
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    run: asyncio.Task[None] | None = None
    cut_until: float = 0.0

    def fault_for(self, request: Any) -> Fault | None:
        if self.network.clock.monotonic() < self.cut_until:
            return request_lost
        for index, (operation, fault) in enumerate(self.faults):
            if operation == operation_of(request):
                del self.faults[index]
                return fault
        return None


@dataclass
class Shift:
    """A handler's time with a task."""

    task_id: str
    begin: float
    end: float | None = None


class Laws(RuleBasedStateMachine):
    shared_subject = False

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stage = self.play(self._stage())
        self.producer = Network(self.stage.fake, self.stage.clock)
        self.producer_faults: list[Fault] = []
        self.producer.fault_for = lambda _request: self.producer_faults.pop(0) if self.producer_faults else None
        self.client = self.stage.client("worker", self.producer)
        self.sites: list[Site] = []
        self.intents = 0
        self.acknowledged: set[str] = set()
        self.shifts: list[Shift] = []
        self.raced: set[str] = set()
        self.lost: set[str] = set()
        self.orphans = False
        self.strays: list[asyncio.Task[None]] = []
        self.broken: list[str] = []

    def play(self, scene: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(scene)

    async def _stage(self) -> Stage:
        return Stage(BACKOFF_POLICY="fixed", BACKOFF_BASE_SECONDS="1")

    # What happens.

    @initialize(lease=st.sampled_from([6, 9, 20]), concurrency=st.integers(1, 4))
    def open_first(self, lease: int, concurrency: int) -> None:
        self.open(lease, concurrency)

    @rule(lease=st.sampled_from([6, 9, 20]), concurrency=st.integers(1, 4))
    def open(self, lease: int, concurrency: int) -> None:
        if len(self.sites) == len(SUBJECTS):
            return
        subject = SUBJECTS[0] if self.shared_subject else SUBJECTS[len(self.sites)]
        network = Network(self.stage.fake, self.stage.clock)
        codeq = self.stage.client(subject, network)
        hooks = [self.judge]
        worker = Worker(codeq, concurrency=concurrency, lease=LeaseTerms(lease), poll=5, grace=8, hooks=hooks)
        worker.handler("X")(self.handle)
        site = Site(worker, network)
        network.fault_for = site.fault_for
        self.sites.append(site)

        async def start() -> None:
            site.run = asyncio.create_task(worker.run(signals=False))
            await self.stage.clock.advance(0)

        self.play(start())

    async def handle(self, job: Job[Any], _context: TaskContext) -> Any:
        shift = Shift(job.id, self.stage.clock.monotonic())
        self.shifts.append(shift)
        try:
            await self.stage.clock.sleep(job.payload["seconds"])
        finally:
            shift.end = self.stage.clock.monotonic()
        says = job.payload["says"]
        if says == "fail":
            raise Fail(f"failed at {job.attempts}")
        if says == "crash" and not job.is_last:
            raise OSError
        if says == "retry" and not job.is_last:
            raise Retry(2)
        if says == "abandon" and job.attempts == 1:
            raise Abandon
        return {"attempts": job.attempts, "begin": shift.begin}

    @rule(
        seconds=st.sampled_from([0, 0, 1, 5, 30]),
        says=st.sampled_from(SAYINGS),
        delay=st.sampled_from([0, 0, 3]),
        faults=st.lists(st.sampled_from([refused, request_lost, reply_lost, answers(503), answers(429)]), max_size=2),
    )
    def create(self, seconds: int, says: str, delay: int, faults: list[Fault]) -> None:
        payload = {"intent": self.intents, "seconds": seconds, "says": says}
        self.intents += 1
        self.producer_faults = list(faults)

        async def create() -> None:
            creating = asyncio.create_task(self.client.create("X", payload, delay=delay))
            await self.stage.clock.advance_until(creating.done)
            with contextlib.suppress(CodeQError):
                self.acknowledged.add((await creating).id)

        self.play(create())

    @rule(seconds=st.sampled_from([0.25, 1, 3, 10, 25]))
    def pass_time(self, seconds: float) -> None:
        self.play(self.stage.clock.advance(seconds))

    @rule(
        which=WHICH,
        operations=st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=6),
        kind=st.sampled_from(["refused", "request lost", "reply lost", "500", "429", "401", "garbled", "late", "slow"]),
        seconds=st.sampled_from([0.5, 2, 7]),
    )
    def break_network(self, which: int, operations: list[str], kind: str, seconds: float) -> None:
        site = self.sites[which % len(self.sites)]
        faults = {
            "refused": refused,
            "request lost": request_lost,
            "reply lost": reply_lost,
            "500": answers(500),
            "429": answers(429, retry_after="1"),
            "401": answers(401),
            "garbled": garbled,
            # With one subject for all, what comes late would count for another worker's lease. And whoever the
            # subject, a NACK or an abandon that comes late revokes the next lease: nobody can know.
            "late": request_lost if self.shared_subject else late(self.stage, seconds, self.strays),
            "slow": slow(self.stage, seconds),
        }
        self.orphans |= "claim" in operations
        if kind == "late":
            operations = [operation for operation in operations if operation not in {"nack", "abandon"}]
        site.faults += [(operation, faults[kind]) for operation in operations]

    @rule(which=WHICH, seconds=st.sampled_from([2, 8, 30]))
    def cut_off(self, which: int, seconds: float) -> None:
        site = self.sites[which % len(self.sites)]
        site.cut_until = self.stage.clock.monotonic() + seconds
        self.orphans = True

    @rule(which=WHICH, race=st.sampled_from(["Z1", "Z3"]))
    def race(self, which: int, race: str) -> None:
        if not self.shifts:
            return
        task_id = self.shifts[which % len(self.shifts)].task_id
        task = self.stage.task(task_id)
        if race == "Z1" and task.status == "COMPLETED":
            self.stage.edit(task_id, state="READY")
        elif race == "Z3" and task.status == "IN_PROGRESS":
            self.stage.edit(task_id, state="READY", worker="", attempts=task.attempts + 1)
        else:
            return
        self.raced.add(task_id)

    @rule(which=WHICH)
    def stop(self, which: int) -> None:
        self.sites[which % len(self.sites)].worker.stop()

    @rule(which=WHICH)
    def kill(self, which: int) -> None:
        site = self.sites[which % len(self.sites)]

        self.orphans = True

        async def kill() -> None:
            site.network.fault_for = lambda _request: refused
            assert site.run
            site.run.cancel()
            await self.stage.clock.advance_until(site.run.done)
            with contextlib.suppress(asyncio.CancelledError):
                await site.run

        self.play(kill())

    # What must hold.

    def judge(self, event: Event) -> None:
        if not isinstance(event, TaskEnded) or event.task.id in self.raced:
            return
        task = self.stage.task(event.task.id)
        if event.settled is Settled.COMPLETED and (task.status, task.result and task.result["attempts"]) != (
            "COMPLETED",
            event.task.attempts,
        ):
            self.broken.append(f"{event} but {task}")
        if event.settled is Settled.LOST:
            self.lost.add(event.task.id)
        if event.settled is Settled.FAILED and (task.status, task.error) != (
            "FAILED",
            f"failed at {event.task.attempts}",
        ):
            self.broken.append(f"{event} but {task}")

    def teardown(self) -> None:
        try:
            self.play(self._end_all())
            self._judge_all()
        finally:
            self.runner.close()

    async def _end_all(self) -> None:
        clock = self.stage.clock
        for site in self.sites:
            site.faults.clear()
            site.cut_until = 0.0
            site.worker.stop()
        await clock.advance_until(lambda: all(site.run is None or site.run.done() for site in self.sites), within=120)
        leased = {task.id for task in self.stage.fake.tasks(status="IN_PROGRESS")}
        assert self.orphans or leased <= self.lost | self.raced, "after shutdown nothing is leased"
        await clock.advance(21)
        for stray in self.strays:
            with contextlib.suppress(Exception):
                await stray
        last = Worker(self.stage.calm, concurrency=4, poll=5, hooks=[self.judge])
        last.handler("X")(self.handle)
        run = asyncio.create_task(last.run(signals=False))
        await clock.advance_until(
            lambda: all(t.status in {"COMPLETED", "FAILED"} for t in self.stage.fake.tasks()), within=900
        )
        last.stop()
        await clock.advance_until(run.done, within=60)
        await run

    def _judge_all(self) -> None:
        assert not self.broken, "each task is settled as its handler said, or reported as lost"
        tasks = self.stage.fake.tasks()
        assert self.acknowledged <= {task.id for task in tasks}, "every acknowledged create is there"
        intents = Counter(task.payload["intent"] for task in tasks)
        assert not intents or max(intents.values()) == 1, "no create is duplicated by retries"
        for site in self.sites:
            assert site.run
            assert site.run.done()
            if not site.run.cancelled():
                assert site.run.exception() is None, "nothing ends a worker but its stop"
        for task in tasks:
            if task.id not in self.raced:
                self._judge_overlap([shift for shift in self.shifts if shift.task_id == task.id])

    @staticmethod
    def _judge_overlap(shifts: list[Shift]) -> None:
        ordered = sorted(shifts, key=lambda shift: shift.begin)
        for earlier, later in pairwise(ordered):
            assert earlier.end is not None
            assert earlier.end <= later.begin, f"two handlers of one task at once: {earlier} {later}"


class LawsOfOneSubject(Laws):
    """All workers share one token, so that the server cannot tell them apart."""

    shared_subject = True


def run(machine: type[Laws], **options: Any) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            deadline=None,
            **options,
        ),
    )


@pytest.mark.parametrize("machine", [Laws, LawsOfOneSubject])
def test_the_laws_hold(machine: type[Laws]) -> None:
    run(machine, max_examples=25)


def fence_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LeaseTerms, "margin", -4.0)


def renewal_failures_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lease.Lease, "_fence_from", lambda _self, sent: sent + 1000)


def a_key_for_each_try(monkeypatch: pytest.MonkeyPatch) -> None:
    send = _core.Core.send

    def send_anew(self: Any, call: Any, **options: Any) -> Any:
        while True:
            try:
                return (yield from send(self, call, **{**options, "retries": 0}))
            except (Unavailable, ServerError):
                if not call.path.endswith("/tasks"):
                    raise
                body = json.loads(call.body)
                call = replace(call, body=json.dumps(body | {"idempotencyKey": str(uuid4())}).encode())

    monkeypatch.setattr(_core.Core, "send", send_anew)


def lost_submit_taken_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(core: Any, _task: Any, call: Any, _patience: Any) -> Any:
        with contextlib.suppress(Unavailable, ServerError):
            yield from core.send(call, retries=0)

    monkeypatch.setattr(_settle, "end", end)


def nack_and_abandon_repeated_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_settle, "_still_ours", lambda _now, _claimed: True)


def a_claim_error_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def failed(_self: Any, error: Exception) -> None:
        raise error

    monkeypatch.setattr(_shift.Shift, "_claim_failed", failed)


def what_comes_while_stopping_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hand_back(_self: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(_delivery.Delivery, "hand_back", hand_back)


def cut_off_holder(machine: Laws) -> None:
    """A worker that cannot renew, while another waits for its task."""
    machine.open_first(lease=6, concurrency=1)
    machine.create(seconds=30, says="complete", delay=0, faults=[])
    machine.pass_time(seconds=1)
    machine.open(lease=6, concurrency=1)
    machine.cut_off(which=0, seconds=30)
    machine.pass_time(seconds=25)


def create_answered_in_vain(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.create(seconds=1, says="complete", delay=0, faults=[reply_lost])


def submit_lost(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.break_network(which=0, operations=["submit"], kind="request lost", seconds=1)
    machine.create(seconds=1, says="complete", delay=0, faults=[])
    machine.pass_time(seconds=3)


def abandon_answered_in_vain(machine: Laws) -> None:
    """The abandon counts, another worker takes the task, and then the first one's network lets it speak again."""
    machine.open_first(lease=20, concurrency=1)
    machine.open(lease=20, concurrency=1)
    machine.open(lease=20, concurrency=1)
    for which in range(3):
        machine.break_network(which=which, operations=["abandon"], kind="reply lost", seconds=1)
        machine.break_network(which=which, operations=["abandon"] * 3, kind="request lost", seconds=1)
    machine.create(seconds=10, says="abandon", delay=0, faults=[])
    machine.pass_time(seconds=25)


def task_at_closing_time(machine: Laws) -> None:
    machine.open_first(lease=20, concurrency=1)
    machine.pass_time(seconds=1)
    machine.stop(which=0)
    machine.create(seconds=1, says="complete", delay=0, faults=[])
    machine.pass_time(seconds=3)


STORIES: dict[Any, Any] = {
    fence_too_late: cut_off_holder,
    renewal_failures_ignored: cut_off_holder,
    a_key_for_each_try: create_answered_in_vain,
    lost_submit_taken_for_success: submit_lost,
    nack_and_abandon_repeated_blindly: abandon_answered_in_vain,
    a_claim_error_ends_the_loop: cut_off_holder,
    what_comes_while_stopping_is_forgotten: task_at_closing_time,
}


def tell(story: Any) -> None:
    machine = LawsOfOneSubject()  # the harder ones
    try:
        story(machine)
    finally:
        machine.teardown()


@pytest.mark.parametrize("story", dict.fromkeys(STORIES.values()), ids=lambda story: story.__name__)
def test_the_laws_hold_in_every_story(story: Any) -> None:
    tell(story)


@pytest.mark.parametrize(("mutate", "story"), STORIES.items(), ids=[mutate.__name__ for mutate in STORIES])
def test_a_worse_client_breaks_a_law_in_its_story(mutate: Any, story: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    with pytest.raises((AssertionError, TimeoutError, BaseExceptionGroup)):
        tell(story)
