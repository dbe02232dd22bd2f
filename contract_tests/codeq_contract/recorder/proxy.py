"""The recorder's proxy: forwards requests to a server and callbacks to the client, and records both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from codeq_contract.driver.connections import connect_async
from codeq_contract.driver.requests import Request, target_of
from codeq_contract.driver.webhooks import Receive, Scope, Send, headers_of, read_body
from codeq_contract.recordings.format import Callback

from .callers import CallerNames
from .tape import Tape
from .webhook_rewriting import WebhookRewriter

#: Seconds after which a reply counts as lost. A long poll takes 30 (K2).
_TIMEOUT = 90.0

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
        request = Request(
            method=scope["method"],
            path=(scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")).decode(),
            headers=headers_of(scope),
            body=await read_body(receive),
        )
        hook = self._rewriter.target(request.path)
        reply = self._forward(request) if hook is None else self._call_back(request, *hook)
        answering = asyncio.ensure_future(reply)
        gone = asyncio.ensure_future(_disconnected(receive))
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if answering.done():
            await _send(answering.result(), send)
        else:
            # The client has gone. The server must learn that, or it leases a task to it (K9).
            answering.cancel()

    async def _forward(self, request: Request) -> _Reply:
        """Ask the server. A call that is cancelled or not answered stays on the tape without a reply."""
        identity, kept = self._names.of(request.method, request.path, request.headers)
        text = request.text
        on_tape = self._rewriter.request_on_tape(text) if text else None
        number = self._tape.sent(request.method, request.path, on_tape, identity=identity, headers=kept)
        changed = self._rewriter.request_to_server(text)
        body = changed.encode() if changed != text else request.body
        # The path goes out unchanged. In a URL it would be normalized.
        target = self._url.raw_path.rstrip(b"/") + target_of(request.path)
        try:
            response = await self._http.request(
                request.method,
                self._url,
                # The same encoding as in a replay, so that the replies can be compared.
                headers=[*_forwarded(request.headers), ("accept-encoding", "gzip")],
                content=body,
                extensions={"target": target},
            )
        except httpx.HTTPError as error:
            excuse = {"error": f"codeq-contract record: the server did not answer: {type(error).__name__}"}
            return _Reply(HTTPStatus.BAD_GATEWAY, (), json.dumps(excuse).encode())
        reply = response.content.decode(errors="backslashreplace")
        headers = dict(response.headers)
        shown = self._rewriter.reply_on_tape(reply)
        self._tape.answered(number, response.status_code, headers, shown, at=self._tape.now())
        content = self._rewriter.reply_to_client(reply).encode() if shown != reply else response.content
        return _Reply(response.status_code, tuple(_forwarded(headers)), content)

    async def _call_back(self, request: Request, recorded_path: str, url: str) -> _Reply:
        """Forward a callback to the client's webhook. If that does not answer, the server gets a 502."""
        at = self._tape.now()
        try:
            headers = [*_forwarded(request.headers)]
            async with connect_async(url, timeout=_TIMEOUT) as http:
                response = await http.request(request.method, url, headers=headers, content=request.body)
        except httpx.HTTPError:
            reply = _Reply(HTTPStatus.BAD_GATEWAY, (), b"")
        else:
            reply = _Reply(response.status_code, tuple(_forwarded(dict(response.headers))), response.content)
        location = dict(reply.headers).get("location")
        self._tape.callbacks.append(
            Callback(at, request.method, recorded_path, request.headers, request.text, reply.status, location)
        )
        return reply


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _forwarded(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in headers.items() if name not in _NOT_FORWARDED)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    """Report that the application is ready, and return at its end."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _send(reply: _Reply, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if reply.status not in _WITHOUT_BODY:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
