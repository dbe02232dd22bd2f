"""The suite's own server, in a thread: the public key for whoever checks tokens, and the webhook."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import uvicorn

from codeq_contract.driver.hooks import Receive, Send
from codeq_contract.driver.webhooks import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


KEYS_PATH = "/jwks.json"


@contextmanager
def received_here(
    now: Callable[[], int], keys: Mapping[str, Any], *, bind: str, host: str
) -> Iterator[tuple[Receiver, str]]:
    """A webhook and the keys in this process, at address `bind`; yields it, and its URL for who calls us `host`."""
    hooks = Receiver(now)
    with listening(hooks, keys, bind) as port:
        yield hooks, f"http://{host}:{port}"


App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: Seconds that requests under way get when the server stops.
_GRACE = 1


@contextmanager
def listening(hooks: Receiver, keys: Mapping[str, Any], host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve `keys` at KEYS_PATH and `hooks` everywhere else; yields the port."""
    document = json.dumps(keys).encode()

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["path"] != KEYS_PATH:
            await hooks(scope, receive, send)
            return
        kind = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": document})

    with serving(app, host, port) as found:
        yield found


@contextmanager
def serving(app: App, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve an application in a thread; yields the port. It is told of its start and its end, if it can be."""
    # With its protocol named, the socket gets TCP_NODELAY from asyncio; listening, it takes connections from now on.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        config = uvicorn.Config(
            app,
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
