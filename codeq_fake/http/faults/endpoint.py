"""How a request is answered while there are fault rules: as usual, plus the faults that fire on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from starlette.types import Receive, Scope, Send

from codeq_fake.clause_coverage import FAULT
from codeq_fake.core import races
from codeq_fake.core.slices import Slices
from codeq_fake.faults import Fault, Rule
from codeq_fake.http import replies
from codeq_fake.http.endpoint import CallHandler, Endpoint
from codeq_fake.http.operations import CLAIMS, AnyHandler, Operation
from codeq_fake.http.rejections import RateLimited, Rejected
from codeq_fake.http.replies import NO_REPLY, Reply, Wait, at_once
from codeq_fake.http.request import Call, hang_up
from codeq_fake.runtime.fake_server import FakeServer

from .broken_replies import BreakableReply
from .matching import claimed_commands, idempotency_key, occasion_of
from .task_effects import TASK_EFFECTS, affect

#: The faults that hold a request up.
_WAITS = ("delay", "hang")
#: The races that a request meets while it is carried out. They are prepared before it, and it shows if they happened.
_PREPARED = ("false_empty", "accept_result_twice", "undo_end", "double_create")
_UNAVAILABLE = 503
_TOO_MANY = 429
_BODYLESS = (204, 304)


class Injected(Rejected):
    """A fault keeps the request from being carried out. It is answered with `reply`."""


class FaultyEndpoint:
    """One operation as an ASGI application, with faults."""

    def __init__(self, runtime: FakeServer, operation: Operation, endpoint: Endpoint) -> None:
        self._runtime = runtime
        self._operation = operation
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless a fault prevents it."""
        reply = BreakableReply(scope, receive, send)

        async def inject(call: Call, call_handler: CallHandler) -> Reply:
            return await _FaultyCall(self._runtime, self._operation, call, receive, reply).answer(call_handler)

        await self._endpoint(scope, receive, reply.send, inject)


class _FaultyCall:
    """One request that has passed the checks, with the faults that fire on it."""

    def __init__(
        self, runtime: FakeServer, operation: Operation, call: Call, receive: Receive, reply: BreakableReply
    ) -> None:
        self._runtime = runtime
        self._operation = operation
        self._handler: AnyHandler = operation.handler
        self._call = call
        self._receive = receive
        self._reply = reply
        self._occasion = occasion_of(operation, call)
        #: The faults that have neither happened yet nor turned out to be impossible.
        self._due = runtime.fault_plan.decide(self._occasion)
        #: Whether a task is hidden from this claim (Z4).
        self._is_hiding = False

    async def answer(self, call_handler: CallHandler) -> Reply:
        """Apply the faults before and after the request is carried out."""
        try:
            # Waits come first: time must not undo what another fault does to a task.
            for fault in sorted(self._due, key=lambda fault: fault.rule.do not in _WAITS):
                await self._before(fault)
            reply = await call_handler(self._handler)
            for fault in list(self._due):
                self._after(fault, reply)
            if not self._runtime.broker.is_idle:
                self._runtime.arm()
        finally:
            for fault in list(self._due):
                self._give_up(fault)
        return reply

    async def _before(self, fault: Fault) -> None:
        """Apply a fault before the request is carried out. Raises Injected if the request is not to be carried out."""
        rule, call, happened = fault.rule, self._call, True
        match rule.do:
            case "delay" | "hang":
                await self._hold(fault)
                return
            case "refuse":
                self._record(fault)
                raise Injected(_refusal(rule, self._operation))
            case "reset":
                self._record(fault)
                self._reply.outcome = "reset"
                raise Injected(NO_REPLY)
            case "drop_reply":
                self._reply.outcome = "drop_reply"
            case "garble":
                self._reply.outcome = rule.how or "cut"
            case "clock_skew":
                self._handler = partial(_skewed, self._handler, rule.duration)
            case kind if kind in _PREPARED:
                happened = self._prepare(kind)
                if happened:
                    return  # The request may still be refused, and then it has met no race.
            case kind if kind == "redeliver_finished" or (kind in TASK_EFFECTS and self._operation.name in CLAIMS):
                return  # It affects the tasks that the request is about to claim or to end.
            case kind:
                happened = affect(kind, call.broker, self._occasion.tasks, now=call.now)
        self._record(fault, happened=happened)

    def _after(self, fault: Fault, reply: Reply) -> None:
        """Apply a fault to the tasks that the request has claimed or ended."""
        if fault.rule.do in _PREPARED:
            self._record(fault)
            return
        is_claim = self._operation.name in CLAIMS
        tasks = [task.id for task in reply.tasks] if is_claim else self._occasion.tasks
        happened = affect(fault.rule.do, self._call.broker, tasks, now=self._runtime.clock.now())
        self._record(fault, happened=happened)

    def _prepare(self, kind: str) -> bool:
        """Let the request meet a race while it is carried out. Returns whether that is possible."""
        call = self._call
        match kind:
            case "false_empty":
                commands = claimed_commands(self._operation, call)
                self._is_hiding = races.false_empty(call.broker, commands, tenant=call.caller.tenant, now=call.now)
                return self._is_hiding
            case "accept_result_twice":
                [task_id] = self._occasion.tasks
                is_possible = races.can_end_twice(call.broker, task_id, now=call.now)
                overlooking = partial(races.overlooking, call.broker, end=task_id)
            case "undo_end":
                [task_id] = self._occasion.tasks
                worker = call.caller.subject
                is_possible = races.can_undo_end(call.broker, task_id, worker=worker, now=call.now)
                overlooking = partial(races.overlooking, call.broker, end=task_id)
            case _:
                key = idempotency_key(self._operation, call)
                is_possible = races.can_make_twice(call.broker, key, now=call.now)
                overlooking = partial(races.overlooking, call.broker, key=key)
        if is_possible:
            self._handler = partial(_handled_within, self._handler, overlooking)
        return is_possible

    async def _hold(self, fault: Fault) -> None:
        """Hold the request up, and then use the present state. Raises Injected if its client or its state is gone."""
        self._record(fault)
        until = self._call.now + fault.rule.duration if fault.rule.do == "delay" else None
        gone = partial(hang_up, self._receive)
        is_there = await self._runtime.waiters.hold(fault.number, until=until, gone=gone)
        if not is_there or self._call.is_outdated(self._runtime):
            # A request of a state that is gone must not act in the present one: its connection is closed.
            self._reply.outcome = "drop_reply" if is_there else "gone"
            raise Injected(NO_REPLY)
        self._call.refresh_from(self._runtime)

    def _give_up(self, fault: Fault) -> None:
        """The request was refused or its client is gone: this fault did not happen.

        A prepared duplicate id (Z4) is removed. If a claim has met it meanwhile, the fault did happen.
        """
        happened = False
        if fault.rule.do == "false_empty" and self._is_hiding:
            commands = claimed_commands(self._operation, self._call)
            happened = not races.end_false_empty(self._call.broker, commands, tenant=self._call.caller.tenant)
        self._record(fault, happened=happened)

    def _record(self, fault: Fault, *, happened: bool = True) -> None:
        """Record that a fault has happened. If it could not, its rule may fire on another request instead."""
        self._due.remove(fault)
        if happened:
            self._call.faults += (fault.rule.do,)
            self._runtime.seen[FAULT, fault.rule.do] += 1
        else:
            self._runtime.fault_plan.take_back(fault)


def _refusal(rule: Rule, operation: Operation) -> Reply:
    """The reply of the rule or, where it leaves something open, that of the server."""
    status, wait = rule.status or _UNAVAILABLE, rule.retry_after
    if rule.body is not None:
        reply = replies.json(rule.body, status)
    elif status == _TOO_MANY and operation.limit is not None:
        reply = RateLimited(*operation.limit, wait or 1).reply  # L1
    else:
        reply = replies.error(status, f"refused with {status} by a fault rule")
    headers = dict(reply.headers)
    if wait is not None:
        headers[b"retry-after"] = b"%d" % wait
    headers.update({name.lower().encode(): value.encode("latin-1") for name, value in rule.headers})
    if status in _BODYLESS:
        reply = Reply(status)
    reason = "a fault rule refuses the request"
    return reply._replace(status=status, headers=tuple(headers.items()), reason=reason)


def _skewed(handler: AnyHandler, skew: int, call: Call) -> Reply | Wait | Slices[Reply]:
    """Handle a request with a clock that is ahead by `skew` (ns)."""
    answer = handler(replace(call, now=call.now + skew))
    if not isinstance(answer, Wait):
        return answer
    attempt = answer.attempt
    return answer._replace(attempt=lambda now: attempt(now + skew), next_chance=at_once)


def _handled_within(
    handler: AnyHandler, overlooking: Callable[[], AbstractContextManager[None]], call: Call
) -> Reply | Wait | Slices[Reply]:
    """Handle a request that overlooks the end of a task or the first use of a key (`races.overlooking`)."""
    with overlooking():
        return handler(call)
