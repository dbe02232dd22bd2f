"""What happens to every request, in order: checks, body, handler, journal, reply (B3)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from starlette.types import Receive, Scope, Send

from codeq_fake.auth import Caller, KeysNeeded, Refusal, with_keys
from codeq_fake.clocks import in_slices
from codeq_fake.core.slices import Slices
from codeq_fake.journal import Request, TouchedTask
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.wire import Struct

from . import replies
from .decoding_process import SMALL, decode_large
from .host_guard import HostGuard
from .operations import AnyHandler, Operation
from .reasons.rejection import of_rejection
from .rejections import REJECTIONS, RateLimited, reply_to
from .replies import Reply, Wait
from .request import Call, ClientGone, hang_up, read_body

#: Lets a handler answer a request that has passed the checks.
CallHandler: TypeAlias = Callable[[AnyHandler], Awaitable[Reply]]
#: Decides how a request that has passed the checks is carried out. Faults are injected by one.
Policy: TypeAlias = Callable[[Call, CallHandler], Awaitable[Reply]]

#: Key of an ASGI scope: the journal entry of the request, once it is answered.
ENTRY = "codeq_fake.entry"


class Endpoint:
    """One operation as an ASGI application."""

    def __init__(self, runtime: FakeServer, operation: Operation, hosts: HostGuard) -> None:
        self._runtime = runtime
        self._hosts = hosts
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send, policy: Policy | None = None) -> None:
        """Answer one request. A `policy` decides how it is carried out; by default its handler is called."""
        runtime, operation = self._runtime, self._operation
        call = Call.of(runtime, scope)
        rejected = ""
        try:
            # A look-up and no call for most requests: `known` has what `check` need not look at.
            if (host := call.headers.get(b"host")) not in self._hosts.known:
                self._hosts.check(host, scope)
            await self._check(call, receive)
            if policy is None:
                reply = await self._call_handler(call, receive, operation.handler)
            else:
                reply = await policy(call, partial(self._call_handler, call, receive))
        except ClientGone:
            return
        except asyncio.CancelledError:
            # A caller of `FakeCodeQ.app` that hangs up cancels its request. The faults so far belong in the journal.
            self._journal_faults(scope, call)
            raise
        except REJECTIONS as rejection:
            rejected = type(rejection).__name__
            call.caller = _caller_of(rejection, call)
            reason = of_rejection(rejection, call, operation.name, scope=operation.scope, body=operation.body)
            reply = reply_to(rejection, operation.name, call.broker.profile.version, reason)
        self._count_and_journal(scope, call, reply, rejected)
        await replies.send_reply(send, reply, call.request_id)

    async def _check(self, call: Call, receive: Receive) -> None:
        """Check caller and rate limit, and read the body, in the order of B3. Raises ClientGone or a rejection."""
        operation = self._operation
        if operation.right != "anyone":
            try:
                call.caller = self._authenticate(call)
            except KeysNeeded:
                call.caller = await with_keys(lambda: self._authenticate(call), now=call.now)
                call.refresh_from(self._runtime)
        if operation.limit is not None:
            bucket, limited = operation.limit
            if wait := call.broker.admit(bucket, call.caller.token, limited, now=call.now):
                raise RateLimited(bucket, limited, wait)  # L1
        if operation.body is not None:
            call.body = await read_body(receive)
            if len(call.body) > SMALL:
                await self._decode_large(call, operation.body)
            call.refresh_from(self._runtime)

    async def _decode_large(self, call: Call, struct: Struct) -> None:
        """Decode a body that may be large in the worker process, if there is one."""
        if struct.fields and self._runtime.config.has_worker_process:
            call.decoded = await decode_large(call.body, struct)

    def _authenticate(self, call: Call) -> Caller:
        """The caller (A1 to A9). Raises Unauthenticated, Forbidden or KeysNeeded."""
        auth, authorization = self._runtime.auth, call.header(b"authorization")
        match self._operation.right:
            case "worker":
                return auth.worker(authorization, self._operation.scope, now=call.now)
            case "producer":
                return auth.producer(authorization, now=call.now)
            case "reader":
                return auth.reader(authorization, now=call.now)
            case _:
                return auth.admin(authorization, call.header(b"x-role"), now=call.now)

    async def _call_handler(self, call: Call, receive: Receive, handler: AnyHandler) -> Reply:
        """Let the handler answer, and carry out the effects that follow.

        An idle broker has none, as after most requests: the check saves a coroutine.
        """
        runtime = self._runtime
        answer = handler(call)
        if isinstance(answer, Wait):
            gone = partial(hang_up, receive)
            reply = await runtime.waiters.poll(
                answer.attempt,
                now=call.now,
                wait_seconds=answer.seconds,
                interval=answer.interval,
                gone=gone,
                next_chance=answer.next_chance,
            )
            if not runtime.broker.is_idle:
                runtime.arm()  # a lease is an event for the reaper (P1)
            answer = reply if reply is not None else answer.over(runtime.clock.now())
            return answer if answer.writing is None else await _written(answer, answer.writing)
        if not isinstance(answer, Reply):
            answer = await in_slices(answer)
        if not runtime.broker.is_idle:
            await runtime.carry_out_effects()
        return answer if answer.writing is None else await _written(answer, answer.writing)

    def _count_and_journal(self, scope: Scope, call: Call, reply: Reply, rejected: str) -> None:
        """Count a request that is answered, and add it to the journal."""
        runtime, name = self._runtime, self._operation.name
        if not call.is_outdated(runtime):
            runtime.seen[name, rejected] += 1
        add_to_journal(runtime, scope, call, reply, name)

    def _journal_faults(self, scope: Scope, call: Call) -> None:
        """Add a request that gets no answer to the journal, if there were faults."""
        if call.faults:
            add_to_journal(self._runtime, scope, call, replies.NO_REPLY, self._operation.name)


def _caller_of(rejection: Exception, call: Call) -> Caller:
    """Whose request is rejected, as far as that is known."""
    known = rejection.caller if isinstance(rejection, Refusal) else None
    return known or call.caller


async def _written(reply: Reply, writing: Slices[bytes]) -> Reply:
    """A reply whose body takes a while to write. The others do not come here: each would cost a coroutine."""
    return reply._replace(body=await in_slices(writing), writing=None)


def add_to_journal(runtime: FakeServer, scope: Scope, call: Call, reply: Reply, operation: str = "") -> None:
    """Add a request to the journal, and put its entry into the scope for the applications around this one."""
    path, query = scope["path"], scope["query_string"]
    if query:
        path = f"{path}?{query.decode('latin-1')}"
    tasks = reply.tasks
    if not tasks and (task := call.broker.store.tasks.get(call.params.get("id", ""))) is not None:
        tasks = (TouchedTask.of(task),)
    journal = runtime.requests
    is_outdated = call.is_outdated(runtime)
    scope[ENTRY] = entry = Request(
        0 if is_outdated else journal.count + 1,
        call.now,
        scope["method"],
        path,
        call.caller.subject,
        call.body,
        reply.status,
        reply.body,
        operation,
        tasks,
        reply.error,
        call.faults,
        reply.reason,
        scope["headers"],
        call.arrived,
        runtime.clock.now(),
        call.caller.tenant,
    )
    if not is_outdated:
        journal.append(entry)
