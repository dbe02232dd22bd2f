"""Deliveries: send the callbacks and notices that the core asks for, cancel late tries, and keep a journal of all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from codeq_fake.clocks import Clock
from codeq_fake.core.commands import queue_name
from codeq_fake.core.effects import CallbackDue, NoticeDue
from codeq_fake.core.times import SECOND
from codeq_fake.faults import Occasion, Plan
from codeq_fake.faults.rule import CALLBACK, NOTICE
from codeq_fake.journal import Callback, Journal, Try
from codeq_fake.payloads import FaultKind
from codeq_fake.webhooks import Composer, Hop, Outcome, Outgoing, Sender

#: How long a receiver may take to answer, by the fake's clock (W3).
TIMEOUT = 15 * SECOND

#: How long advancing the clock waits for a receiver that hangs, in real seconds, before time moves past its timeout.
PATIENCE = 1.0

NO_ANSWER = f"no answer within {TIMEOUT // SECOND} s"
LOST = "lost by a fault rule"

Due = CallbackDue | NoticeDue


class Deliveries:
    """Callbacks and notices that are being sent. `sleep` waits on the clock for a duration (ns).

    `answered` is called with the outcome of each try and returns whether it was the last one. `tried` is called with
    the journal entry after each try.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        sleep: Callable[[int], Awaitable[None]],
        sender: Sender,
        composer: Composer,
        fault_plan: Plan,
        journal: Journal[Callback],
        answered: Callable[[Due, Outcome], bool],
        tried: Callable[[Callback], object],
    ) -> None:
        self.journal = journal
        self._clock = clock
        self._sleep = sleep
        self._sender = sender
        self._composer = composer
        self._fault_plan = fault_plan
        self._answered = answered
        self._tried = tried
        #: In the order in which they were started. The value says whether advancing the clock no longer waits for it.
        self._under_way: dict[asyncio.Task[None], bool] = {}
        #: Delivery id -> the journal entry of a callback that may be tried again.
        self.pending: dict[int, Callback] = {}

    def send(self, due: Due) -> asyncio.Task[None]:
        """Start one try of a callback (W3), or the one try of a notice (U4). Returns the task that sends it."""
        sending = asyncio.get_running_loop().create_task(self._send(due, self._entry(due)))
        self._under_way[sending] = False
        sending.add_done_callback(self._under_way.pop)
        return sending

    async def finish(self) -> bool:
        """Wait for all that is being sent, except what hangs. Returns whether there was anything to wait for."""
        waiting = [sending for sending, is_hanging in self._under_way.items() if not is_hanging]
        if not waiting:
            return False
        _, late = await asyncio.wait(waiting, timeout=PATIENCE)
        self._under_way.update(dict.fromkeys(late, True))
        return True

    def abort(self) -> None:
        """Cancel all that is being sent. Its outcome is not reported."""
        for sending in list(self._under_way):
            sending.cancel()

    def _entry(self, due: Due) -> Callback:
        n = self.journal.count + 1
        if isinstance(due, NoticeDue):
            subscription = due.subscription_id
            return self.journal.append(Callback(n, "queue_ready", due.url, due.command, subscription_id=subscription))
        if due.delivery_id not in self.pending:
            entry = self.journal.append(Callback(n, "task_result", due.url, due.command, task_id=due.task_id))
            self.pending[due.delivery_id] = entry
        return self.pending[due.delivery_id]

    async def _send(self, due: Due, entry: Callback) -> None:
        if self._fault_plan.active:
            outcome = await self._send_faultily(due, entry)
        else:
            outcome = await self._try(entry, self._composed(due, self._clock.now()))
        if self._answered(due, outcome):
            entry.state = _state(outcome)
            if isinstance(due, CallbackDue):
                self.pending.pop(due.delivery_id, None)

    def _composed(self, due: Due, now: int) -> Outgoing:
        if isinstance(due, CallbackDue):
            return self._composer.callback(due, now=now)
        return self._composer.notice(due, now=now)

    async def _send_faultily(self, due: Due, entry: Callback) -> Outcome:
        """Send one try with the faults that fire on it."""
        rules = [fault.rule for fault in self._fault_plan.decide(_occasion(entry))]
        kinds = tuple(rule.do for rule in rules)
        for rule in rules:
            if rule.do == "callback_late":
                self._under_way[_current_task()] = True
                await self._sleep(rule.duration)
                self._under_way[_current_task()] = False
        skew = sum(rule.duration for rule in rules if rule.do == "clock_skew")
        outgoing = self._composed(due, self._clock.now() + skew)
        if "callback_lost" in kinds:
            self._enter(entry, outgoing)
            self._note(entry, Try(self._clock.now(), None, LOST, kinds))
            return Outcome((Hop(outgoing.method, outgoing.url),), LOST)
        outcome = await self._try(entry, outgoing, kinds)
        if "callback_twice" in kinds:
            await self._try(entry, outgoing, kinds)
        return outcome

    async def _try(self, entry: Callback, outgoing: Outgoing, faults: tuple[FaultKind, ...] = ()) -> Outcome:
        self._enter(entry, outgoing)
        sent_at = self._clock.now()
        sending = asyncio.ensure_future(self._sender.send(outgoing))
        timer = self._clock.call_at(sent_at + TIMEOUT, partial(self._time_out, sending, _current_task()))
        try:
            await asyncio.wait({sending})
        finally:
            timer.cancel()
            sending.cancel()
        outcome = Outcome((Hop(outgoing.method, outgoing.url),), NO_ANSWER) if sending.cancelled() else sending.result()
        self._note(entry, Try(sent_at, outcome.status, outcome.error, faults))
        return outcome

    def _enter(self, entry: Callback, outgoing: Outgoing) -> None:
        """Put into the journal what is being sent."""
        before = entry.weight
        entry.headers, entry.body = outgoing.headers, outgoing.body
        self.journal.grown(entry, entry.weight - before)

    def _note(self, entry: Callback, tried: Try) -> None:
        before = entry.weight
        entry.tries.append(tried)
        self.journal.grown(entry, entry.weight - before)
        self._tried(entry)

    def _time_out(self, sending: asyncio.Future[Outcome], delivery: asyncio.Task[Any]) -> None:
        """Give the receiver up. Advancing the clock waits for what follows from that."""
        sending.cancel()
        self._under_way[delivery] = False


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    return task


def _occasion(entry: Callback) -> Occasion:
    name = CALLBACK if entry.kind == "task_result" else NOTICE
    tasks = frozenset({entry.task_id} - {""})
    return Occasion(frozenset({name}), commands=frozenset({queue_name(entry.command)}), tasks=tasks)


def _state(outcome: Outcome) -> str:
    if outcome.blocked:
        return "blocked"
    return "delivered" if outcome.delivered else "failed"
