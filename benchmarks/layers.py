"""What each layer of a server adds to a create: `python -m benchmarks.layers`.

The servers take turns, from an application that only answers up to the whole fake. All get the same requests from the
same driver, so what a layer costs is the difference to the one before it. With `--profile` each server prints at its
end in which packages its time went.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from codeq_fake.clocks import WallClock
from codeq_fake.http import OPERATIONS, bodies, replies
from codeq_fake.http.endpoint import Endpoint
from codeq_fake.http.host_guard import HostGuard
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving import descriptors
from codeq_fake.serving.application import application
from codeq_fake.serving.server import listen, serve, url_of

from . import echo
from .driver import TASKS_PATH
from .samples import Samples
from .servers import layer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from codeq_fake.http.operations import AnyHandler
    from codeq_fake.http.replies import Reply
    from codeq_fake.http.request import Call

    from .servers import Server

_ROUNDS, _SECONDS = 17, 0.4
_REPLY = b'{"ok":true}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_REPLY))]


async def _only_answer(_scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an application can do with a request."""
    await receive()
    await send({"type": "http.response.start", "status": 202, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _REPLY})


def _answer(_call: Call) -> Reply:
    return replies.json(_REPLY.decode(), 202)


def _decode_and_answer(call: Call) -> Reply:
    call.decode(bodies.CREATE)
    return _answer(call)


def _create_with(handler: AnyHandler) -> Callable[[FakeServer], ASGIApp]:
    """The endpoint of creates with another handler."""
    [create] = (operation for operation in OPERATIONS if operation.name == "create")
    return lambda runtime: Endpoint(runtime, replace(create, handler=handler), HostGuard(runtime))


_ECHO = "uvicorn, Starlette's JSON echo"
#: The name of each layer -> the application up to it. The first two run on plain uvicorn, the others on our server.
_ON_UVICORN: Mapping[str, ASGIApp] = MappingProxyType(
    {"uvicorn, an application that only answers": _only_answer, _ECHO: echo.app}
)
_ON_OUR_SERVER: Mapping[str, Callable[[FakeServer], ASGIApp]] = MappingProxyType(
    {
        "our server, an application that only answers": lambda _: _only_answer,
        "and the checks, the journal and the reply of a create": _create_with(_answer),
        "and its body decoded": _create_with(_decode_and_answer),
        "the whole fake": application,
    }
)


def _serve(name: str, *, with_profile: bool) -> None:
    """Print the URL of a layer in a line of JSON, then serve it until SIGTERM."""
    if with_profile:
        Samples(name).start()
    listener = listen("127.0.0.1", 0)
    print(json.dumps({"url": url_of(listener)}), flush=True)
    if name in _ON_UVICORN:
        echo.serve(_ON_UVICORN[name], listener)
        return
    runtime = FakeServer(Config(), WallClock())
    serve(
        _ON_OUR_SERVER[name](runtime),
        runtime,
        listener,
        limits=descriptors.limits(callbacks=1),
        ready=lambda: None,
        within=nullcontext(),
    )


def _measure(clients: int, *, with_profile: bool) -> None:
    """Print the table."""
    costs: dict[str, list[float]] = {name: [] for name in (*_ON_UVICORN, *_ON_OUR_SERVER)}
    rates: dict[str, list[float]] = {name: [] for name in costs}
    with ExitStack() as stack:
        servers = {name: _start(stack, name, with_profile=with_profile) for name in costs}
        for _ in range(_ROUNDS):
            for name, server in servers.items():
                rate, cost = _round(server, clients)
                rates[name].append(rate)
                costs[name].append(cost)
    table = Table("server", "requests/s", "µs of CPU", box=box.MARKDOWN)
    for name, cpu in costs.items():
        table.add_row(name, f"{median(rates[name]):,.0f}", f"{1e6 * median(cpu):.1f}")
    Console(width=200).print(table)


def _start(stack: ExitStack, name: str, *, with_profile: bool) -> Server:
    path = echo.PATH if name == _ECHO else TASKS_PATH
    return stack.enter_context(layer(name, path, *["--profile"] if with_profile else []))


def _round(server: Server, clients: int) -> tuple[float, float]:
    """Requests a second, and CPU seconds of the server for each."""
    before = server.cpu_seconds()
    load = server.load(clients=clients, seconds=_SECONDS)
    return load.rate, (server.cpu_seconds() - before) / load.requests


def main() -> None:
    """Measure the layers, or serve one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layers", description="Measure the layers of a server.")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--profile", action="store_true", help="take samples, which costs some per cent")
    parser.add_argument("--serve", metavar="LAYER", help="serve one layer, and do nothing else")
    options = parser.parse_args()
    if options.serve is not None:
        _serve(options.serve, with_profile=options.profile)
    else:
        _measure(options.clients, with_profile=options.profile)


if __name__ == "__main__":
    main()
