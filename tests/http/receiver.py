"""A receiver of callbacks: an ASGI application that is mounted on a fake and answers as a test wants."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

ORIGIN = "http://hooks.test"
HOOK = f"{ORIGIN}/done"


@dataclass(frozen=True)
class Heard:
    """One request that came in. ``at`` is the fake's time."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers with the next of ``statuses``, a redirect being a status and a location, and 200 from then on."""

    statuses: list[int | tuple[int, str]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    clock: Callable[[], str] = lambda: ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.heard.append(Heard(request.method, request.url.path, dict(request.headers), body, self.clock()))
        answer = self.statuses.pop(0) if self.statuses else 200
        status, headers = answer if isinstance(answer, tuple) else (answer, "")
        await Response(status_code=status, headers={"location": headers} if headers else None)(scope, receive, send)

    @property
    def times(self) -> list[str]:
        """The minutes and seconds at which requests came in."""
        return [heard.at[14:-1] for heard in self.heard]
