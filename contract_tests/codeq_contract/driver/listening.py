"""The suite's own server, in a thread: the public key for whoever checks tokens, and the webhook."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from codeq_contract.driver.receiver import Receiver
    from codeq_contract.hooks import Receive, Send

KEYS_PATH = "/jwks.json"


@contextmanager
def listening(hooks: Receiver, keys: Mapping[str, Any], host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve `keys` at KEYS_PATH and `hooks` everywhere else; yields the port."""
    document = json.dumps(keys).encode()

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] != KEYS_PATH:
            await hooks(scope, receive, send)
            return
        kind = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": document})

    # With its protocol named, the socket gets TCP_NODELAY from asyncio; listening, it takes connections from now on.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()
