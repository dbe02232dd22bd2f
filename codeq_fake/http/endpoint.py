"""The way of every request: let in, read, handled, answered, noted (B3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codeq_fake import wire
from codeq_fake.auth import Caller, Forbidden, KeysNeeded, Unauthenticated, with_keys
from codeq_fake.core.errors import Refused
from codeq_fake.journal import Request

from . import reply
from .call import BadRequest, Call, Wait
from .refusals import refuse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from codeq_fake.runtime import Runtime

    from .operations import Operation
    from .reply import Reply

#: The largest request body: the real server has no limit, we bound our memory and say so in the ledger.
LARGEST_BODY = 64 * 1024 * 1024

TOO_MANY = 429

_ANYONE = Caller(subject="", tenant="", scopes=frozenset(), event_types=(), claims={}, token="")


class ClientGone(Exception):
    """The client hung up before its request was complete."""


class BodyTooLarge(Exception):
    """The request body exceeds :data:`LARGEST_BODY`."""


class Endpoint:
    """One operation as an ASGI application."""

    def __init__(self, runtime: Runtime, operation: Operation) -> None:
        self._runtime = runtime
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        runtime = self._runtime
        # Of a repeated header, Go takes the first.
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        request_id = headers.get(b"x-request-id") or runtime.source.request_id().encode()
        exchange = _Exchange(runtime, self._operation, scope, receive, headers)
        try:
            answer = await exchange.answer()
        except ClientGone:
            return
        runtime.requests.entries.append(exchange.noted(answer))
        await reply.send_reply(send, answer, request_id)


class _Exchange:
    """One request on its way."""

    __slots__ = ("_body", "_caller", "_headers", "_now", "_operation", "_receive", "_runtime", "_scope")

    def __init__(
        self, runtime: Runtime, operation: Operation, scope: Scope, receive: Receive, headers: dict[bytes, bytes]
    ) -> None:
        self._runtime = runtime
        self._operation = operation
        self._scope = scope
        self._receive = receive
        self._headers = headers
        self._now = runtime.clock.now()
        self._caller = _ANYONE
        self._body = b""

    def noted(self, answer: Reply) -> Request:
        """The journal's entry for this exchange."""
        journal = self._runtime.requests
        query = self._scope["query_string"]
        path = f"{self._scope['path']}?{query.decode('latin-1')}" if query else self._scope["path"]
        method, subject = self._scope["method"], self._caller.subject
        return Request(journal.number(), self._now, method, path, subject, self._body, answer.status, answer.body)

    async def answer(self) -> Reply:
        """Go through the checks in their order, and let the handler answer (B3)."""
        name = self._operation.name
        seen = self._runtime.seen
        try:
            answer = await self._checked()
        except (Unauthenticated, Forbidden, Refused, wire.BadBody, BadRequest, BodyTooLarge) as refusal:
            seen[name, type(refusal).__name__] += 1
            return self._refuse(refusal)
        seen[name, "" if answer.status != TOO_MANY else "RateLimited"] += 1
        return answer

    async def _checked(self) -> Reply:
        limited = await self._admit()
        if limited is not None:
            return limited
        if self._operation.reads_body:
            self._body = await self._read_body()
            self._now = self._runtime.clock.now()
        return await self._handle()

    def _refuse(self, refusal: Exception) -> Reply:
        match refusal:
            case Refused():
                return refuse(refusal, self._operation.name)
            case Unauthenticated():
                return reply.error(401, refusal.text)
            case Forbidden():
                return reply.error(403, refusal.text)
            case wire.BadBody():
                return reply.error(400, self._operation.bad_body)
            case BodyTooLarge():
                return reply.error(413, f"body exceeds {LARGEST_BODY} bytes")
            case _:
                return reply.error(400, str(refusal))

    async def _admit(self) -> Reply | None:
        """Find out who calls; returns the reply of a rate limit that says no (A1 to A9, L1)."""
        if self._operation.right == "anyone":
            return None
        try:
            self._caller = self._judge()
        except KeysNeeded:
            self._caller = await with_keys(self._judge, now=self._now)
        if self._operation.limit is None:
            return None
        scope, operation = self._operation.limit
        wait = self._runtime.broker.admit(scope, self._caller.token, operation, now=self._now)
        return _too_many_requests(scope, operation, wait) if wait else None

    def _judge(self) -> Caller:
        authorization = self._headers.get(b"authorization")
        value = authorization.decode("latin-1") if authorization is not None else None
        auth, now = self._runtime.auth, self._now
        match self._operation.right:
            case "worker":
                return auth.worker(value, self._operation.scope, now=now)
            case "producer":
                return auth.producer(value, now=now)
            case "reader":
                return auth.reader(value, now=now)
            case _:
                role = self._headers.get(b"x-role")
                return auth.admin(value, role.decode("latin-1") if role is not None else None, now=now)

    async def _read_body(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            if len(body) > LARGEST_BODY:
                raise BodyTooLarge
            return body
        parts, size = [body], len(body)
        while message.get("more_body", False):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > LARGEST_BODY:
                raise BodyTooLarge
        return b"".join(parts)

    async def _handle(self) -> Reply:
        runtime = self._runtime
        call = Call(
            broker=runtime.broker,
            zone=runtime.config.settings.timezone,
            caller=self._caller,
            params=self._scope["path_params"],
            headers=self._headers,
            body=self._body,
            now=self._now,
        )
        answer = self._operation.handler(call)
        if isinstance(answer, Wait):
            found = await runtime.polls.park(answer.attempt, wait_seconds=answer.seconds, gone=self._gone)
            return found if found is not None else reply.NO_CONTENT
        await runtime.carry_out()
        return answer

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _too_many_requests(scope: str, operation: str, wait: int) -> Reply:
    text = f'{{"error":"rate limit exceeded","operation":"{operation}","retryAfterSeconds":{wait},"scope":"{scope}"}}'
    refusal = reply.json(text, TOO_MANY)
    return refusal._replace(headers=(*refusal.headers, (b"retry-after", b"%d" % wait)))
