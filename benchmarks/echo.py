"""The server to compare with: a bare Starlette application that echoes JSON, on plain uvicorn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from codeq_fake.serving.server import listen, url_of

if TYPE_CHECKING:
    import socket

    from starlette.requests import Request
    from starlette.types import ASGIApp

PATH = "/echo"


async def echo(request: Request) -> JSONResponse:
    """Answer with the JSON that was sent."""
    return JSONResponse(await request.json())


app = Starlette(routes=[Route(PATH, echo, methods=["POST"])])


def serve(application: ASGIApp, listener: socket.socket) -> None:
    """Serve an application on plain uvicorn until SIGTERM."""
    config = uvicorn.Config(application, loop="uvloop", http="httptools", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


def main() -> None:
    """Print the URL in a line of JSON, then serve the echo on a free port."""
    listener = listen("127.0.0.1", 0)
    print(json.dumps({"url": url_of(listener)}), flush=True)
    serve(app, listener)


if __name__ == "__main__":
    main()
