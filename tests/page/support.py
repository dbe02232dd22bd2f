"""The fake that the page's tests look at, with a task in each state; and what a person reads of a document."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    from starlette.types import Receive, Scope, Send

NOW = "2026-01-31T12:00:00Z"
HOOK = "http://app.test/hooks/done"
TASKS = "/v1/codeq/tasks"

#: The header of a browser that sends a form of the page.
OWN = {"origin": "http://codeq.test"}


class Hook:
    """The webhook of an application, which is down for the first call."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.calls += 1
        status = 503 if self.calls == 1 else 204
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True)
class Story:
    """The ids of the tasks, by state."""

    ready: str
    delayed: str
    held: str
    completed: str
    failed: str
    dead: str


def tell(http: httpx.Client) -> Story:
    """Create the tasks, as producer and worker; this takes a second of the fake's time."""

    def post(path: str, **body: Any) -> Any:
        reply = http.post(TASKS + path, json=body)
        return reply.json() if reply.content else None

    def claimed(command: str, **fields: Any) -> str:
        post("", command=command, payload={"jobId": command.lower()}, **fields)
        task = post("/claim", commands=[command], leaseSeconds=60)
        return str(task["id"])

    completed = claimed("PACK", webhook=HOOK)
    post(f"/{completed}/result", status="COMPLETED", result={"boxes": [1, 2]})
    http.post("/_fake/clock/advance", json={"seconds": 1})
    failed = claimed("PRINT")
    post(f"/{failed}/result", status="FAILED", error="out of ink")
    dead = claimed("BURN", maxAttempts=1)
    post(f"/{dead}/nack", reason="too hot")
    held = claimed("RENDER", priority=9)
    ready = post("", command="RENDER", payload={"jobId": "ready"}, priority=3)["id"]
    delayed = post("", command="RENDER", payload={"jobId": "later"}, delaySeconds=90)["id"]
    post("/unknown/heartbeat")
    return Story(ready, delayed, held, completed, failed, dead)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(document: str) -> _Reader:
    reader = _Reader()
    reader.feed(document)
    return reader


def text(document: str) -> str:
    """The text of a document, with single blanks."""
    return " ".join(_read(document).text.split())


def links(document: str) -> list[str]:
    """The links, files and form targets of a document."""
    return _read(document).links
