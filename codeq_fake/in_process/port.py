"""The port of a fake in this process: serves it to other processes as well, in a background thread."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from functools import partial

from starlette.types import ASGIApp

from codeq_fake.runtime.fake_server import FakeServer

from .event_loop import Home


class Port:
    """Where a fake is served, while it is."""

    def __init__(self, home: Home, runtime: FakeServer) -> None:
        self._home = home
        self._runtime = runtime
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The URL under which the fake is served. Raises RuntimeError outside of `serve`."""
        if self._url is None:
            raise RuntimeError("this fake is on no port: use the fixture codeq_server, or `with fake.serve():`")
        return self._url

    @contextmanager
    def serve(self, app: ASGIApp, host: str, port: int) -> Iterator[None]:
        """Serve `app`, the application of the fake, as long as the context lasts. Raises PortTakenError."""
        from codeq_fake.serving.server import listen, served  # noqa: PLC0415 - uvicorn takes a tenth of a second to import

        async def start() -> AbstractAsyncContextManager[str]:
            context = served(app, self._runtime, listen(host, port))
            self._url = await context.__aenter__()
            return context

        server = self._home.block(start, in_loops=True)
        leave = ExitStack()
        leave.callback(self._leave, server)
        atexit.register(leave.close)  # a program may never leave this context, and at its very end no thread can stop
        try:
            yield
        finally:
            atexit.unregister(leave.close)
            leave.close()

    def _leave(self, server: AbstractAsyncContextManager[str]) -> None:
        """Stop serving, unless this is a fork that unwinds: the server belongs to the process that has it."""
        self._url = None
        if not self._home.is_copy:
            self._home.block(partial(server.__aexit__, None, None, None), in_loops=True)
