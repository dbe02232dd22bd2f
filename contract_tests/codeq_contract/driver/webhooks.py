"""The suite's webhook, and the server thread that it runs on, with the public key for servers that check tokens."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

KEYS_PATH = "/jwks.json"

#: Seconds that pending requests get when the server stops.
_GRACE = 1


@dataclass(frozen=True, slots=True)
class Received:
    """A request to a webhook at nanosecond `at`. Header names are in lower case."""

    at: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a webhook after some seconds: a status, where it redirects to, and a body.

    If it `hangs`, there is no answer at all.
    """

    status: int = 200
    location: str | None = None
    hangs: bool = False
    after: float = 0
    body: str = ""


class Receiver:
    """A webhook for all paths, as an ASGI application. A path without answers left answers 200."""

    def __init__(self, now: Callable[[], int], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """`now` tells the moment at which a request came, and `sleep` lets seconds pass before an answer."""
        self.requests: list[Received] = []
        self._now = now
        self._sleep = sleep
        self._answers: defaultdict[str, deque[Answer]] = defaultdict(deque)

    def answer(self, path: str, *answers: Answer) -> None:
        """Give these answers to the next requests to `path`, one after another."""
        self._answers[path].extend(answers)

    def received(self, path: str) -> list[Received]:
        """The requests to `path` so far."""
        return [request for request in self.requests if request.path == path]

    async def keep(self, scope: Scope, receive: Receive) -> None:
        """Read a request and keep it, without an answer."""
        at = self._now()
        body = await read_body(receive)
        self.requests.append(Received(at, scope["method"], scope["path"], headers_of(scope), body))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.keep(scope, receive)
        path = scope["path"]
        answer = self._answers[path].popleft() if self._answers[path] else Answer()
        if answer.hangs:
            await receive()  # returns when the client has disconnected
            return
        if answer.after:
            await self._sleep(answer.after)
        location = [] if answer.location is None else [(b"location", answer.location.encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": location})
        await send({"type": "http.response.body", "body": answer.body.encode()})


class KeysEndpoint:
    """Public keys at KEYS_PATH, as an ASGI application."""

    def __init__(self, keys: Mapping[str, Any]) -> None:
        self._document = json.dumps(keys).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        """Serve one request."""
        if scope["type"] == "lifespan":
            return
        status, body = (200, self._document) if scope["path"] == KEYS_PATH else (404, b"{}")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, with names in lower case. The values of a repeated one are joined by commas."""
    values = defaultdict[str, list[str]](list)
    for name, value in scope["headers"]:
        values[name.decode("latin-1").lower()].append(value.decode("latin-1"))
    return {name: ", ".join(each) for name, each in values.items()}


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


@contextmanager
def local_webhook(
    now: Callable[[], int], keys: Mapping[str, Any], *, bind: str, host: str
) -> Iterator[tuple[Receiver, str]]:
    """A webhook and the keys on the local address `bind`. Yields it, and its URL for servers that call us `host`."""
    hooks = Receiver(now)
    with serve_webhook(hooks, keys, bind) as port:
        yield hooks, f"http://{host}:{port}"


@contextmanager
def serve_webhook(hooks: Receiver, keys: Mapping[str, Any], host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve `keys` at KEYS_PATH and `hooks` everywhere else. `hooks` keeps the requests of both. Yields the port."""
    endpoint = KeysEndpoint(keys)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["path"] != KEYS_PATH:
            await hooks(scope, receive, send)
            return
        await hooks.keep(scope, receive)
        await endpoint(scope, receive, send)

    with serve_in_thread(app, host, port) as bound_port:
        yield bound_port


@contextmanager
def serve_in_thread(app: App, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve an ASGI application in a thread, with its lifespan. Yields the port."""
    import uvicorn  # noqa: PLC0415 - slow to import, and nothing is served for a fake in this process

    # asyncio sets TCP_NODELAY only if the socket names its protocol. It listens already, so no connection is refused.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="critical",
            ws="none",
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
