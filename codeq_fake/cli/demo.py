"""`codeq-fake demo`: an example application with a producer, a worker and a webhook, printed as a table."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter  # noqa: TID251 - the table shows real time beside virtual time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import httpx
    from rich.table import Table
    from starlette.types import Receive, Scope, Send

    from codeq_fake.testing import FakeCodeQ

_TASKS = "/v1/codeq/tasks"
#: Where a task is -> its state in a word. What has no place is ended, as its status says.
_STATES: Mapping[str, str] = {
    "PENDING_LIST": "ready",
    "DELAYED_ZSET": "delayed",
    "INPROG_SET": "leased",
    "DLQ_SET": "dead",
}
_SETTINGS = {"WEBHOOK_HMAC_SECRET": "demo-secret", "BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "5"}


@click.command()
def demo() -> None:
    """Run an example application and print what happens.

    A table of tasks, leases, retries, a dead letter and webhooks, in the fake's time and in real time.
    """
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - --help loads no tables, no server and no HTTP client
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    from codeq_fake.testing import FakeCodeQ  # noqa: PLC0415 - as above

    table = Table(title="An example application on a manual clock", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("virtual", no_wrap=True)
    table.add_column("real", justify="right", no_wrap=True)
    table.add_column("who", no_wrap=True)
    table.add_column("what")
    table.add_column("result", overflow="fold")
    webhooks = {"http://app.test": _Webhook()}
    with FakeCodeQ(now="2026-01-31T12:00:00Z", settings=_SETTINGS, webhooks=webhooks) as fake, fake.client() as http:
        _Application(fake, http, table).run()
    Console().print(table)
    Console().print("A minute of leases, retries and callbacks, without waiting.")
    Console().print("Next: run `codeq-fake serve`, and open the page that it names.")


class _Webhook:
    """The application's webhook endpoint, which is down for the first two callbacks."""

    def __init__(self) -> None:
        self._statuses = iter([503, 503])

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": next(self._statuses, 204), "headers": []})
        await send({"type": "http.response.body", "body": b""})


class _Application:
    """The producer and the worker; each step adds a row to the table."""

    def __init__(self, fake: FakeCodeQ, http: httpx.Client, table: Table) -> None:
        self._fake = fake
        self._http = http
        self._table = table
        self._began = perf_counter()
        self._names: dict[str, str] = {}

    def run(self) -> None:
        """Play the whole story: five tasks, one for each way in which a task can go."""
        self._create("ordinary")
        self._create("urgent", ", priority 9", priority=9)
        self._create("hooked", ", with a webhook", priority=5, webhook="http://app.test/hooks/done")
        self._create("doomed", ", one attempt", maxAttempts=1)
        self._create("later", ", in 60 s", delaySeconds=60)

        urgent = self._claim(lease=20)
        self._advance(15, "the worker is busy")
        self._post(f"/{urgent}/heartbeat", extendSeconds=20)
        self._row("worker", "heartbeat for urgent", "20 s more")
        self._advance(15, "the lease is still valid")
        self._submit(urgent)

        self._nack(self._claim(), "renderer is down", delay=5)
        self._advance(5, "the retry is due")
        self._submit(self._claim())
        self._advance(6, "the webhook fails twice")
        for callback in self._fake.callbacks:
            tries = ", ".join(f"{tried['status']} at :{tried['at'][17:19]}" for tried in callback["tries"])
            self._row("webhook", f"callback is {callback['state']}", tries)

        crashed = self._claim(lease=5)
        self._advance(6, "the worker has crashed")
        self._show(crashed)
        doomed = self._claim()
        self._show(crashed)
        self._nack(doomed, "cannot be done")
        self._show(doomed)
        self._advance(5, "its delay is over")
        self._submit(self._claim())
        self._claim()
        self._advance(10, "a minute is over")
        self._submit(self._claim(), status="FAILED", error="no such job")

    def _create(self, name: str, about: str = "", **fields: Any) -> None:
        task = self._post("", command="GENERATE_MASTER", payload={"jobId": name}, **fields)
        self._names[task["id"]] = name
        self._row("producer", f"creates {name}{about}", _STATES[task["lastKnownLocation"]])

    def _claim(self, lease: int = 60) -> str:
        task = self._post("/claim", leaseSeconds=lease)
        claimed = f"{self._names[task['id']]}, attempts {task['attempts']}" if task else "nothing"
        self._row("worker", f"claims for {lease} s", claimed)
        return str(task.get("id", ""))

    def _nack(self, task_id: str, reason: str, delay: int = 0) -> None:
        reply = self._post(f"/{task_id}/nack", delaySeconds=delay, reason=reason)
        self._row("worker", f"NACK: {reason}", f"{reply['status']}, delay {reply['delaySeconds']} s")

    def _submit(self, task_id: str, status: str = "COMPLETED", **fields: Any) -> None:
        reply = self._post(f"/{task_id}/result", **({"status": status, "result": {"pages": 3}} | fields))
        self._row("worker", f"submits {self._names[task_id]}", reply["status"])

    def _advance(self, seconds: float, why: str) -> None:
        self._fake.advance(seconds)
        self._row("clock", f"+{seconds:g} s: {why}", "")

    def _show(self, task_id: str) -> None:
        task = self._fake.task(task_id)
        error = f", {task.error}" if task.error else ""
        state = _STATES.get(task.location) or task.status.lower()
        self._row("task", self._names[task_id], f"{state}, attempts {task.attempts}{error}")

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        reply = self._http.post(f"{_TASKS}{path}", json=body).raise_for_status()
        answer: dict[str, Any] = reply.json() if reply.content else {}
        return answer

    def _row(self, role: str, event: str, result: str) -> None:
        real = f"{(perf_counter() - self._began) * 1000:.0f} ms"
        self._table.add_row(self._fake.now[11:19], real, role, event, result)
