"""Deliveries: tries of callbacks and notices on the fake's clock, and the journal of what came of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from codeq_fake.clocks.clock import Clock
from codeq_fake.clocks.quiet import let_tasks_run
from codeq_fake.core.effects import CallbackDue, NoticeDue
from codeq_fake.faults import Plan
from codeq_fake.runtime import deliveries
from codeq_fake.runtime.deliveries import Deliveries
from codeq_fake.webhooks import Composer, Hop, Outcome, Outgoing, Sender
from codeq_fake.webhooks.signing import sign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codeq_fake.journal import Callback

pytestmark = pytest.mark.asyncio

START = 1_769_860_800_000_000_000
SECOND = 1_000_000_000
URL = "http://app.test/done"
SECRET = "between us"


class Receiver(Sender):
    """In place of a sender: each try is answered with the next status, a try without one hangs."""

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self._statuses = iter(statuses)
        self.seen: list[Outgoing] = []
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()

    async def send(self, outgoing: Outgoing) -> Outcome:
        self.seen.append(outgoing)
        self.asked.set()
        status = next(self._statuses, None)
        if status is None:
            await self.let_go.wait()
        return Outcome((Hop("POST", outgoing.url, status or 200),))


@dataclass
class Stage:
    """Deliveries on a manual clock, and what they report."""

    receiver: Sender
    clock: Clock = field(default_factory=lambda: Clock("manual", start=START))
    ends: list[tuple[int, int, bool]] = field(default_factory=list)
    """Delivery, seconds since the start, delivered."""
    tried: list[Callback] = field(default_factory=list)

    def __post_init__(self) -> None:
        composer = Composer(zone=ZoneInfo("UTC"), secret=SECRET)
        self.deliveries = Deliveries(
            clock=self.clock,
            sender=self.receiver,
            composer=composer,
            answered=self._answered,
            faults=Plan(),
            journal_size=10,
            tried=self.tried.append,
        )

    def _answered(self, due: CallbackDue, outcome: Outcome) -> None:
        self.ends.append((due.delivery_id, (self.clock.now() - START) // SECOND, outcome.delivered))

    async def _settle(self) -> None:
        await self.deliveries.finish()

    async def advance(self, seconds: int) -> None:
        await self.clock.advance(self._settle, by=seconds * SECOND)

    @property
    def tries(self) -> Sequence[tuple[int, int | None, str | None]]:
        """Of the journal's first entry: seconds since the start, status, error."""
        [entry, *_] = self.deliveries.journal.entries
        return [((tried.at - START) // SECOND, tried.status, tried.error) for tried in entry.tries]

    @property
    def states(self) -> list[str]:
        return [entry.state for entry in self.deliveries.journal.entries]


def callback(number: int = 1, attempt: int = 1) -> CallbackDue:
    return CallbackDue(number, attempt, URL, f"task-{number}", "A", "COMPLETED", '{"a":1}', "", (), START)


NOTICE = NoticeDue("sub-1", "http://app.test/ready", "A")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "PATIENCE", 0.05)


async def test_a_try_is_sent_signed_by_the_fakes_clock_and_its_end_is_reported() -> None:
    stage = Stage(receiver := Receiver(200))
    stage.deliveries.call_back(callback())
    assert await stage.deliveries.finish()
    [sent] = receiver.seen
    headers = dict(sent.headers)
    assert (sent.method, sent.url, json.loads(sent.body)["taskId"]) == ("POST", URL, "task-1")
    assert headers["X-CodeQ-Timestamp"] == str(START // SECOND)
    assert headers["X-CodeQ-Signature"] == sign(SECRET, START // SECOND, sent.body)
    assert stage.ends == [(1, 0, True)]


async def test_the_journal_has_one_entry_a_callback_with_each_of_its_tries() -> None:
    stage = Stage(Receiver(503, 204, 204))
    stage.deliveries.call_back(callback())
    await stage.advance(2)
    stage.deliveries.call_back(callback(attempt=2))
    stage.deliveries.call_back(callback(2))
    await stage.deliveries.finish()
    first, second = stage.deliveries.journal.entries
    assert (first.n, first.kind, first.url, first.task_id) == (1, "task_result", URL, "task-1")
    assert (second.n, second.task_id) == (2, "task-2")
    assert stage.tries == [(0, 503, None), (2, 204, None)]


async def test_each_try_has_a_timestamp_of_its_own() -> None:
    stage = Stage(receiver := Receiver(503, 204))
    stage.deliveries.call_back(callback())
    await stage.advance(2)
    stage.deliveries.call_back(callback(attempt=2))
    await stage.deliveries.finish()
    first, second = (dict(sent.headers) for sent in receiver.seen)
    assert int(second["X-CodeQ-Timestamp"]) == int(first["X-CodeQ-Timestamp"]) + 2
    assert first["X-CodeQ-Signature"] != second["X-CodeQ-Signature"]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome((Hop("POST", URL, 204),)), "delivered"),
        (Outcome((Hop("POST", URL, 500),)), "failed"),
        (Outcome((Hop("POST", URL),), "refused"), "failed"),
        (Outcome((Hop("POST", URL),), "public", blocked=True), "blocked"),
    ],
)
async def test_a_callback_is_pending_until_it_is_over(outcome: Outcome, state: str) -> None:
    stage = Stage(Receiver(500))
    stage.deliveries.call_back(callback())
    await stage.deliveries.finish()
    assert stage.states == ["pending"]
    stage.deliveries.over(callback(), outcome)
    assert stage.states == [state]
    stage.deliveries.over(callback(), outcome)


async def test_the_next_callback_after_one_that_is_over_has_an_entry_of_its_own() -> None:
    stage = Stage(Receiver(200, 200))
    for _ in range(2):
        stage.deliveries.call_back(callback())
        await stage.deliveries.finish()
        stage.deliveries.over(callback(), Outcome((Hop("POST", URL, 200),)))
    assert stage.states == ["delivered", "delivered"]


async def test_a_receiver_that_hangs_is_waited_for_once_and_given_up_after_15_seconds() -> None:  # W3
    stage = Stage(Receiver())
    stage.deliveries.call_back(callback())
    assert await stage.deliveries.finish()
    assert not await stage.deliveries.finish()
    await stage.advance(14)
    assert (stage.ends, stage.tries) == ([], [])
    await stage.advance(60)
    assert stage.ends == [(1, 15, False)]
    assert stage.tries == [(0, None, "no answer within 15 s")]


async def test_a_receiver_that_answers_late_but_within_15_seconds_is_heard() -> None:
    stage = Stage(receiver := Receiver())
    stage.deliveries.call_back(callback())
    await stage.advance(14)
    receiver.let_go.set()
    await let_tasks_run()
    await stage.advance(60)
    assert stage.ends == [(1, 14, True)]
    assert stage.tries == [(0, 200, None)]


async def test_one_that_hangs_does_not_hide_the_others() -> None:
    stage = Stage(Receiver())
    stage.deliveries.call_back(callback())
    await stage.deliveries.finish()
    stage.receiver.let_go.set()  # type: ignore[attr-defined]
    stage.deliveries.call_back(callback(2))
    assert await stage.deliveries.finish()
    assert sorted(stage.ends) == [(1, 0, True), (2, 0, True)]


async def test_there_is_nothing_to_wait_for_when_nothing_is_sent() -> None:
    assert not await Stage(Receiver()).deliveries.finish()


async def test_a_notice_is_waited_for_and_tried_once() -> None:  # U4
    stage = Stage(receiver := Receiver(503))
    outcome = await stage.deliveries.notify(NOTICE)
    assert outcome is not None
    assert not outcome.delivered
    [entry] = stage.deliveries.journal.entries
    assert (entry.kind, entry.subscription_id, entry.state) == ("queue_ready", "sub-1", "failed")
    assert stage.tries == [(0, 503, None)]
    assert len(receiver.seen) == 1


async def test_a_producer_that_hangs_up_does_not_take_its_notice_back() -> None:
    stage = Stage(receiver := Receiver())
    producer = asyncio.create_task(stage.deliveries.notify(NOTICE))
    await receiver.asked.wait()
    producer.cancel()
    await asyncio.wait({producer})
    receiver.let_go.set()
    await stage.deliveries.finish()
    assert producer.cancelled()
    assert stage.states == ["delivered"]


async def test_after_an_abort_nobody_hears_how_a_callback_ends() -> None:
    stage = Stage(receiver := Receiver())
    stage.deliveries.call_back(callback())
    await receiver.asked.wait()
    receiver.let_go.set()
    stage.deliveries.abort()
    await stage.deliveries.finish()
    assert (stage.ends, stage.tries, stage.states) == ([], [], ["pending"])


async def test_an_abort_lets_the_producer_of_a_notice_go() -> None:
    stage = Stage(receiver := Receiver())
    producer = asyncio.create_task(stage.deliveries.notify(NOTICE))
    await receiver.asked.wait()
    stage.deliveries.abort()
    assert await producer is None
    assert stage.states == ["pending"]


async def test_nothing_is_left_on_the_clock_when_all_has_ended() -> None:
    stage = Stage(Receiver(200))
    stage.deliveries.call_back(callback())
    await stage.deliveries.finish()
    assert await stage.clock.advance(stage.deliveries.finish, by=60 * SECOND) == 0  # type: ignore[arg-type]
