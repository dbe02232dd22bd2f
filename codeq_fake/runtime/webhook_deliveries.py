"""Deliveries: send the callbacks and notices that the core asks for, cancel late tries, and keep a journal of all."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, NamedTuple

from codeq_fake.clocks import END_OF_TIME, Clock, let_tasks_run
from codeq_fake.core.commands import queue_name
from codeq_fake.core.effects import CallbackDue, NoticeDue
from codeq_fake.core.times import SECOND
from codeq_fake.faults import Occasion, Plan
from codeq_fake.faults.rule import CALLBACK, NOTICE, Rule
from codeq_fake.journal import Callback, Journal, Try
from codeq_fake.payloads import FaultKind
from codeq_fake.webhooks import Composer, Hop, Outcome, Outgoing, Sender

from .sending_queue import SendingQueue

#: How long a receiver may take to answer, by the fake's clock (W3).
TIMEOUT = 15 * SECOND

#: How long advancing the clock waits for a receiver that hangs, in real seconds, before time moves past its timeout.
PATIENCE = 1.0

NO_ANSWER = f"no answer within {TIMEOUT // SECOND} s"
LOST = "lost by a fault rule"

#: How many callbacks and notices may be under way at once, unless the fake is told otherwise.
MOST_AT_ONCE = 400
#: How many of them are started in one turn of the event loop.
_STARTS = 16
#: How many of those that wait are in the journal already. A million would take as much memory as the callbacks.
MOST_SHOWN = 1000

_logger = logging.getLogger(__name__)

Due = CallbackDue | NoticeDue


class _Delivery(NamedTuple):
    """One try that is being sent, or waits for its turn. Without an `entry` it gets one when it is sent."""

    due: Due
    entry: Callback | None = None
    notified: asyncio.Future[None] | None = None
    faults: tuple[Rule, ...] = ()


class Deliveries:
    """Callbacks and notices that are being sent. `sleep` waits on the clock for a duration (ns).

    `settle` is called with the outcome of each try and returns whether it was the last one. `tried` is called with
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
        settle: Callable[[Due, Outcome], bool],
        tried: Callable[[Callback], object],
        context: Context,
        at_once: int = MOST_AT_ONCE,
    ) -> None:
        self.journal = journal
        self._clock = clock
        self._sleep = sleep
        self._sender = sender
        self._composer = composer
        self._fault_plan = fault_plan
        self._settle = settle
        self._tried = tried
        self._context = context
        self._queue: SendingQueue[_Delivery] = SendingQueue(at_once)
        self._starts_soon = False
        self._has_warned = False
        #: In the order in which they were started. The value says whether advancing the clock no longer waits for it.
        self._under_way: dict[asyncio.Task[None], bool] = {}
        #: Delivery id -> the journal entry of a callback that may be tried again, oldest first. Only what the journal
        #: still has: entries have a body each, and nothing limits how many callbacks wait for their next try.
        self.pending: OrderedDict[int, Callback] = OrderedDict()

    def send(self, due: Due) -> None:
        """Start one try of a callback (W3), or the one try of a notice (U4), as soon as it is its turn."""
        self._add(_Delivery(due))

    def notify(self, due: NoticeDue) -> asyncio.Future[None]:
        """As `send`. The future is done when the notice was sent, and cancelled if it is not."""
        notified = asyncio.get_running_loop().create_future()
        self._add(_Delivery(due, notified=notified))
        return notified

    async def finish(self) -> bool:
        """Wait for all that is being sent, except what hangs. Returns whether there was anything to wait for."""
        waiting = [sending for sending, is_hanging in self._under_way.items() if not is_hanging]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=PATIENCE)
            if late:
                await let_tasks_run()  # what came while the whole process stood still is not late
            hanging = [sending for sending in late if not sending.done()]
            self._under_way.update(dict.fromkeys(hanging, True))  # the next call does not wait for them
        elif self._queue.has_next:
            await asyncio.sleep(0)
        else:
            return False
        return True

    def abort(self) -> None:
        """Cancel all that is being sent, or waits for its turn. Its outcome is not reported."""
        waiting = self._queue.clear()
        for sending in list(self._under_way):
            sending.cancel()
        for delivery in waiting:
            if delivery.notified is not None:
                delivery.notified.cancel()

    def _add(self, delivery: _Delivery) -> None:
        """Queue a delivery, with the faults that fire on it. A fault may hold it back first."""
        if self._fault_plan.active:
            rules = [fault.rule for fault in self._fault_plan.decide(_occasion(delivery.due))]
            delivery = delivery._replace(faults=tuple(rules))
            late = sum(rule.duration for rule in rules if rule.do == "callback_late")
            if late:
                delivery = delivery._replace(entry=self._find_or_add_entry(delivery.due))
                _ = self._run(self._add_later(delivery, late), is_hanging=True)
                return
        if self._queue.waiting < MOST_SHOWN:
            delivery = delivery._replace(entry=self._find_or_add_entry(delivery.due))
        self._queue.add(delivery.due.url, delivery)
        self._start()

    async def _add_later(self, delivery: _Delivery, duration: int) -> None:
        """Queue a delivery that a fault holds back, after this duration (ns)."""
        try:
            await self._sleep(duration)
        except asyncio.CancelledError:
            if delivery.notified is not None:
                delivery.notified.cancel()
            raise
        self._queue.add(delivery.due.url, delivery)
        self._start()

    def _start(self) -> None:
        """Start what may be sent now. Many are started in several turns of the loop, since each takes some time."""
        for _ in range(_STARTS):
            next_one = self._queue.take()
            if next_one is None:
                break
            receiver, delivery = next_one
            sending = self._run(self._send(delivery), is_hanging=False)
            sending.add_done_callback(partial(self._ended, receiver, delivery))
        if self._queue.has_next:
            self._start_soon()
        elif self._queue.waiting and not self._has_warned:
            self._has_warned = True
            _logger.warning("callbacks wait, because many are under way (--max-callbacks)")

    def _start_soon(self) -> None:
        if not self._starts_soon:
            self._starts_soon = True
            asyncio.get_running_loop().call_soon(self._start_more, context=self._context)

    def _start_more(self) -> None:
        self._starts_soon = False
        self._start()

    def _run(self, coroutine: Coroutine[Any, Any, None], *, is_hanging: bool) -> asyncio.Task[None]:
        """Run a coroutine as a task that is under way. Advancing the clock does not wait for one that `is_hanging`."""
        # What is sent runs in a context of the fake, not in that of the request or delivery that ended before it.
        task = asyncio.get_running_loop().create_task(coroutine, context=self._context.copy())
        self._under_way[task] = is_hanging
        task.add_done_callback(self._under_way.pop)
        return task

    def _ended(self, receiver: str, delivery: _Delivery, sending: asyncio.Task[None]) -> None:
        """Make room for the next delivery, and tell who waits for this one (`notify`). Called when its task is done."""
        self._queue.done(receiver)
        if delivery.notified is not None and not delivery.notified.done():
            if sending.cancelled():
                delivery.notified.cancel()
            else:
                delivery.notified.set_result(None)
        if self._queue.has_next:
            self._start_soon()

    def _find_or_add_entry(self, due: Due) -> Callback:
        """The journal's entry of a callback or notice, added if there is none: all tries of a callback share one.

        If the journal has dropped it meanwhile, the other tries get a new one.
        """
        n = self.journal.count + 1
        if isinstance(due, NoticeDue):
            entry = Callback(n, "queue_ready", due.url, due.command, subscription_id=due.subscription_id)
        elif due.delivery_id in self.pending:
            return self.pending[due.delivery_id]
        else:
            entry = Callback(n, "task_result", due.url, due.command, task_id=due.task_id, first_try=due.attempt)
            self.pending[due.delivery_id] = entry
        self.journal.append(entry)
        self._forget_dropped()
        return entry

    def _forget_dropped(self) -> None:
        """Forget the entries that the journal has dropped. Their callbacks get others with their next tries."""
        dropped = self.journal.dropped()
        while self.pending and next(iter(self.pending.values())).n <= dropped:
            self.pending.popitem(last=False)

    async def _send(self, delivery: _Delivery) -> None:
        """Send a try, and tell the broker its outcome, which decides whether there is another one."""
        due = delivery.due
        entry = delivery.entry or self._find_or_add_entry(due)
        try:
            outcome = await self._send_with_faults(delivery, entry)
        except Exception as error:  # noqa: BLE001 - whatever it is, the callback has its other tries
            _report("a callback could not be sent", error)
            outcome = Outcome((Hop("POST", due.url),), f"not sendable: {error}")
            self._note_try(entry, Try(self._clock.now(), None, outcome.error))
        is_last_try = self._settle(due, outcome)
        if is_last_try:
            entry.state = _state(outcome)
            if isinstance(due, CallbackDue):
                self.pending.pop(due.delivery_id, None)

    def _composed(self, due: Due, now: int) -> Outgoing:
        """The request of a callback or notice, as composed at the time `now` (ns)."""
        if isinstance(due, CallbackDue):
            return self._composer.callback(due, now=now)
        return self._composer.notice(due, now=now)

    async def _send_with_faults(self, delivery: _Delivery, entry: Callback) -> Outcome:
        """Send one try, with the faults that came on it. If it is sent twice, the first outcome counts."""
        rules = delivery.faults
        kinds = tuple(rule.do for rule in rules)
        skew = sum(rule.duration for rule in rules if rule.do == "clock_skew")
        outgoing = self._composed(delivery.due, self._clock.now() + skew)
        if "callback_lost" in kinds:
            self._note_request(entry, outgoing)
            self._note_try(entry, Try(self._clock.now(), None, LOST, kinds))
            return Outcome((Hop(outgoing.method, outgoing.url),), LOST)
        outcome = await self._try(entry, outgoing, kinds)
        if "callback_twice" in kinds:
            await self._try(entry, outgoing, kinds)
        return outcome

    async def _try(self, entry: Callback, outgoing: Outgoing, faults: tuple[FaultKind, ...] = ()) -> Outcome:
        """Send one try, and give it up after the timeout of the fake's clock (W3)."""
        self._note_request(entry, outgoing)
        sent_at = self._clock.now()
        sending = asyncio.ensure_future(self._sender.send(outgoing))
        # In the last seconds of time, a receiver has less. At its end the clock stands still, and there is no timeout.
        until = min(sent_at + TIMEOUT, END_OF_TIME) if sent_at < END_OF_TIME else sent_at + TIMEOUT
        timer = self._clock.call_at(until, partial(self._time_out, sending, _current_task()))
        try:
            await asyncio.wait({sending})
        finally:
            timer.cancel()
            sending.cancel()
        outcome = Outcome((Hop(outgoing.method, outgoing.url),), NO_ANSWER) if sending.cancelled() else sending.result()
        self._note_try(entry, Try(sent_at, outcome.status, outcome.error, faults))
        return outcome

    def _note_request(self, entry: Callback, outgoing: Outgoing) -> None:
        """Put into the journal what is being sent."""
        before = entry.weight
        entry.headers, entry.body = outgoing.headers, outgoing.body
        self.journal.note_growth(entry, entry.weight - before)
        self._forget_dropped()

    def _note_try(self, entry: Callback, tried: Try) -> None:
        """Add a try to its entry, and tell who listens."""
        before = entry.weight
        entry.tries.append(tried)
        self.journal.note_growth(entry, entry.weight - before)
        try:
            self._tried(entry)
        except Exception as error:  # noqa: BLE001 - it is not the callback's fault
            _report("what is called after each try of a callback failed", error)

    def _time_out(self, sending: asyncio.Future[Outcome], delivery: asyncio.Task[Any]) -> None:
        """Give up on the receiver. An advance of the clock waits for what this causes."""
        sending.cancel()
        self._under_way[delivery] = False


def _report(message: str, error: Exception) -> None:
    """Give an error to the event loop's exception handler."""
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    return task


def _occasion(due: Due) -> Occasion:
    commands = frozenset({queue_name(due.command)})
    if isinstance(due, CallbackDue):
        return Occasion(frozenset({CALLBACK}), commands=commands, tasks=frozenset({due.task_id}))
    return Occasion(frozenset({NOTICE}), commands=commands)


def _state(outcome: Outcome) -> str:
    if outcome.blocked:
        return "blocked"
    return "delivered" if outcome.delivered else "failed"
