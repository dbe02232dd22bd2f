"""One delivery of a task: call its handler under the lease, then settle the task as the handler said."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from codeq_client import _calls, _settle
from codeq_client._calls import Role
from codeq_client._events import Event, Settled, TaskEnded, TaskStarted
from codeq_client._job import Job, TaskContext, current_task, log_fields
from codeq_client._keeper import Held, Keeper
from codeq_client._lease import End, Lease, LeaseTerms
from codeq_client._outcomes import Abandon, Complete, Fail, Outcome, Retry
from codeq_client.errors import BadRequest, CodeQError, EncodeError, LeaseLost, NotInProgress, NotOwner

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_client._client import CodeQ
    from codeq_client._handlers import Handler, Next
    from codeq_client._models import Task

SETTLE_SECONDS = 5.0
"""How long the abandoning of what was cancelled may take in all."""

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
        self._scope = anyio.CancelScope()
        self._done = anyio.Event()
        self._end: End | None = None

    def end(self, end: End) -> None:
        """Cancel the handler, for this reason; the first one stays."""
        self._end = self._end or end
        self._scope.cancel()

    @property
    def task_id(self) -> str:
        """The task that is delivered."""
        return self._task.id

    async def give_way(self) -> None:
        """End, because the task was delivered again: this lease was lost unnoticed. Returns when it has ended."""
        self._lease.revoked()
        self.end(End.REVOKED)
        await self._done.wait()

    async def run(self) -> None:
        """Call the handler and settle the task."""
        try:
            await self._run()
        finally:
            self._done.set()

    async def _run(self) -> None:
        token = self._bench.codeq.core.tokens[Role.WORKER]
        token.hold()
        self._bench.keeper.add(self._held)
        self._bench.emit(TaskStarted(self._task))
        try:
            settled, detail = await self._settle(await self.handle())
        except anyio.get_cancelled_exc_class():
            self._bench.deadline.moment = self._clock.monotonic() + SETTLE_SECONDS
            with anyio.CancelScope(shield=True):
                settled, detail = await self._settle(Abandon())
            self._report(settled, detail)
            raise
        finally:
            self._bench.keeper.remove(self._held)
            token.release()
        self._report(settled, detail)

    async def hand_back(self) -> None:
        """Abandon the task unopened: it came while the worker was stopping."""
        self._done.set()
        settled, detail = await self._settle(Abandon())
        self._report(settled, detail, started=False)

    async def handle(self) -> Complete | Outcome:
        """Call the handler, and return what it said, or what its end says. Nothing is sent."""
        said: Complete | Outcome | None = None
        raised: BaseException | None = None
        current_task.set(self._task)
        with self._scope:
            try:
                job = self._handler.job(self._task)
                said = self._handler.outcome_of(await self._bench.around(self._handler)(job, self._context(job)))
            except Outcome as outcome:
                said = outcome
            except (Exception, SystemExit) as error:  # noqa: BLE001  # nothing a handler does may end the worker
                raised = error
        if said is not None:
            return said
        if self._end is not None or isinstance(raised, LeaseLost) or raised is None:
            return _outcome_of_end(self._end)
        _log.warning("the handler of task %s failed", self._task.id, exc_info=raised, extra=log_fields(self._task))
        return self._handler.outcome_of_error(raised, self._task)

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

    async def _settle(self, outcome: Complete | Outcome) -> tuple[Settled, str]:
        if self._lease.lost(self._clock.monotonic()):
            return Settled.LOST, (self._lease.ended(self._clock.monotonic()) or End.EXPIRED).value
        try:
            return await self._send(outcome)
        except (LeaseLost, NotOwner, NotInProgress) as error:
            return Settled.LOST, str(error)
        except (BadRequest, EncodeError) as error:
            if isinstance(outcome, Complete):
                return await self._settle(Fail(f"the result was refused: {error}"))
            return Settled.LOST, str(error)
        except CodeQError as error:
            return Settled.LOST, f"it is not known whether the server took it: {error}"

    async def _send(self, outcome: Complete | Outcome) -> tuple[Settled, str]:
        codeq, core, task = self._bench.codeq, self._bench.codeq.core, self._task
        patience = _settle.Patience(self._go_on, self._may_send, self._bench.terms.renewal_timeout)
        match outcome:
            case Complete(result, artifacts):
                done = _calls.submit(task.id, result=result, error="", artifacts=artifacts)
                await codeq.run(_settle.end(core, task, done, patience))
                return Settled.COMPLETED, ""
            case Fail(error=error, artifacts=artifacts):
                failed = _calls.submit(task.id, result=None, error=error or "failed", artifacts=artifacts)
                await codeq.run(_settle.end(core, task, failed, patience))
                return Settled.FAILED, error
            case Retry(delay=delay, reason=reason):
                await self._bench.keeper.quiesce(self._held)
                nacked = _calls.nack(task.id, delay=delay, reason=reason)
                requeued = await codeq.run(_settle.nack(core, task, nacked, patience))
                return (Settled.DEAD if requeued.dead else Settled.RETRIED), reason
            case _:
                await self._bench.keeper.quiesce(self._held)
                await codeq.run(_settle.abandon(core, task, _calls.abandon(task.id), patience))
                return Settled.ABANDONED, self._end.value if self._end else ""

    def _may_send(self) -> bool:
        return not self._lease.lost(self._clock.monotonic())

    def _go_on(self, _error: CodeQError, _failures: int) -> bool:
        return self._may_send() and self._clock.monotonic() < self._bench.deadline.moment

    def _report(self, settled: Settled, detail: str, *, started: bool = True) -> None:
        seconds = self._clock.monotonic() - self._began
        wasted = seconds if settled is Settled.LOST else 0.0
        level = logging.WARNING if settled is Settled.LOST else logging.INFO
        _log.log(
            level,
            "task %s (%s) %s after %.3f s%s",
            self._task.id,
            self._task.command,
            settled.value,
            seconds,
            f": {detail}" if detail else "",
            extra=log_fields(self._task),
        )
        self._bench.emit(TaskEnded(self._task, settled, seconds, wasted, detail, started))


def _outcome_of_end(end: End | None) -> Outcome:
    """Return how a task is settled whose handler was ended before it was done, while its lease holds."""
    match end:
        case End.OVERDUE:
            return Retry(reason="the handler took too long")
        case End.STALLED:
            return Retry(reason="the handler made no progress")
        case _:
            return Abandon()
