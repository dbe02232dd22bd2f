"""The way of a request while there are fault rules: the plain one, but for what they let go wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from codeq_fake.clause_coverage.coverage import FAULT
from codeq_fake.core import races
from codeq_fake.http import replies
from codeq_fake.http.endpoint import Endpoint, hang_up, note
from codeq_fake.http.replies import Reply
from codeq_fake.http.request import RateLimited, Rejected, Wait

from .broken_replies import Ending
from .matching import NOTHING_KNOWN, claimed_commands, occasion_of
from .task_effects import MEDDLING, meddle

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from codeq_fake.faults import Fault, Rule
    from codeq_fake.http.operations import Operation
    from codeq_fake.http.request import Call
    from codeq_fake.runtime.fake_server import Runtime

_NO_REPLY = Reply(0)
_CLAIMS = ("claim", "claim_batch")
_WAITS = ("delay", "hang")
_UNAVAILABLE = 503
_TOO_MANY = 429
_BODYLESS = (204, 304)


class Injected(Rejected):
    """A rule does not let the request be carried out; ``reply`` is the answer."""


class Faulty:
    """One operation as an ASGI application."""

    def __init__(self, runtime: Runtime, operation: Operation) -> None:
        self._runtime = runtime
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or do not."""
        ending = Ending(scope, receive, send)
        await _Once(self._runtime, self._operation, ending)(scope, receive, ending.send)


class _Once(Endpoint):
    """One request, with the faults that come on it."""

    def __init__(self, runtime: Runtime, operation: Operation, ending: Ending) -> None:
        super().__init__(runtime, operation)
        self._ending = ending
        self._call: Call | None = None
        self._occasion = NOTHING_KNOWN
        #: What was decided, and has neither happened yet nor turned out to be impossible.
        self._due: list[Fault] = []
        #: Whether a task is hidden from this claim (Z4).
        self._is_hiding = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or do not."""
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            # In process, a client that hangs up takes its request with it.
            if self._call is not None and self._call.faults:
                note(self._runtime, scope, self._call, _NO_REPLY)
            raise

    async def _answer(self, call: Call, receive: Receive) -> Reply:
        self._call = call
        await self._let_in(call, receive)
        self._occasion = occasion_of(self._operation, call)
        self._due = self._runtime.fault_plan.decide(self._occasion)
        try:
            # Who waits comes first: what another fault does to a task is not to be undone in the meantime.
            for fault in sorted(self._due, key=lambda fault: fault.rule.do not in _WAITS):
                await self._before(fault, call, receive)
            answer = await self._carry_out(call, receive)
            for fault in list(self._due):
                self._after(fault, call, answer)
        finally:
            for fault in list(self._due):
                self._give_up(fault, call)
        return answer

    async def _before(self, fault: Fault, call: Call, receive: Receive) -> None:
        """Let happen what comes before the request is carried out. Raises Injected when it shall not be."""
        rule, happened = fault.rule, True
        match rule.do:
            case "delay" | "hang":
                await self._hold(fault, call, receive)
                return
            case "refuse":
                self._settle(fault, call)
                raise Injected(_refusal(rule, self._operation))
            case "reset":
                self._settle(fault, call)
                self._ending.end = "reset"
                raise Injected(_NO_REPLY)
            case "drop_reply":
                self._ending.end = "drop_reply"
            case "garble":
                self._ending.end = rule.how or "cut"
            case "clock_skew":
                skewed = partial(_skewed, self._operation.handler, rule.duration)
                self._operation = replace(self._operation, handler=skewed)
            case "false_empty":
                commands = claimed_commands(self._operation, call)
                self._is_hiding = races.false_empty(call.broker, commands, tenant=call.caller.tenant, now=call.now)
                if self._is_hiding:
                    return  # Whether the claim looks at all is not known yet: it may be refused.
                happened = False
            case kind if self._comes_after(kind):
                return
            case kind:
                happened = meddle(kind, call.broker, self._occasion.tasks, now=call.now)
        self._settle(fault, call, happened=happened)

    def _comes_after(self, kind: str) -> bool:
        """Whether it is done to the task that the request is about to claim or to end."""
        return kind == "redeliver_finished" or (kind in MEDDLING and self._operation.name in _CLAIMS)

    def _after(self, fault: Fault, call: Call, answer: Reply) -> None:
        """Let happen what is done to the tasks that the request has claimed or ended."""
        if fault.rule.do == "false_empty":
            self._settle(fault, call)
            return
        claims = self._operation.name in _CLAIMS
        tasks = [task.id for task in answer.tasks] if claims else self._occasion.tasks
        happened = meddle(fault.rule.do, call.broker, tasks, now=self._runtime.clock.now())
        self._settle(fault, call, happened=happened)

    async def _hold(self, fault: Fault, call: Call, receive: Receive) -> None:
        self._settle(fault, call)
        until = call.now + fault.rule.duration if fault.rule.do == "delay" else None
        is_there = await self._runtime.waiters.hold(fault.number, until=until, gone=partial(hang_up, receive))
        if not is_there:
            self._ending.end = "gone"
            raise Injected(_NO_REPLY)
        self._go_on(call)

    def _give_up(self, fault: Fault, call: Call) -> None:
        """The request has been refused, or its client is gone: what was to happen on the way has not."""
        happened = False
        if fault.rule.do == "false_empty" and self._is_hiding:
            commands = claimed_commands(self._operation, call)
            happened = not races.end_false_empty(call.broker, commands, tenant=call.caller.tenant)
        self._settle(fault, call, happened=happened)

    def _settle(self, fault: Fault, call: Call, *, happened: bool = True) -> None:
        """A fault has happened, or it could not."""
        self._due.remove(fault)
        if happened:
            call.faults += (fault.rule.do,)
            self._runtime.seen[FAULT, fault.rule.do] += 1
        else:
            self._runtime.fault_plan.take_back(fault)


def _refusal(rule: Rule, operation: Operation) -> Reply:
    """What a refused request is answered with: as the rule says, or as the server would word it."""
    status, wait = rule.status or _UNAVAILABLE, rule.retry_after
    if rule.body is not None:
        answer = replies.json(rule.body, status)
    elif status == _TOO_MANY and operation.limit is not None:
        answer = RateLimited(*operation.limit, wait or 1).reply  # L1
    else:
        answer = replies.error(status, f"refused with {status} by a fault rule")
    headers = dict(answer.headers)
    if wait is not None:
        headers[b"retry-after"] = b"%d" % wait
    headers.update({name.lower().encode(): value.encode("latin-1") for name, value in rule.headers})
    if status in _BODYLESS:
        return Reply(status, headers=tuple(headers.items()))
    return answer._replace(status=status, headers=tuple(headers.items()))


def _skewed(handler: Callable[[Call], Reply | Wait], skew: int, call: Call) -> Reply | Wait:
    """Handle a call by a clock that is ahead by ``skew`` (ns)."""
    answer = handler(replace(call, now=call.now + skew))
    if not isinstance(answer, Wait):
        return answer
    attempt = answer.attempt
    return Wait(lambda now: attempt(now + skew), answer.seconds)
