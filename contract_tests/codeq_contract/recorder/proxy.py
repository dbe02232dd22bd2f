"""The recorder as a proxy: passes requests on to a server, callbacks on to the client, and takes all of it down."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx

from codeq_contract.driver.hooks import CALLBACK_HEADERS, read_body
from codeq_contract.recordings.format import Callback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

    from codeq_contract.driver.hooks import Receive, Send
    from codeq_contract.recorder.caller_names import Names
    from codeq_contract.recorder.tape import Tape
    from codeq_contract.recorder.webhook_rewriting import Relay

#: Seconds that the server gets for an answer; a long poll takes 30 (K2).
_TIMEOUT = 90.0

#: Of one connection, not of what is said on it; or set anew by who sends it on.
_OF_A_CONNECTION = frozenset(
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

    def __init__(self, url: str, tape: Tape, names: Names, relay: Relay) -> None:
        self._url = httpx.URL(url)
        self._tape = tape
        self._names = names
        self._relay = relay
        # Certificates take long to load; a server beside us rarely has one.
        self._http = httpx.AsyncClient(timeout=_TIMEOUT, verify=self._url.scheme == "https", limits=_LIMITS)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request, or the end."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            await self._http.aclose()
            return
        request = _Request(
            method=scope["method"],
            path=(scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")).decode(),
            headers=_decoded(scope["headers"]),
            body=await read_body(receive),
        )
        hook = self._relay.target(request.path)
        answer = self._pass_on(request) if hook is None else self._call_back(request, *hook)
        answering = asyncio.ensure_future(answer)
        gone = asyncio.ensure_future(_gone(receive))
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if answering.done():
            await _send(answering.result(), send)
        else:
            # Nobody waits for it any more; and the server shall not lease a task to who is gone (K9).
            answering.cancel()

    async def _pass_on(self, request: _Request) -> _Reply:
        """Ask the server; a call that it does not answer, or that is called off, stays on the tape without a reply."""
        identity, shown = self._names.of(request.method, request.path, request.headers)
        text = request.body.decode(errors="backslashreplace") if request.body else None
        on_tape = None if text is None else self._relay.request_on_tape(text)
        number = self._tape.sent(request.method, request.path, on_tape, identity=identity, headers=shown)
        body = request.body if text is None else self._to_server(text, request.body)
        # The path goes out as it came; joining it to a base would tidy it up.
        path = self._url.raw_path.rstrip(b"/") + request.path.encode()
        try:
            response = await self._http.request(
                request.method,
                self._url.copy_with(raw_path=path),
                # What a replay will say, so that the reply is of the same kind.
                headers=[*_forwarded(request.headers), ("accept-encoding", "gzip")],
                content=body,
            )
        except httpx.HTTPError as error:
            excuse = {"error": f"codeq-contract record: the server did not answer: {type(error).__name__}"}
            return _Reply(HTTPStatus.BAD_GATEWAY, (), json.dumps(excuse).encode())
        reply = response.content.decode(errors="backslashreplace")
        headers = dict(response.headers)
        told = self._relay.reply_on_tape(reply)
        self._tape.answered(number, response.status_code, headers, told, at=self._tape.now())
        content = self._relay.reply_to_client(reply).encode() if told != reply else response.content
        return _Reply(response.status_code, tuple(_forwarded(headers)), content)

    def _to_server(self, text: str, body: bytes) -> bytes:
        changed = self._relay.request_to_server(text)
        return changed.encode() if changed != text else body

    async def _call_back(self, request: _Request, place: str, url: str) -> _Reply:
        """Pass a callback on to the client's webhook; where that does not answer, nor does it here (502)."""
        at = self._tape.now()
        try:
            headers = [*_forwarded(request.headers)]
            response = await self._http.request(request.method, url, headers=headers, content=request.body)
        except httpx.HTTPError:
            reply = _Reply(HTTPStatus.BAD_GATEWAY, (), b"")
        else:
            reply = _Reply(response.status_code, tuple(_forwarded(dict(response.headers))), response.content)
        location = dict(reply.headers).get("location")
        kept = {name: request.headers[name] for name in CALLBACK_HEADERS if name in request.headers}
        body = request.body.decode(errors="backslashreplace")
        self._tape.callbacks.append(Callback(at, request.method, place, kept, body, reply.status, location))
        return reply


@dataclass(frozen=True, slots=True)
class _Request:
    """`path` is as it was sent, with its query; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _forwarded(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in headers.items() if name not in _OF_A_CONNECTION)


async def _gone(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _live(receive: Receive, send: Send) -> None:
    """Say that we are ready, and return at the end."""
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
