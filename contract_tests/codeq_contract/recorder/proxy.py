"""The recorder's proxy: forwards requests to a server and callbacks to the client, and records both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import httpx

from codeq_contract.driver.connections import connect_async
from codeq_contract.driver.requests import Request, target_of
from codeq_contract.driver.webhooks import Receive, Scope, Send, headers_of
from codeq_contract.recordings.format import REQUESTED_ENCODING, Callback, text_of

from .callers import CallerNames
from .tape import Tape
from .webhook_rewriting import WebhookRewriter, pieces

#: Seconds after which a reply counts as lost. A long poll takes 30 (K2).
_TIMEOUT = 90.0

#: Bodies up to this size (bytes) are forwarded as a whole, with their length. Larger ones go on as they come.
_WHOLE = 1024 * 1024

#: Headers of one connection, and those that a client sets itself. A proxy does not forward them.
_NOT_FORWARDED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_LIMITS = httpx.Limits(max_connections=None)


class Proxy:
    """An ASGI application in front of the server at `url`."""

    def __init__(self, url: str, tape: Tape, names: CallerNames, rewriter: WebhookRewriter) -> None:
        self._url = httpx.URL(url)
        self._tape = tape
        self._names = names
        self._rewriter = rewriter
        self._http = connect_async(url, timeout=_TIMEOUT, limits=_LIMITS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            await self._http.aclose()
            return
        body = _Body(receive)
        await body.begin()
        path = (scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")).decode()
        request = Request(scope["method"], path, headers=headers_of(scope))
        hook = self._rewriter.target(path)
        reply_to: Coroutine[Any, Any, _Reply | None]
        if hook is not None:
            reply_to = self._call_back(request, await body.whole(), *hook)
        else:
            reply_to = self._forward(request, body, send)
        answering = asyncio.ensure_future(reply_to)
        gone = asyncio.ensure_future(body.disconnected())
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if answering.done():
            if (reply := answering.result()) is not None:
                await _send(reply, send)
        else:
            # The client has gone. The server must learn that, or it leases a task to it (K9).
            answering.cancel()

    async def _forward(self, request: Request, body: _Body, send: Send) -> _Reply | None:
        """Ask the server. Returns its reply, None if that was large and is sent already.

        A call that is cancelled or not answered stays on the tape without a reply.
        """
        identity, request_headers = self._names.of(request.method, request.path, request.headers)
        number = self._tape.record_request(
            request.method, request.path, None, identity=identity, headers=request_headers
        )
        on_tape: list[str] = []

        async def rewritten() -> AsyncIterator[bytes]:
            async for piece in pieces(body):
                text = piece.decode("latin-1")
                on_tape.append(self._rewriter.request_on_tape(text))
                yield self._rewriter.request_to_server(text).encode("latin-1")
            if on_tape:
                self._tape.record_body(number, text_of("".join(on_tape).encode("latin-1")))

        content = b"".join([piece async for piece in rewritten()]) if body.is_complete else rewritten()
        # The path goes out unchanged. In a URL it would be normalized.
        target = self._url.raw_path.rstrip(b"/") + target_of(request.path)
        headers = [*_forwarded(request.headers), ("accept-encoding", REQUESTED_ENCODING)]
        forwarded = self._http.build_request(
            request.method, self._url, headers=headers, content=content, extensions={"target": target}
        )
        try:
            response = await self._http.send(forwarded, stream=True)
            try:
                return await self._take_reply(number, response, send)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            excuse = {"error": f"codeq-contract record: the server did not answer: {type(error).__name__}"}
            return _Reply(HTTPStatus.BAD_GATEWAY, (), json.dumps(excuse).encode())

    async def _take_reply(self, number: int, response: httpx.Response, send: Send) -> _Reply | None:
        """Record a reply. A large one is sent on in parts."""
        headers = dict(response.headers)
        head = _Reply(response.status_code, tuple(_forwarded(headers)), b"")
        on_tape: list[str] = []
        waiting: list[bytes] = []
        size, is_large = 0, False
        async for piece in pieces(response.aiter_bytes()):
            text = piece.decode("latin-1")
            on_tape.append(self._rewriter.reply_on_tape(text))
            waiting.append(self._rewriter.reply_to_client(text).encode("latin-1"))
            size += len(piece)
            if size > _WHOLE:
                if not is_large:
                    await send(_start(head))
                is_large = True
                await send({"type": "http.response.body", "body": b"".join(waiting), "more_body": True})
                waiting.clear()
        shown = text_of("".join(on_tape).encode("latin-1"))
        self._tape.record_reply(number, response.status_code, headers, shown, at=self._tape.now())
        if not is_large:
            return replace(head, body=b"".join(waiting))
        await send({"type": "http.response.body", "body": b"".join(waiting)})
        return None

    async def _call_back(self, request: Request, body: bytes, recorded_path: str, url: str) -> _Reply:
        """Forward a callback to the client's webhook. If that does not answer, the server gets a 502."""
        at = self._tape.now()
        try:
            headers = [*_forwarded(request.headers)]
            async with connect_async(url, timeout=_TIMEOUT) as http:
                response = await http.request(request.method, url, headers=headers, content=body)
        except httpx.HTTPError:
            reply = _Reply(HTTPStatus.BAD_GATEWAY, (), b"")
        else:
            reply = _Reply(response.status_code, tuple(_forwarded(dict(response.headers))), response.content)
        location = dict(reply.headers).get("location")
        self._tape.callbacks.append(
            Callback(at, request.method, recorded_path, request.headers, text_of(body), reply.status, location)
        )
        return reply


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _forwarded(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in headers.items() if name not in _NOT_FORWARDED)


class _Body:
    """The body of a request, in the parts in which it comes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._parts: list[bytes] = []
        self._ended = asyncio.Event()

    @property
    def is_complete(self) -> bool:
        """Whether all of it has come."""
        return self._ended.is_set()

    async def begin(self) -> None:
        """Read the whole body, or the beginning of a large one."""
        size = 0
        while size <= _WHOLE and not self._ended.is_set():
            self._parts.append(await self._next())
            size += len(self._parts[-1])

    async def whole(self) -> bytes:
        """All of it."""
        return b"".join([part async for part in self])

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._parts:
            yield self._parts.pop(0)
        while not self._ended.is_set():
            yield await self._next()

    async def disconnected(self) -> None:
        """Return when the client has disconnected after the body."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _next(self) -> bytes:
        message = await self._receive()
        if not message.get("more_body", False):
            self._ended.set()
        body: bytes = message.get("body", b"")
        return body


async def _lifespan(receive: Receive, send: Send) -> None:
    """Report that the application is ready, and return at its end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def _start(reply: _Reply) -> dict[str, Any]:
    """The head of a reply."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def _send(reply: _Reply, send: Send) -> None:
    start = _start(reply)
    if reply.status not in _WITHOUT_BODY:
        start["headers"].append((b"content-length", str(len(reply.body)).encode()))
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})
