"""Deliveries: tries of callbacks and notices on the fake's clock, and the journal of their outcomes."""

from __future__ import annotations

import asyncio
import json
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from codeq_fake.clocks import WallClock, let_tasks_run
from codeq_fake.core.effects import CallbackDue, NoticeDue
from codeq_fake.faults import Plan
from codeq_fake.journal import Callback, Journal
from codeq_fake.runtime import webhook_deliveries
from codeq_fake.runtime.waiters import Waiters
from codeq_fake.runtime.webhook_deliveries import Deliveries
from codeq_fake.webhooks import Composer, Hop, Outcome, Outgoing, Sender
from codeq_fake.webhooks.composer import sign

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.asyncio

START = 1_769_860_800_000_000_000
SECOND = 1_000_000_000
URL = "http://app.test/done"
SECRET = "between us"


class Receiver(Sender):
    """A sender that answers each try with the next status. A try without a status hangs until `go_on` is set."""

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self._statuses = iter(statuses)
        self.seen: list[Outgoing] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def send(self, outgoing: Outgoing) -> Outcome:
        self.seen.append(outgoing)
        self.asked.set()
        status = next(self._statuses, None)
        if status is None:
            await self.go_on.wait()
        return Outcome((Hop("POST", outgoing.url, status or 200),))


@dataclass
class Scene:
    """Deliveries on a manual clock, and what they report. A callback is over with the try in `last_tries`."""

    receiver: Sender
    clock: WallClock = field(default_factory=lambda: WallClock("manual", start=START))
    last_tries: tuple[int, ...] = ()
    ends: list[tuple[int, int, bool]] = field(default_factory=list)
    """Delivery (0: a notice), seconds since the start, whether it was delivered."""
    tried: list[Callback] = field(default_factory=list)
    at_once: int = 400
    hook: Callable[[Callback], object] = lambda _: None

    def __post_init__(self) -> None:
        composer = Composer(zone=ZoneInfo("UTC"), secret=SECRET)
        self.deliveries = Deliveries(
            clock=self.clock,
            sleep=Waiters(self.clock).sleep,
            sender=self.receiver,
            composer=composer,
            settle=self._answered,
            fault_plan=Plan(),
            journal=Journal(10),
            tried=self._note,
            context=copy_context(),
            at_once=self.at_once,
        )

    def _answered(self, due: CallbackDue | NoticeDue, outcome: Outcome) -> bool:
        number, attempt = (due.delivery_id, due.attempt) if isinstance(due, CallbackDue) else (0, 1)
        self.ends.append((number, (self.clock.now() - START) // SECOND, outcome.delivered))
        return isinstance(due, NoticeDue) or attempt in self.last_tries

    def _note(self, entry: Callback) -> None:
        self.tried.append(entry)
        self.hook(entry)

    async def _wait_until_quiet(self) -> None:
        while await self.deliveries.finish():
            pass

    async def advance(self, seconds: int) -> None:
        await self.clock.advance(self._wait_until_quiet, by=seconds * SECOND)

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
    monkeypatch.setattr(webhook_deliveries, "PATIENCE", 0.05)


async def test_a_try_is_signed_at_the_fakes_time_and_its_outcome_is_reported() -> None:
    scene = Scene(receiver := Receiver(200))
    scene.deliveries.send(callback())
    assert await scene.deliveries.finish()
    [sent] = receiver.seen
    headers = dict(sent.headers)
    assert (sent.method, sent.url, json.loads(sent.body)["taskId"]) == ("POST", URL, "task-1")
    assert headers["X-CodeQ-Timestamp"] == str(START // SECOND)
    assert headers["X-CodeQ-Signature"] == sign(SECRET, START // SECOND, sent.body)
    assert scene.ends == [(1, 0, True)]


async def test_the_journal_has_one_entry_a_callback_with_each_of_its_tries() -> None:
    scene = Scene(Receiver(503, 204, 204))
    scene.deliveries.send(callback())
    await scene.advance(2)
    scene.deliveries.send(callback(attempt=2))
    scene.deliveries.send(callback(2))
    await scene.deliveries.finish()
    first, second = scene.deliveries.journal.entries
    assert (first.n, first.kind, first.url, first.task_id) == (1, "task_result", URL, "task-1")
    assert (second.n, second.task_id) == (2, "task-2")
    assert scene.tries == [(0, 503, None), (2, 204, None)]


async def test_each_try_has_its_own_timestamp() -> None:
    scene = Scene(receiver := Receiver(503, 204))
    scene.deliveries.send(callback())
    await scene.advance(2)
    scene.deliveries.send(callback(attempt=2))
    await scene.deliveries.finish()
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
async def test_a_callback_is_pending_until_its_last_try_is_over(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome, state: str
) -> None:
    receiver = Receiver(500)
    scene = Scene(receiver, last_tries=(2,))
    scene.deliveries.send(callback())
    await scene.deliveries.finish()
    assert (scene.states, list(scene.deliveries.pending)) == (["pending"], [1])

    async def last(_: Outgoing) -> Outcome:
        return outcome

    monkeypatch.setattr(receiver, "send", last)
    scene.deliveries.send(callback(attempt=2))
    await scene.deliveries.finish()
    assert (scene.states, list(scene.deliveries.pending)) == ([state], [])


async def test_the_next_callback_of_a_task_has_its_own_entry() -> None:
    scene = Scene(Receiver(200, 200), last_tries=(1,))
    for _ in range(2):
        scene.deliveries.send(callback())
        await scene.deliveries.finish()
    assert scene.states == ["delivered", "delivered"]


async def test_a_hanging_receiver_is_waited_for_once_and_times_out_after_15_seconds() -> None:  # W3
    scene = Scene(Receiver())
    scene.deliveries.send(callback())
    assert await scene.deliveries.finish()
    assert not await scene.deliveries.finish()
    await scene.advance(14)
    assert (scene.ends, scene.tries) == ([], [])
    await scene.advance(60)
    assert scene.ends == [(1, 15, False)]
    assert scene.tries == [(0, None, "no answer within 15 s")]


async def test_a_late_answer_within_15_seconds_counts() -> None:
    scene = Scene(receiver := Receiver())
    scene.deliveries.send(callback())
    await scene.advance(14)
    receiver.go_on.set()
    await let_tasks_run()
    await scene.advance(60)
    assert scene.ends == [(1, 14, True)]
    assert scene.tries == [(0, 200, None)]


async def test_a_hanging_receiver_does_not_hide_the_others() -> None:
    scene = Scene(Receiver())
    scene.deliveries.send(callback())
    await scene.deliveries.finish()
    scene.receiver.go_on.set()  # type: ignore[attr-defined]
    scene.deliveries.send(callback(2))
    assert await scene.deliveries.finish()
    assert sorted(scene.ends) == [(1, 0, True), (2, 0, True)]


async def test_there_is_nothing_to_wait_for_when_nothing_is_sent() -> None:
    assert not await Scene(Receiver()).deliveries.finish()


async def test_a_notice_is_over_after_its_one_try() -> None:  # U4
    scene = Scene(receiver := Receiver(503))
    await scene.deliveries.notify(NOTICE)
    [entry] = scene.deliveries.journal.entries
    assert (entry.kind, entry.subscription_id, entry.state) == ("queue_ready", "sub-1", "failed")
    assert (scene.tries, scene.ends) == ([(0, 503, None)], [(0, 0, False)])
    assert len(receiver.seen) == 1


async def test_the_outcome_of_an_aborted_callback_is_not_reported() -> None:
    scene = Scene(receiver := Receiver())
    scene.deliveries.send(callback())
    await receiver.asked.wait()
    receiver.go_on.set()
    scene.deliveries.abort()
    await scene.deliveries.finish()
    assert (scene.ends, scene.tries, scene.states) == ([], [], ["pending"])


async def test_an_abort_cancels_in_the_order_of_the_starts() -> None:
    over: list[str] = []

    class Hanging(Sender):
        async def send(self, outgoing: Outgoing) -> Outcome:
            try:
                await asyncio.Event().wait()
                return Outcome(())
            finally:
                over.append(json.loads(outgoing.body)["taskId"])

    scene = Scene(Hanging())
    for number in range(1, 6):
        scene.deliveries.send(callback(number))
    await let_tasks_run()
    scene.deliveries.abort()
    await let_tasks_run()
    assert over == [f"task-{number}" for number in range(1, 6)]


async def test_no_timer_is_left_after_the_last_delivery() -> None:
    scene = Scene(Receiver(200))
    scene.deliveries.send(callback())
    await scene.deliveries.finish()
    assert await scene.clock.advance(scene.deliveries.finish, by=60 * SECOND) == 0  # type: ignore[arg-type]


# Many at once.


async def test_only_so_many_are_under_way_and_all_get_their_turn() -> None:
    scene = Scene(receiver := Receiver(*[204] * 100), at_once=8)
    for number in range(1, 101):
        scene.deliveries.send(callback(number))
    assert len(receiver.seen) <= 8
    while await scene.deliveries.finish():
        pass
    assert [number for number, _, _ in scene.ends] == list(range(1, 101))


async def test_a_receiver_does_not_hang_because_the_fake_itself_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_deliveries, "PATIENCE", 0)  # as if it were over when the loop comes back
    scene = Scene(Receiver(204))
    scene.deliveries.send(callback())
    assert await scene.deliveries.finish()
    assert scene.ends == [(1, 0, True)]


async def test_a_receiver_that_never_answers_does_not_stop_the_others() -> None:
    scene = Scene(receiver := Receiver(), at_once=8)
    for number in range(1, 101):
        scene.deliveries.send(callback(number))
    await let_tasks_run()
    hanging = len(receiver.seen)
    receiver.go_on.set()
    scene.deliveries.send(replace(callback(200), url="http://other.test/done"))
    await let_tasks_run()
    assert hanging == 2
    assert 200 in [number for number, _, _ in scene.ends][:3]


async def test_what_waits_behind_a_receiver_that_never_answers_is_tried_when_the_others_have_timed_out() -> None:
    scene = Scene(Receiver(), at_once=8)
    for number in range(1, 6):
        scene.deliveries.send(callback(number))
    await scene.advance(60)
    assert scene.ends == [(1, 15, False), (2, 15, False), (3, 30, False), (4, 30, False), (5, 45, False)]


async def test_an_abort_drops_what_waits_and_a_notice_that_waits_is_cancelled() -> None:
    scene = Scene(receiver := Receiver(), at_once=1)
    scene.deliveries.send(callback())
    notified = scene.deliveries.notify(NOTICE)
    await let_tasks_run()
    scene.deliveries.abort()
    await let_tasks_run()
    assert (len(receiver.seen), scene.ends, notified.cancelled()) == (1, [], True)


# What goes wrong here, and not at the receiver.


async def test_a_hook_that_fails_does_not_end_the_tries_of_a_callback() -> None:
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    def fail(_: Callback) -> None:
        raise BrokenPipeError("the log is closed")

    scene = Scene(Receiver(503, 503), hook=fail)
    scene.deliveries.send(callback())
    await scene.deliveries.finish()
    scene.deliveries.send(callback(attempt=2))
    await scene.deliveries.finish()
    assert scene.ends == [(1, 0, False), (1, 0, False)]
    assert [str(error["exception"]) for error in errors] == ["the log is closed"] * 2


async def test_a_callback_that_cannot_be_sent_has_failed() -> None:
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    class Broken(Sender):
        async def send(self, outgoing: Outgoing) -> Outcome:
            raise RuntimeError(f"no way to {outgoing.url}")

    scene = Scene(Broken())
    scene.deliveries.send(callback())
    await scene.deliveries.finish()
    assert (scene.ends, scene.tries) == ([(1, 0, False)], [(0, None, f"not sendable: no way to {URL}")])
    assert len(errors) == 1
