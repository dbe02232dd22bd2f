"""The way of every request: let in, read, handled, answered, noted (B3)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from codeq_fake import wire
from codeq_fake.auth import Forbidden, KeysNeeded, Unauthenticated, with_keys
from codeq_fake.core.errors import Refused
from codeq_fake.journal import Request, TouchedTask

from . import replies
from .rejections import refuse
from .request import LARGEST_BODY, BodyTooLarge, Call, RateLimited, Rejected, Wait

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from codeq_fake.auth import Caller
    from codeq_fake.runtime.fake_server import Runtime

    from .operations import Operation
    from .replies import Reply


#: Where an ASGI scope has the request's journal entry once it is answered.
ENTRY = "codeq_fake.entry"


class ClientGone(Exception):
    """The client hung up before its request was complete."""


#: Whatever is answered with an error.
REFUSALS = (Unauthenticated, Forbidden, Refused, Rejected, wire.BadBody)


class Endpoint:
    """One operation as an ASGI application."""

    def __init__(self, runtime: Runtime, operation: Operation) -> None:
        self._runtime = runtime
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        runtime, operation = self._runtime, self._operation
        # Of a repeated header, Go takes the first.
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        request_id = headers.get(b"x-request-id") or runtime.source.request_id().encode()
        call = Call(
            runtime.broker, runtime.config.settings.timezone, scope["path_params"], headers, runtime.clock.now()
        )
        seen = ""
        try:
            answer = await self._answer(call, receive)
        except ClientGone:
            return
        except REFUSALS as refusal:
            seen = type(refusal).__name__
            answer = _refuse(refusal, operation)
        runtime.seen[operation.name, seen] += 1
        note(runtime, scope, call, answer)
        await replies.send_reply(send, answer, request_id)

    async def _answer(self, call: Call, receive: Receive) -> Reply:
        """Go through the checks in their order, and let the handler answer (B3)."""
        await self._let_in(call, receive)
        return await self._carry_out(call, receive)

    async def _let_in(self, call: Call, receive: Receive) -> None:
        """Find out who calls, whether they may, and with what body."""
        operation = self._operation
        if operation.right != "anyone":
            try:
                call.caller = self._judge(call)
            except KeysNeeded:
                call.caller = await with_keys(lambda: self._judge(call), now=call.now)
                self._go_on(call)
        if operation.limit is not None:
            self._admit(call, *operation.limit)
        if operation.reads_body:
            call.body = await _read_body(receive)
            self._go_on(call)

    def _go_on(self, call: Call) -> None:
        """Be at the present again: while the call waited, time has passed, and the fake may have been reset."""
        call.broker, call.now = self._runtime.broker, self._runtime.clock.now()

    async def _carry_out(self, call: Call, receive: Receive) -> Reply:
        """Let the handler answer, and do what it wants done."""
        runtime = self._runtime
        answer = self._operation.handler(call)
        if isinstance(answer, Wait):
            gone = partial(hang_up, receive)
            found = await runtime.waiters.poll(answer.attempt, wait_seconds=answer.seconds, gone=gone)
            return found if found is not None else replies.NO_CONTENT
        if not runtime.broker.is_idle:
            await runtime.carry_out()
        return answer

    def _judge(self, call: Call) -> Caller:
        """Who calls (A1 to A9). Raises Unauthenticated, Forbidden or KeysNeeded."""
        auth, authorization = self._runtime.auth, call.header_or_none(b"authorization")
        match self._operation.right:
            case "worker":
                return auth.worker(authorization, self._operation.scope, now=call.now)
            case "producer":
                return auth.producer(authorization, now=call.now)
            case "reader":
                return auth.reader(authorization, now=call.now)
            case _:
                return auth.admin(authorization, call.header_or_none(b"x-role"), now=call.now)

    def _admit(self, call: Call, scope: str, operation: str) -> None:
        """Ask the rate limit. Raises RateLimited (L1)."""
        wait = call.broker.admit(scope, call.caller.token, operation, now=call.now)
        if wait:
            raise RateLimited(scope, operation, wait)


def note(runtime: Runtime, scope: Scope, call: Call, answer: Reply) -> None:
    """Add a call to the journal, and leave its entry in the scope for an application around this one."""
    path, query = scope["path"], scope["query_string"]
    if query:
        path = f"{path}?{query.decode('latin-1')}"
    tasks = answer.tasks
    if not tasks and (task := call.broker.store.tasks.get(call.params.get("id", ""))) is not None:
        tasks = (TouchedTask.of(task),)
    scope[ENTRY] = runtime.requests.append(
        lambda n: Request(
            n,
            call.now,
            scope["method"],
            path,
            call.caller.subject,
            call.body,
            answer.status,
            answer.body,
            tasks,
            answer.error,
            call.faults,
        )
    )


async def _read_body(receive: Receive) -> bytes:
    """The whole body. Raises ClientGone or BodyTooLarge."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return b"".join((*parts, part)) if parts else part
        parts.append(part)


async def hang_up(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _refuse(refusal: Exception, operation: Operation) -> Reply:
    match refusal:
        case Refused():
            return refuse(refusal, operation.name)
        case Unauthenticated():
            return replies.error(401, refusal.text)
        case Forbidden():
            return replies.error(403, refusal.text)
        case Rejected():
            return refusal.reply
        case _:
            return replies.error(400, operation.bad_body)
