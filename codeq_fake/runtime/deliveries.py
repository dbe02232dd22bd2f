"""Deliveries: sends the callbacks and notices that the core asks for, and keeps the journal of what came of them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from codeq_fake.core.commands import queue_name
from codeq_fake.core.times import SECOND
from codeq_fake.faults import Occasion
from codeq_fake.faults.rule import CALLBACK, NOTICE
from codeq_fake.journal import Callback, Journal, Try
from codeq_fake.webhooks import Hop, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from codeq_fake.clocks.clock import Clock
    from codeq_fake.core.effects import CallbackDue, NoticeDue
    from codeq_fake.faults import Plan
    from codeq_fake.webhooks import Composer, Outgoing, Sender

    T = TypeVar("T")
    #: Makes a message as it is to be sent at an instant (ns).
    Compose = Callable[[int], Outgoing]


#: How long a receiver may take to answer, by the fake's clock (W3).
TIMEOUT = 15 * SECOND

#: How long advancing the clock waits for a receiver that hangs, in real seconds, before time moves on past its timeout.
PATIENCE = 1.0

NO_ANSWER = "no answer within 15 s"
LOST = "lost by a fault rule"


class Deliveries:
    """Callbacks and notices under way.

    ``answered`` hears how each try of a callback ended, ``tried`` that an entry of the journal has one try more.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        sender: Sender,
        composer: Composer,
        answered: Callable[[CallbackDue, Outcome], None],
        faults: Plan,
        journal_size: int,
        tried: Callable[[Callback], object],
    ) -> None:
        self.journal: Journal[Callback] = Journal(journal_size)
        self._clock = clock
        self._sender = sender
        self._composer = composer
        self._answered = answered
        self._tried = tried
        self._faults = faults
        self._under_way: set[asyncio.Task[Any]] = set()
        self._hanging: set[asyncio.Task[Any] | None] = set()
        #: Delivery id -> the journal's entry of a callback that is not over yet.
        self.pending: dict[int, Callback] = {}

    def call_back(self, due: CallbackDue) -> None:
        """Send one try of a callback, without waiting for its end (W3)."""
        entry = self.pending.get(due.delivery_id)
        if entry is None:
            entry = self.pending[due.delivery_id] = self.journal.append(
                lambda n: Callback(n, "task_result", due.url, due.command, task_id=due.task_id)
            )
        _ = self._start(self._try(entry, due))

    def over(self, due: CallbackDue, outcome: Outcome) -> None:
        """The callback's last try has ended."""
        entry = self.pending.pop(due.delivery_id, None)
        if entry is not None:
            entry.state = _state(outcome)

    async def notify(self, due: NoticeDue) -> Outcome | None:
        """Send a queue-ready notice and wait for its end: there is one try (U4). None when it was aborted."""
        entry = self.journal.append(
            lambda n: Callback(n, "queue_ready", due.url, due.command, subscription_id=due.subscription_id)
        )
        sending = self._start(self._try_once(entry, due))
        # Not awaited itself: a producer that hangs up does not take its task's notice back.
        await asyncio.wait({sending})
        return None if sending.cancelled() else sending.result()

    async def finish(self) -> bool:
        """Wait until nothing but what hangs is under way; says whether there was anything to wait for."""
        waiting = self._under_way - self._hanging
        if not waiting:
            return False
        _, late = await asyncio.wait(waiting, timeout=PATIENCE)
        self._hanging |= late
        return True

    def abort(self) -> None:
        """Drop everything that is under way: nobody hears how it ends."""
        for task in self._under_way:
            task.cancel()

    def _start(self, sending: Coroutine[None, None, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(sending)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        task.add_done_callback(self._hanging.discard)
        return task

    async def _try(self, entry: Callback, due: CallbackDue) -> None:
        outcome = await self._send(entry, lambda now: self._composer.callback(due, now=now))
        self._answered(due, outcome)

    async def _try_once(self, entry: Callback, due: NoticeDue) -> Outcome:
        outcome = await self._send(entry, lambda now: self._composer.notice(due, now=now))
        entry.state = _state(outcome)
        return outcome

    async def _send(self, entry: Callback, compose: Compose) -> Outcome:
        if self._faults.active:
            return await self._send_faultily(entry, compose)
        return await self._send_now(entry, compose(self._clock.now()))

    async def _send_faultily(self, entry: Callback, compose: Compose) -> Outcome:
        """Send one try, but for what is to go wrong with it."""
        rules = [fault.rule for fault in self._faults.decide(_occasion(entry))]
        kinds = tuple(rule.do for rule in rules)
        for rule in rules:
            if rule.do == "callback_late":
                await self._wait(rule.duration)
        skew = sum(rule.duration for rule in rules if rule.do == "clock_skew")
        outgoing = compose(self._clock.now() + skew)
        if "callback_lost" in kinds:
            entry.headers, entry.body = outgoing.headers, outgoing.body
            self._note(entry, Try(self._clock.now(), None, LOST, kinds))
            return Outcome((Hop(outgoing.method, outgoing.url),), LOST)
        outcome = await self._send_now(entry, outgoing, kinds)
        if "callback_twice" in kinds:
            await self._send_now(entry, outgoing, kinds)
        return outcome

    async def _wait(self, duration: int) -> None:
        """Wait so long (ns). Whoever advances the clock does not wait for this."""
        waited = asyncio.get_running_loop().create_future()
        task = asyncio.current_task()

        def go_on() -> None:
            self._hanging -= {task}
            waited.set_result(None)

        timer = self._clock.call_at(self._clock.now() + duration, go_on)
        self._hanging |= {task}
        try:
            await waited
        finally:
            timer.cancel()

    async def _send_now(self, entry: Callback, outgoing: Outgoing, faults: tuple[str, ...] = ()) -> Outcome:
        entry.headers, entry.body = outgoing.headers, outgoing.body
        sent_at = self._clock.now()
        sending = asyncio.ensure_future(self._sender.send(outgoing))
        timer = self._clock.call_at(sent_at + TIMEOUT, partial(self._time_out, sending, asyncio.current_task()))
        try:
            await asyncio.wait({sending})
        finally:
            timer.cancel()
            sending.cancel()
        outcome = Outcome((Hop(outgoing.method, outgoing.url),), NO_ANSWER) if sending.cancelled() else sending.result()
        self._note(entry, Try(sent_at, outcome.status, outcome.error, faults))
        return outcome

    def _note(self, entry: Callback, tried: Try) -> None:
        entry.tries.append(tried)
        self._tried(entry)

    def _time_out(self, sending: asyncio.Future[Outcome], task: asyncio.Task[Any] | None) -> None:
        """The receiver took too long; what comes of that is waited for, unlike the receiver."""
        sending.cancel()
        self._hanging -= {task}


def _occasion(entry: Callback) -> Occasion:
    name = CALLBACK if entry.kind == "task_result" else NOTICE
    tasks = frozenset({entry.task_id} - {""})
    return Occasion(frozenset({name}), commands=frozenset({queue_name(entry.command)}), tasks=tasks)


def _state(outcome: Outcome) -> str:
    if outcome.blocked:
        return "blocked"
    return "delivered" if outcome.delivered else "failed"
