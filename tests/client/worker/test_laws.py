"""The laws hold in random sequences of events, and each law detects a client with a bug."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from codeq_client import Abandon, LeaseTerms, Settled, Task
from codeq_client._api import sending, settlement
from codeq_client._api.clock import sleep_or
from codeq_client._worker import cancellation, claiming, delivery, job, lease_renewal, lease_timing, result_batches
from codeq_client.errors import ServerError, Unavailable
from codeq_fake import faults
from tests.client.support import reply_lost, request_lost
from tests.client.worker.laws import Law, Laws, LawsOfOneSubject, Panic

pytestmark = pytest.mark.slow


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


@pytest.mark.differs_on("main/pebble", "P6")
@pytest.mark.parametrize("machine", [Laws, LawsOfOneSubject])
def test_the_laws_hold(machine: type[Laws]) -> None:
    run(machine, max_examples=15)


def fence_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LeaseTerms, "margin", -4.0)


def handlers_begin_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.TaskContext, "check", lambda _self: None)
    monkeypatch.setattr(lease_renewal, "call_now", lambda call: asyncio.get_running_loop().call_soon(call))


def renewal_failures_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_timing.Lease, "_fence_from", lambda _self, sent: sent + 1000)


def a_key_for_each_try(monkeypatch: pytest.MonkeyPatch) -> None:
    send = sending.Core.send

    def send_anew(self: Any, call: Any, **options: Any) -> Any:
        while True:
            try:
                return (yield from send(self, call, **{**options, "retries": 0}))
            except (Unavailable, ServerError):
                if not call.path.endswith("/tasks"):
                    raise
                body = json.loads(call.body)
                call = replace(call, body=json.dumps(body | {"idempotencyKey": str(uuid4())}).encode())

    monkeypatch.setattr(sending.Core, "send", send_anew)


def acknowledged_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    send = sending.Core.send

    def send_once(self: Any, call: Any, **options: Any) -> Any:
        try:
            return (yield from send(self, call, **{**options, "retries": 0}))
        except Unavailable:
            if not call.path.endswith("/tasks"):
                raise
            return Task(id=json.loads(call.body)["idempotencyKey"], command="X", status="PENDING")

    monkeypatch.setattr(sending.Core, "send", send_once)


def the_end_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancellation.Cancellable, "cancel", lambda _self, _reason: None)


def lost_submit_taken_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(core: Any, _task: Any, call: Any, _patience: Any) -> Any:
        with contextlib.suppress(Unavailable, ServerError):
            yield from core.send(call, retries=0)

    monkeypatch.setattr(settlement, "end", end)


def lost_batch_taken_for_success(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(self: Any, held: Any) -> Any:
        with contextlib.suppress(Unavailable, ServerError):
            return (yield from original(self, held))
        return dict.fromkeys(held)

    original = result_batches.ResultBatches._request  # noqa: SLF001 - the client under test
    monkeypatch.setattr(result_batches.ResultBatches, "_request", request)


def nack_and_abandon_repeated_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settlement, "_is_still_ours", lambda _now, _claimed: True)


def a_claim_error_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def failed(_self: Any, error: Exception) -> None:
        raise error

    monkeypatch.setattr(claiming.ClaimLoop, "_claim_failed", failed)


def a_panic_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (delivery, claiming, cancellation):
        monkeypatch.setattr(module, "is_interrupt", lambda error: isinstance(error, Panic))


def a_claim_error_ends_the_claiming(monkeypatch: pytest.MonkeyPatch) -> None:
    async def failed(self: Any, _error: Exception) -> None:
        await self._stop.wait()

    monkeypatch.setattr(claiming.ClaimLoop, "_claim_failed", failed)


def an_orphan_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claiming, "may_have_acted", lambda _error: False)


def a_start_is_reported_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Any) -> None:
        self._note_start()
        await self._settle(await self.handle())

    monkeypatch.setattr(delivery.Delivery, "run", run)


def a_lost_lease_counts_as_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    report = delivery.Delivery._report  # noqa: SLF001 - the client under test

    def abandoned(self: Any, settled: Settled, detail: str, loss: Any) -> None:
        report(self, Settled.ABANDONED if settled is Settled.LOST else settled, detail, loss)

    monkeypatch.setattr(delivery.Delivery, "_report", abandoned)


def a_cancelled_handlers_task_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def settle(self: Any, outcome: Any, **options: Any) -> None:
        if not isinstance(outcome, Abandon):
            await original(self, outcome, **options)

    original = delivery.Delivery._settle  # noqa: SLF001 - the client under test
    monkeypatch.setattr(delivery.Delivery, "_settle", settle)


def what_comes_while_stopping_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hand_back(_self: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(delivery.Delivery, "hand_back", hand_back)


def renewed_beside_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def finish(_self: Any, _held: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(lease_renewal.LeaseRenewal, "finish", finish)


def cut_off_holder(machine: Laws) -> None:
    """A worker that cannot renew, while another worker waits for its task."""
    machine.open_first(lease=6, concurrency=1)
    machine.create(seconds=30, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=1)
    machine.open(lease=6, concurrency=1)
    machine.cut_off(which=0, seconds=30)
    machine.pass_time(seconds=25)


def cut_off_alone(machine: Laws) -> None:
    """A worker that cannot renew, without another worker that would claim its task."""
    machine.open_first(lease=6, concurrency=1)
    machine.create(seconds=30, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=1)
    machine.cut_off(which=0, seconds=30)
    machine.pass_time(seconds=25)


def claim_answered_late(machine: Laws) -> None:
    """A claim whose answer arrives after the lease has ended."""
    machine.open_first(lease=6, concurrency=1)
    machine.break_network(which=0, operations=["claim"], kind="slow", seconds=7)
    machine.pass_time(seconds=3)
    machine.create(seconds=1, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=25)


def create_answered_in_vain(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.create(seconds=1, outcome="complete", delay=0, faults=[reply_lost])


def submit_lost(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.break_network(which=0, operations=["submit"], kind="request lost", seconds=1)
    machine.create(seconds=1, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=3)


def batch_lost(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=4)
    machine.break_network(which=0, operations=["submit"], kind="half", seconds=1)
    for _ in range(4):
        machine.create(seconds=1, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=3)


def abandon_answered_in_vain(machine: Laws) -> None:
    """The abandon is accepted, another worker claims the task, and then the first one's network works again."""
    machine.open_first(lease=20, concurrency=1)
    machine.open(lease=20, concurrency=1)
    machine.open(lease=20, concurrency=1)
    for which in range(3):
        machine.break_network(which=which, operations=["abandon"], kind="reply lost", seconds=1)
        machine.break_network(which=which, operations=["abandon"] * 3, kind="request lost", seconds=1)
    machine.create(seconds=10, outcome="abandon", delay=0, faults=[])
    machine.pass_time(seconds=25)


def task_at_closing_time(machine: Laws) -> None:
    machine.open_first(lease=20, concurrency=1)
    machine.pass_time(seconds=1)
    machine.stop(which=0)
    machine.create(seconds=1, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=3)


def create_without_an_answer(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.create(seconds=1, outcome="complete", delay=0, faults=[request_lost])


def handler_at_closing_time(machine: Laws) -> None:
    machine.open_first(lease=20, concurrency=1)
    machine.create(seconds=30, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=1)
    machine.stop(which=0)
    machine.pass_time(seconds=3)


def outage(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.break_network(which=0, operations=["claim"], kind="500", seconds=1)
    machine.pass_time(seconds=10)
    machine.create(seconds=1, outcome="complete", delay=0, faults=[])
    machine.end_the_faults()


def claim_lost_by_a_proxy(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.break_network(which=0, operations=["claim"], kind="502", seconds=1)
    machine.pass_time(seconds=3)
    machine.create(seconds=1, outcome="complete", delay=0, faults=[])
    machine.pass_time(seconds=10)


def panic(machine: Laws) -> None:
    machine.open_first(lease=6, concurrency=1)
    machine.create(seconds=1, outcome="panic", delay=0, faults=[])
    machine.end_the_faults()


def end_beside_a_renewal(machine: Laws) -> None:
    """A result that takes 2 s to a server which undoes an end if a renewal comes beside it."""
    under_way, renewed, stored = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def end(_request: Any, forward: Any) -> Any:
        under_way.set()
        await sleep_or(machine.scenario.clock, 2, renewed.wait)
        response = await forward()
        stored.set()
        return response

    async def renew(_request: Any, forward: Any) -> Any:
        if under_way.is_set():
            renewed.set()
            await stored.wait()
        return await forward()

    machine.open_first(lease=20, concurrency=1)
    machine.hosts[0].faults += [("submit", end), *[("heartbeat", renew)] * 9]
    with machine.scenario.fake.faults(faults.undo_end()):
        machine.create(
            seconds=12, outcome="complete", delay=0, faults=[]
        )  # renewed after 6 s, and due again after 12 s
        machine.pass_time(seconds=20)


SEQUENCES: list[tuple[Law, Any, Any]] = [
    (Law.FENCE, fence_too_late, cut_off_alone),
    (Law.FENCE, handlers_begin_at_any_time, claim_answered_late),
    (Law.FENCE, the_end_is_not_told, cut_off_alone),
    (Law.ALONE, renewal_failures_ignored, cut_off_holder),
    (Law.ALONE, nack_and_abandon_repeated_blindly, abandon_answered_in_vain),
    (Law.KEPT, acknowledged_without_an_answer, create_without_an_answer),
    (Law.ONCE, a_key_for_each_try, create_answered_in_vain),
    (Law.NOTHING_LEASED, what_comes_while_stopping_is_forgotten, task_at_closing_time),
    (Law.NOTHING_LEASED, a_cancelled_handlers_task_is_kept, handler_at_closing_time),
    (Law.NOTHING_LEASED, renewed_beside_its_end, end_beside_a_renewal),
    (Law.SETTLED, lost_submit_taken_for_success, submit_lost),
    (Law.SETTLED, lost_batch_taken_for_success, batch_lost),
    (Law.LASTING, a_claim_error_ends_the_loop, outage),
    (Law.LASTING, a_panic_is_let_through, panic),
    (Law.PROGRESS, a_claim_error_ends_the_claiming, outage),
    (Law.EVENTS, an_orphan_is_not_reported, claim_lost_by_a_proxy),
    (Law.EVENTS, a_start_is_reported_too_early, claim_answered_late),
    (Law.EVENTS, a_lost_lease_counts_as_given_back, cut_off_alone),
]

#: In these a lease ends while a client still has the task, which another claim then has to get.
LEASES_END = (cut_off_alone, claim_answered_late, cut_off_holder)


def case(*values: Any, name: str) -> Any:
    """A parameter whose last value is a sequence."""
    marks = [pytest.mark.differs_on("main/pebble", "P6")] if values[-1] in LEASES_END else []
    return pytest.param(*values, id=name, marks=marks)


def run_sequence(sequence: Any) -> None:
    machine = LawsOfOneSubject()  # the harder case
    try:
        sequence(machine)
    except BaseException:
        machine.give_up()
        raise
    machine.teardown()


@pytest.mark.parametrize(
    "sequence", [case(each, name=each.__name__) for each in dict.fromkeys(sequence for *_, sequence in SEQUENCES)]
)
def test_the_laws_hold_in_every_sequence(sequence: Any) -> None:
    run_sequence(sequence)


@pytest.mark.parametrize(("law", "mutate", "sequence"), [case(*each, name=each[1].__name__) for each in SEQUENCES])
def test_a_broken_client_violates_the_law_in_its_sequence(
    law: Law, mutate: Any, sequence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError, match=law):
        run_sequence(sequence)


def test_each_law_detects_a_broken_client() -> None:
    assert {law for law, *_ in SEQUENCES} == set(Law)
