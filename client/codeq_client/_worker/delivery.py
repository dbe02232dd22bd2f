"""One delivery of a task: call its handler while the lease is renewed, then settle the task with the outcome."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio

from codeq_client._api import calls, settlement
from codeq_client._api.calls import Call, Role
from codeq_client._api.client import CodeQ
from codeq_client._api.models import Record
from codeq_client._display import excerpt
from codeq_client._task import Task
from codeq_client.errors import (
    BadRequest,
    ClientClosed,
    CodeQError,
    LeaseLost,
    NotInProgress,
    NotOwner,
    RateLimited,
    Refused,
    ServerError,
    TaskNotFound,
    Unavailable,
)

from .cancellation import Cancellable, is_interrupt, text_of
from .events import Event, HandlerStuck, LeaseEnded, Loss, Settled, TaskEnded, TaskStarted
from .handlers import Handler
from .job import TaskContext, current_task, log_fields
from .lease_renewal import HeldLease, LeaseRenewal
from .lease_timing import End, Lease, LeaseTerms
from .middleware import Next
from .outcomes import Abandon, Complete, Fail, Outcome, Retry
from .result_batches import ResultBatches

SETTLE_SECONDS = 5.0
"""How long a cancelled handler may clean up before it is cancelled again, and how long abandoning its task may take."""

#: How many characters of the reason of a NACK or a failure are sent where the whole is refused.
_LONGEST_REASON = 2000

_log = logging.getLogger("codeq_client.worker")


@dataclass(slots=True)
class DeliveryContext:
    """Collaborators shared by all deliveries of one worker run. `wrap(handler)` adds the middleware.

    From `settle_deadline` on, an unanswered end of a task is not tried again; it is set when the worker stops.
    Without `results`, each result is sent alone.
    """

    codeq: CodeQ
    renewal: LeaseRenewal
    terms: LeaseTerms
    emit: Callable[[Event], None]
    wrap: Callable[[Handler], Next]
    state: Any
    results: ResultBatches | None = None
    settle_deadline: float = math.inf


class Delivery:
    """One claimed task on its way through the worker. `sent` is when its claim was sent."""

    def __init__(self, context: DeliveryContext, handler: Handler, task: Task, *, sent: float) -> None:
        core = context.codeq.core
        self._context = context
        self._handler = handler
        self._task = task
        self._clock = core.clock
        self._started_at = core.clock.monotonic()
        self._terms = handler.terms(context.terms)
        self._lease = Lease(self._terms, sent=sent, now=self._started_at, random=core.random)
        self._code = Cancellable(core.clock, SETTLE_SECONDS, self._report_stuck)
        self._held = HeldLease(task.id, self._lease, self._cancel_handler)
        self._done = asyncio.Event()
        self._handler_called = False
        self._error: BaseException | None = None
        self.stuck_since: float | None = None
        """Since when the handler has not ended although it had to, on the clock's `monotonic`."""
        self.times_handed_back = 0
        """How often the task was delivered again, and handed back, because this handler is stuck."""

    def end(self, end: End) -> None:
        """Cancel the handler, for this reason; the first reason stays."""
        self._held.end_handler(end)

    @property
    def task(self) -> Task:
        """The delivered task."""
        return self._task

    @property
    def task_id(self) -> str:
        """The id of the delivered task."""
        return self._task.id

    @property
    def command(self) -> str:
        """The command of the delivered task."""
        return self._task.command

    def age(self) -> float:
        """Return the seconds since the task was claimed."""
        return self._clock.monotonic() - self._started_at

    def postpone(self) -> None:
        """Hold the lease until `begin`: an earlier handler of the task must end first."""
        self._lease.postpone()

    def begin(self) -> None:
        """Let the limits of the handler's time count from now on."""
        self._lease.begin(self._clock.monotonic())

    async def replace(self) -> None:
        """End because the task was delivered again: this lease was lost unnoticed. Return when the delivery ended."""
        self._lease.note_revoked()
        self.end(End.REVOKED)
        await self._done.wait()

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Renew the lease inside the `async with` block. If the worker is cancelled, give the task back."""
        token = self._context.codeq.core.tokens[Role.WORKER]
        token.hold()
        self._context.renewal.add(self._held)
        try:
            yield
        except asyncio.CancelledError:
            self._context.settle_deadline = self._clock.monotonic() + SETTLE_SECONDS
            with anyio.CancelScope(shield=True):
                await self._settle(Abandon())
            raise
        finally:
            self._context.renewal.remove(self._held)
            token.release()
            self._done.set()

    async def run(self) -> None:
        """Call the handler and settle the task."""
        await self._settle(await self.handle(self._note_start))

    def _note_start(self) -> None:
        self._handler_called = True
        self._context.emit(TaskStarted(self._task))

    async def hand_back(self) -> None:
        """Abandon the task without calling its handler."""
        await self._settle(Abandon())

    async def handle(self, on_start: Callable[[], object] | None = None) -> Complete | Outcome:
        """Call the handler, and return its outcome, or the outcome of its early end. Nothing is sent.

        `on_start` is called right before the handler, which may end before it begins.
        """
        outcome, error = await self._code.run(partial(self._call_handler, on_start))
        return outcome if error is None else self._outcome_of(_unwrapped(error))

    async def _call_handler(self, on_start: Callable[[], object] | None) -> Complete | Outcome:
        """Call the handler inside the middleware, unless its lease is over already."""
        current_task.set(self._task)
        job = self._handler.job(self._task)
        context = TaskContext(
            job,
            self._held,
            self._terms,
            clock=self._clock,
            state=self._context.state,
            renew_now=self._context.renewal.renew_now,
        )
        context.check()  # the loop may have been blocked since the claim
        if on_start is not None:
            on_start()
        return self._handler.outcome_of(await self._context.wrap(self._handler)(job, context))

    def _outcome_of(self, error: BaseException) -> Outcome:
        """Return the outcome of an error of the handler, and log one that is not foreseen."""
        self._error = error
        if isinstance(error, Outcome):
            return error
        if self._held.handler_end or (isinstance(error, LeaseLost) and error.task_id == self.task_id):
            return _outcome_of_end(self._held.handler_end)
        # A permanent error is foreseen, so it is the task's reason to fail and needs no traceback.
        outcome = self._handler.outcome_of_error(error, self._task)
        if not isinstance(outcome, Fail):
            _log.warning("the handler of task %s failed", self._task.id, exc_info=error, extra=log_fields(self._task))
        return outcome

    def _cancel_handler(self, reason: Exception) -> None:
        if self._code.cancel(reason) and self._held.handler_end:
            self._context.emit(LeaseEnded(self._task.id, self._held.handler_end))

    def _report_stuck(self) -> None:
        """Report that the handler still runs although it had to end."""
        self.stuck_since = self._clock.monotonic()
        end = self._held.handler_end or End.SHUTDOWN  # without an end, the worker itself was cancelled
        _log.error(
            "the handler of task %s still runs %g s after it had to end (%s), and keeps its slot",
            self._task.id,
            SETTLE_SECONDS,
            end.value,
            extra=log_fields(self._task),
        )
        self._context.emit(HandlerStuck(self._task, end, SETTLE_SECONDS))

    async def _settle(self, outcome: Complete | Outcome) -> None:
        """End the task at the server with `outcome`, and report how it left the worker."""
        loss: Loss | None = None
        try:
            settled, detail = await self._send_while_held(outcome)
        except LeaseLost as error:
            expired = self._lease.ended(self._clock.monotonic()) is End.EXPIRED
            settled, detail, loss = Settled.LOST, error.reason, Loss.EXPIRED if expired else Loss.REVOKED
        except (NotOwner, NotInProgress, TaskNotFound) as error:
            settled, detail, loss = Settled.LOST, str(error), Loss.REVOKED
        except (ClientClosed, Unavailable, ServerError, RateLimited) as error:
            settled, detail, loss = Settled.LOST, str(error), Loss.UNANSWERED
        except CodeQError as error:
            settled, detail, loss = Settled.LOST, str(error), Loss.REFUSED
        except Exception as error:  # noqa: BLE001 - the lease runs out, and the hooks get an event
            _log.exception("task %s could not be settled", self._task.id)
            settled, detail, loss = Settled.LOST, repr(error), Loss.DEFECT
        self._report(settled, detail, loss)

    async def _send_while_held(self, outcome: Complete | Outcome) -> tuple[Settled, str]:
        """Send the outcome if the lease is held; if the server refuses its content, send a failure in its place."""
        if not self._may_send():
            end = self._lease.ended(self._clock.monotonic()) or End.EXPIRED
            raise LeaseLost(self._task.id, end.value)
        try:
            return await self._send(outcome)
        except Refused as error:
            instead = _instead_of(outcome, error) if _is_about_content(error) else None
            if instead is None:
                raise
            return await self._send_while_held(instead)

    async def _send(self, outcome: Complete | Outcome) -> tuple[Settled, str]:
        """Send the outcome until the server confirms it; return how the task left, and why.

        No renewal may be under way meanwhile: a server that does both at once may write the task as it was before its
        end, in progress for ever.
        """
        await self._context.renewal.finish(self._held)
        codeq, core, task = self._context.codeq, self._context.codeq.core, self._task
        now = self._clock.monotonic()
        policy = settlement.RetryPolicy(
            self._may_retry,
            self._may_send,
            self._context.terms.renewal_timeout,
            send_by=now + self._lease.remaining(now),  # it is not renewed any more
        )
        match outcome:
            case Complete() | Fail():
                ended, submission = _submission(task, outcome)
                results = self._context.results
                if results is None or task.webhook or ended.artifacts:
                    await codeq.run(settlement.end(core, task, submission, policy))
                else:
                    await results.submit(task, submission, policy)
                return (Settled.FAILED, ended.error) if isinstance(ended, Fail) else (Settled.COMPLETED, "")
            case Retry(delay=delay, reason=reason):
                nack = calls.nack(task.id, delay=delay, reason=reason)
                requeued = await codeq.run(settlement.nack(core, task, nack, policy))
                return (Settled.DEAD if requeued.dead else Settled.RETRIED), reason
            case _:
                await codeq.run(settlement.abandon(core, task, calls.abandon(task.id), policy))
                return Settled.ABANDONED, self._held.handler_end.value if self._held.handler_end else ""

    def _may_send(self) -> bool:
        return not self._lease.lost(self._clock.monotonic())

    def _may_retry(self, _error: CodeQError, _failures: int) -> bool:
        return self._may_send() and self._clock.monotonic() < self._context.settle_deadline

    def _report(self, settled: Settled, detail: str, loss: Loss | None) -> None:
        """Log how the task left the worker, and tell the hooks."""
        seconds = self._clock.monotonic() - self._started_at
        wasted = seconds if loss else 0.0
        level = logging.ERROR if settled is Settled.DEAD else logging.WARNING if loss else logging.INFO
        _log.log(
            level,
            "task %s (%s) %s after %.3f s%s",
            self._task.id,
            self._task.command,
            f"{settled.value} ({loss.value})" if loss else settled.value,
            seconds,
            f": {excerpt(detail, _LONGEST_REASON)}" if detail else "",
            exc_info=self._error if settled is Settled.DEAD else None,
            extra=log_fields(self._task),
        )
        self._context.emit(TaskEnded(self._task, settled, seconds, wasted, detail, self._handler_called, loss))


def _submission(task: Task, outcome: Complete | Fail) -> tuple[Complete | Fail, Call[Record]]:
    """Return what to send, and its call: a failure, if the handler's result cannot be encoded."""
    error = (outcome.error or "failed") if isinstance(outcome, Fail) else ""
    result = None if isinstance(outcome, Fail) else outcome.result
    try:
        return outcome, calls.submit(task.id, result=result, error=error, artifacts=outcome.artifacts)
    except BaseException as refusal:  # it runs the code of the user's models
        if is_interrupt(refusal):
            raise
        failure = _refused_result(refusal)
        return failure, calls.submit(task.id, result=None, error=failure.error, artifacts=())


def _refused_result(error: BaseException) -> Fail:
    return Fail(f"the result was refused: {text_of(error)}")


def _instead_of(outcome: Complete | Outcome, error: Refused) -> Outcome | None:
    """Return what to send where the server refuses the content of an outcome, None if there is nothing smaller."""
    match outcome:
        case Complete():
            return _refused_result(error)
        case Retry(delay=delay, reason=reason) if len(reason) > 2 * _LONGEST_REASON:
            return Retry(delay, excerpt(reason, _LONGEST_REASON))
        case Fail(error=text) if len(text) > 2 * _LONGEST_REASON:
            return Fail(excerpt(text, _LONGEST_REASON))
        case _:
            return None


def _is_about_content(error: Refused) -> bool:
    """Return whether the server, or a proxy, refuses what the request contains: it would refuse it again."""
    return isinstance(error, BadRequest) or error.status in {413, 414, 415, 422, 431}


def _unwrapped(error: BaseException) -> BaseException:
    """Return the error itself, without the exception groups of one that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _outcome_of_end(end: End | None) -> Outcome:
    """Return the outcome of a task whose handler was ended early while its lease holds."""
    match end:
        case End.OVERDUE:
            return Retry(reason="the handler took too long")
        case End.STALLED:
            return Retry(reason="the handler made no progress")
        case _:
            return Abandon()
