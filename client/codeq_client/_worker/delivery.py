"""One delivery of a task: call its handler under the lease, then settle the task as the handler said."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from codeq_client._api import calls, settlement
from codeq_client._api.calls import Role
from codeq_client.errors import (
    BadRequest,
    CodeQError,
    LeaseLost,
    NotInProgress,
    NotOwner,
    RateLimited,
    ServerError,
    TaskNotFound,
    Unavailable,
)

from .cancellation import ENDINGS, Cancellable
from .events import Event, Loss, Settled, TaskEnded, TaskStarted
from .job import Job, TaskContext, current_task, log_fields
from .lease import End, Lease, LeaseTerms
from .lease_renewal import Held, Keeper
from .outcomes import Abandon, Complete, Fail, Outcome, Retry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from codeq_client._api.calls import Call
    from codeq_client._api.client import CodeQ
    from codeq_client._api.models import Record, Task

    from .handlers import Handler, Next

SETTLE_SECONDS = 5.0
"""How long a cancelled handler may clean up undisturbed, and how long the abandoning of its task may take."""

_log = logging.getLogger("codeq_client.worker")


class Deadline:
    """The moment from which an unanswered end of a task is not tried again; set when the worker stops."""

    moment: float = math.inf


@dataclass(frozen=True, slots=True)
class Bench:
    """What all deliveries of a worker work with. `around(handler)` is its call within the middleware."""

    codeq: CodeQ
    keeper: Keeper
    terms: LeaseTerms
    emit: Callable[[Event], None]
    around: Callable[[Handler], Next]
    state: Any
    deadline: Deadline


class Delivery:
    """One claimed task on its way through the worker. `sent` is when its claim was sent."""

    def __init__(self, bench: Bench, handler: Handler, task: Task, *, sent: float) -> None:
        core = bench.codeq.core
        self._bench = bench
        self._handler = handler
        self._task = task
        self._clock = core.clock
        self._began = core.clock.monotonic()
        self._lease = Lease(bench.terms, sent=sent, now=self._began, random=core.random)
        self._held = Held(task.id, self._lease, self.end)
        self._code = Cancellable(core.clock, SETTLE_SECONDS)
        self._done = asyncio.Event()
        self._end: End | None = None
        self._started = False

    def end(self, end: End) -> None:
        """Cancel the handler, for this reason; the first one stays."""
        self._end = self._end or end
        self._code.cancel(LeaseLost(self.task_id, self._end.value))

    @property
    def task_id(self) -> str:
        """The task that is delivered."""
        return self._task.id

    async def give_way(self) -> None:
        """End, because the task was delivered again: this lease was lost unnoticed. Returns when it has ended."""
        self._lease.revoked()
        self.end(End.REVOKED)
        await self._done.wait()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep the lease meanwhile. When the worker is cancelled, the task is given back."""
        token = self._bench.codeq.core.tokens[Role.WORKER]
        token.hold()
        self._bench.keeper.add(self._held)
        try:
            yield
        except asyncio.CancelledError:
            self._bench.deadline.moment = self._clock.monotonic() + SETTLE_SECONDS
            with anyio.CancelScope(shield=True):
                await self._settle(Abandon())
            raise
        finally:
            self._bench.keeper.remove(self._held)
            token.release()
            self._done.set()

    async def run(self) -> None:
        """Call the handler and settle the task."""
        self._started = True
        self._bench.emit(TaskStarted(self._task))
        await self._settle(await self.handle())

    async def hand_back(self) -> None:
        """Abandon the task unopened: it came while the worker was stopping."""
        await self._settle(Abandon())

    async def handle(self) -> Complete | Outcome:
        """Call the handler, and return what it said, or what its end says. Nothing is sent."""
        try:
            job = self._handler.job(self._task)
            return self._handler.outcome_of(await self._code.run(partial(self._called, job)))
        except ENDINGS:
            raise
        except BaseException as raised:  # noqa: BLE001  # nothing a handler does may end the worker
            return self._outcome_of(_only(raised))

    async def _called(self, job: Job[Any]) -> Any:  # noqa: ANN401  # the user's
        current_task.set(self._task)
        context = self._context(job)
        context.check()  # the loop may have been blocked since the claim
        return await self._bench.around(self._handler)(job, context)

    def _outcome_of(self, error: BaseException) -> Outcome:
        if isinstance(error, Outcome):
            return error
        if self._end is not None or (isinstance(error, LeaseLost) and error.task_id == self.task_id):
            return _outcome_of_end(self._end)
        _log.warning("the handler of task %s failed", self._task.id, exc_info=error, extra=log_fields(self._task))
        return self._handler.outcome_of_error(error, self._task)

    def _context(self, job: Job[Any]) -> TaskContext:
        bench = self._bench
        return TaskContext(
            job,
            self._held,
            bench.terms,
            clock=self._clock,
            state=bench.state,
            end=lambda: self._end,
            hurry=bench.keeper.hurry,
        )

    async def _settle(self, outcome: Complete | Outcome) -> None:
        """End the task at the server as `outcome` says, and report how it was left."""
        loss: Loss | None = None
        try:
            settled, detail = await self._send_while_held(outcome)
        except LeaseLost as error:
            expired = self._lease.ended(self._clock.monotonic()) is End.EXPIRED
            settled, detail, loss = Settled.LOST, error.reason, Loss.EXPIRED if expired else Loss.REVOKED
        except (NotOwner, NotInProgress, TaskNotFound) as error:
            settled, detail, loss = Settled.LOST, str(error), Loss.REVOKED
        except (Unavailable, ServerError, RateLimited) as error:
            settled, detail, loss = Settled.LOST, str(error), Loss.UNANSWERED
        except CodeQError as error:
            settled, detail, loss = Settled.LOST, str(error), Loss.REFUSED
        except Exception as error:  # noqa: BLE001  # the lease runs out, and the hooks are told
            _log.exception("task %s could not be settled", self._task.id)
            settled, detail, loss = Settled.LOST, repr(error), Loss.DEFECT
        self._report(settled, detail, loss)

    async def _send_while_held(self, outcome: Complete | Outcome) -> tuple[Settled, str]:
        if self._lease.lost(self._clock.monotonic()):
            end = self._lease.ended(self._clock.monotonic()) or End.EXPIRED
            raise LeaseLost(self._task.id, end.value)
        try:
            return await self._send(outcome)
        except BadRequest as error:
            if not isinstance(outcome, Complete):
                raise
            return await self._send_while_held(_refused(error))

    async def _send(self, outcome: Complete | Outcome) -> tuple[Settled, str]:
        codeq, core, task = self._bench.codeq, self._bench.codeq.core, self._task
        patience = settlement.Patience(self._go_on, self._may_send, self._bench.terms.renewal_timeout)
        match outcome:
            case Complete() | Fail():
                ended, submission = _submission(task, outcome)
                await codeq.run(settlement.end(core, task, submission, patience))
                return (Settled.FAILED, ended.error) if isinstance(ended, Fail) else (Settled.COMPLETED, "")
            case Retry(delay=delay, reason=reason):
                await self._bench.keeper.quiesce(self._held)
                nacked = calls.nack(task.id, delay=delay, reason=reason)
                requeued = await codeq.run(settlement.nack(core, task, nacked, patience))
                return (Settled.DEAD if requeued.dead else Settled.RETRIED), reason
            case _:
                await self._bench.keeper.quiesce(self._held)
                await codeq.run(settlement.abandon(core, task, calls.abandon(task.id), patience))
                return Settled.ABANDONED, self._end.value if self._end else ""

    def _may_send(self) -> bool:
        return not self._lease.lost(self._clock.monotonic())

    def _go_on(self, _error: CodeQError, _failures: int) -> bool:
        return self._may_send() and self._clock.monotonic() < self._bench.deadline.moment

    def _report(self, settled: Settled, detail: str, loss: Loss | None) -> None:
        seconds = self._clock.monotonic() - self._began
        wasted = seconds if loss else 0.0
        level = logging.WARNING if loss else logging.INFO
        _log.log(
            level,
            "task %s (%s) %s after %.3f s%s",
            self._task.id,
            self._task.command,
            f"{settled.value} ({loss.value})" if loss else settled.value,
            seconds,
            f": {detail}" if detail else "",
            extra=log_fields(self._task),
        )
        self._bench.emit(TaskEnded(self._task, settled, seconds, wasted, detail, self._started, loss))


def _submission(task: Task, outcome: Complete | Fail) -> tuple[Complete | Fail, Call[Record]]:
    """Return what is to be sent, and the call: a failure, when what the handler gave cannot travel."""
    error = (outcome.error or "failed") if isinstance(outcome, Fail) else ""
    result = None if isinstance(outcome, Fail) else outcome.result
    try:
        return outcome, calls.submit(task.id, result=result, error=error, artifacts=outcome.artifacts)
    except ENDINGS:
        raise
    except BaseException as refusal:  # noqa: BLE001  # it runs the code of the user's models
        failure = _refused(refusal)
        return failure, calls.submit(task.id, result=None, error=failure.error, artifacts=())


def _refused(error: BaseException) -> Fail:
    return Fail(f"the result was refused: {error}")


def _only(error: BaseException) -> BaseException:
    """Return the one exception in a group of one, as task groups raise it, or else the error itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _outcome_of_end(end: End | None) -> Outcome:
    """Return how a task is settled whose handler was ended before it was done, while its lease holds."""
    match end:
        case End.OVERDUE:
            return Retry(reason="the handler took too long")
        case End.STALLED:
            return Retry(reason="the handler made no progress")
        case _:
            return Abandon()
