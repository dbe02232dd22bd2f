"""The demo: a day in the life of an example application, told as a table in the terminal."""

from __future__ import annotations

from time import perf_counter  # noqa: TID251 - the table sets real time beside virtual time
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    import httpx
    from starlette.types import Receive, Scope, Send

_TASKS = "/v1/codeq/tasks"
_HOOK = "http://app.test/hooks/done"
_START = "2026-01-31T12:00:00Z"
_SETTINGS = {"WEBHOOK_HMAC_SECRET": "demo-secret", "BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "5"}


class _Receiver:
    """The application's webhook endpoint: it is down for the first two callbacks."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        self.calls += 1
        status = 503 if self.calls <= 2 else 204  # noqa: PLR2004 - the story's two failures
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class _Story:
    """Plays the story on a fake, a row of the table for each thing that happens."""

    def __init__(self, fake: FakeCodeQ, http: httpx.Client, table: Table) -> None:
        self._fake = fake
        self._http = http
        self._table = table
        self._began = perf_counter()
        self._names: dict[str, str] = {}

    def create(self, name: str, told: str = "", **fields: Any) -> None:
        """A producer creates a task; ``told`` says how it is special."""
        reply = self._post(_TASKS, {"command": "GENERATE_MASTER", "payload": {"jobId": name}, **fields})
        self._names[reply["id"]] = name
        self._tell("producer", f"creates {name}{told}", reply["lastKnownLocation"])

    def claim(self, lease: int = 60) -> str:
        """The worker claims a task: its id."""
        reply = self._post(f"{_TASKS}/claim", {"leaseSeconds": lease})
        if not reply:
            raise AssertionError("the story expects a task here: the fake has a defect")
        self._tell("worker", f"claims for {lease} s", f"{self._names[reply['id']]}, attempts {reply['attempts']}")
        return str(reply["id"])

    def claim_in_vain(self) -> None:
        """The worker claims, and there is nothing."""
        reply = self._post(f"{_TASKS}/claim", {})
        self._tell("worker", "claims", self._names[reply["id"]] if reply else "nothing")

    def heartbeat(self, task_id: str, seconds: int) -> None:
        """The worker extends its lease."""
        self._post(f"{_TASKS}/{task_id}/heartbeat", {"extendSeconds": seconds})
        self._tell("worker", f"heartbeat for {self._names[task_id]}", f"{seconds} s more")

    def nack(self, task_id: str, reason: str, delay: int = 0) -> None:
        """The worker gives a task back."""
        reply = self._post(f"{_TASKS}/{task_id}/nack", {"delaySeconds": delay, "reason": reason})
        self._tell("worker", f"NACK: {reason}", f"{reply['status']}, delay {reply['delaySeconds']} s")

    def complete(self, task_id: str) -> None:
        """The worker completes a task."""
        reply = self._post(f"{_TASKS}/{task_id}/result", {"status": "COMPLETED", "result": {"pages": 3}})
        self._tell("worker", f"hands in {self._names[task_id]}", reply["status"])

    def fail(self, task_id: str, error: str) -> None:
        """The worker fails a task for good."""
        reply = self._post(f"{_TASKS}/{task_id}/result", {"status": "FAILED", "error": error})
        self._tell("worker", f"gives {self._names[task_id]} up: {error}", reply["status"])

    def pass_time(self, seconds: float, why: str) -> None:
        """Time passes at once."""
        self._fake.advance(seconds)
        self._tell("clock", f"+{seconds:g} s: {why}", "")

    def look(self, task_id: str) -> None:
        """Somebody looks at a task."""
        task = self._fake.task(task_id)
        error = f", {task.error}" if task.error else ""
        self._tell("look", f"at {self._names[task_id]}", f"{task.location}, attempts {task.attempts}{error}")

    def callbacks(self) -> None:
        """What became of the callbacks."""
        for callback in self._fake.callbacks:
            tries = ", ".join(f"{tried['status']} at :{tried['at'][17:19]}" for tried in callback["tries"])
            self._tell("webhook", f"callback is {callback['state']}", tries)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = self._http.post(path, json=body)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json() if reply.content else {}
        return answer

    def _tell(self, who: str, what: str, answer: str) -> None:
        real = f"{(perf_counter() - self._began) * 1000:.0f} ms"
        self._table.add_row(self._fake.now[11:19], real, who, what, answer)


def tell() -> None:
    """Play the story and print it."""
    table = Table(title="A day at a CodeQ server, on a clock that we move", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("virtual", no_wrap=True)
    table.add_column("real", justify="right", no_wrap=True)
    table.add_column("who", no_wrap=True)
    table.add_column("what")
    table.add_column("what comes of it", min_width=len("DELAYED_ZSET,"), overflow="fold")
    hooks = {"http://app.test": _Receiver()}
    with FakeCodeQ(now=_START, settings=_SETTINGS, webhooks=hooks) as fake, fake.client() as http:
        _play(_Story(fake, http, table))
    Console().print(table)
    Console().print("A minute of leases, retries and callbacks, and nobody waited for it.")


def _play(story: _Story) -> None:
    story.create("ordinary")
    story.create("urgent", ", priority 9", priority=9)
    story.create("hooked", ", with a webhook", priority=5, webhook=_HOOK)
    story.create("doomed", ", one attempt", maxAttempts=1)
    story.create("later", ", in 60 s", delaySeconds=60)

    urgent = story.claim(lease=20)
    story.pass_time(15, "the worker is busy")
    story.heartbeat(urgent, 20)
    story.pass_time(15, "the heartbeat saved it")
    story.complete(urgent)

    story.nack(story.claim(), "renderer is down", delay=5)
    story.pass_time(5, "the retry comes due")
    story.complete(story.claim())
    story.pass_time(6, "the webhook fails twice")
    story.callbacks()

    crashed = story.claim(lease=5)
    story.pass_time(6, "the worker has crashed")
    story.look(crashed)
    doomed = story.claim()
    story.look(crashed)
    story.nack(doomed, "cannot be done")
    story.look(doomed)
    story.pass_time(5, "its delay is over")
    story.complete(story.claim())

    story.claim_in_vain()
    story.pass_time(10, "a minute is over")
    story.fail(story.claim(), "no such job")
