"""Drives a fake one call after another, and records each call as one that may have taken its time."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codeq_contract.driver.webhooks import read_body
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, Call, Callback, Header, Identity, Recording
from codeq_contract.recordings.times import MILLISECOND, SECOND, moment_text, parse_moment
from codeq_contract.replay.credentials import credentials
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    import httpx

EPOCH = 1_800_000_000 * SECOND + 300 * MILLISECOND
SETTINGS = {
    "BACKOFF_POLICY": "fixed",
    "BACKOFF_BASE_SECONDS": "1",
    "RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "1",
    "WEBHOOK_HMAC_SECRET": "s3cret",
}
SCOPES = "codeq:claim codeq:heartbeat codeq:abandon codeq:nack codeq:result"
WORKERS = ("w0", "w1", "w2")
COMMANDS = ("A", "B")


@dataclass(frozen=True)
class Step:
    """One call after `wait` ms: what, by which worker, about which task; -1 is the last that the worker was given.

    It is recorded as sent `before` ms before it took effect, and as answered `after` ms later.
    """

    what: str
    worker: str = "w0"
    task: int = 0
    number: int = 0
    seconds: int = 3
    wait: int = 0
    before: int = 1
    after: int = 1
    lost: bool = False


def drive(steps: Iterable[Step], *, profile: str = "redis", settings: Mapping[str, str] | None = None) -> Recording:
    """Do all steps on a fake of its own, wait out the callbacks, and give what was recorded."""
    return asyncio.run(_drive(steps, header(profile, settings)))


def header(profile: str = "redis", settings: Mapping[str, str] | None = None) -> Header:
    workers = {name: Identity("worker", _claims(name, scope=SCOPES, eventTypes=["*"])) for name in WORKERS}
    identities = {"prod": Identity("producer", _claims("p")), **workers}
    return Header("driven", profile, EPOCH, {**SETTINGS, **(settings or {})}, None, None, identities)


def _claims(subject: str, **others: object) -> Mapping[str, Any]:
    return {"sub": subject, "tenantId": "acme", **others}


async def _drive(steps: Iterable[Step], header: Header) -> Recording:
    callbacks: list[Callback] = []

    async def webhook(scope: Any, receive: Any, send: Any) -> None:
        body = (await read_body(receive)).decode()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status = 500 if scope["path"].endswith("/flaky") and len(callbacks) % 2 else 200
        callbacks.append(Callback(parse_moment(fake.now), scope["method"], scope["path"], headers, body, status))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    known = credentials(header, None)
    fake = FakeCodeQ(
        profile=header.profile,
        settings=dict(header.settings),
        identities=known.identities,
        now=moment_text(EPOCH),
        webhooks={WEBHOOK_ORIGIN: webhook},
        seed=0,
    )
    async with fake.async_client() as http:
        driver = _Driver(fake, http)
        for step in steps:
            await driver.do(step)
        await fake.aadvance(seconds=20)
    return Recording(header, tuple(sorted(driver.calls, key=lambda call: call.sent)), tuple(callbacks))


class _Driver:
    def __init__(self, fake: FakeCodeQ, http: httpx.AsyncClient) -> None:
        self.fake = fake
        self.http = http
        self.calls: list[Call] = []
        self.tasks: list[str] = []
        self.given: defaultdict[str, list[str]] = defaultdict(list)

    async def do(self, step: Step) -> None:
        if step.wait:
            await self.fake.aadvance(seconds=step.wait / 1000)
        who, method, path, body = self._request(step)
        text = None if body is None else json.dumps(body)
        reply = await self.http.request(
            method, f"/v1/codeq/tasks{path}", content=text, headers={"authorization": f"Bearer {who}"}
        )
        for task_id in _ids(reply):
            known = self.given[who] if who in WORKERS else self.tasks
            if task_id not in known[-1:]:
                known.append(task_id)
        now = parse_moment(self.fake.now)
        self.calls.append(
            Call(
                number=len(self.calls) + 1,
                sent=now - step.before * MILLISECOND,
                answered=now + step.after * MILLISECOND,
                identity=who,
                method=method,
                path=f"/v1/codeq/tasks{path}",
                headers={},
                body=text,
                status=0 if step.lost else reply.status_code,
                reply_headers={},
                reply="" if step.lost else reply.text,
            )
        )

    def _request(self, step: Step) -> tuple[str, str, str, dict[str, Any] | None]:
        match step.what:
            case "create":
                return "prod", "POST", "", self._task(step)
            case "delayed":
                return "prod", "POST", "", {**self._task(step), "delaySeconds": step.seconds}
            case "keyed":
                return "prod", "POST", "", {**self._task(step), "idempotencyKey": f"k{step.number % 2}"}
            case "read":
                return "prod", "GET", f"/{self._chosen(step)}", None
            case _:
                return step.worker, "POST", *self._work(step)

    def _work(self, step: Step) -> tuple[str, dict[str, Any] | None]:
        task_id = self._chosen(step)
        commands = (COMMANDS[:1], COMMANDS, COMMANDS[1:])[step.number % 3]
        result = {"status": "FAILED", "error": "e"}
        bodies: dict[str, tuple[str, dict[str, Any] | None]] = {
            "claim": ("/claim", {"commands": commands, "leaseSeconds": step.seconds}),
            "claims": ("/claim/batch", {"commands": commands, "leaseSeconds": step.seconds, "count": 3}),
            "heartbeat": (f"/{task_id}/heartbeat", {"extendSeconds": step.seconds}),
            "abandon": (f"/{task_id}/abandon", None),
            "nack": (f"/{task_id}/nack", {"delaySeconds": step.number % 3}),
            "result": (f"/{task_id}/result", {"status": "COMPLETED", "result": {}}),
            "results": ("/batch/results", {"results": [{"taskId": task_id, **result}]}),
        }
        return bodies[step.what]

    def _chosen(self, step: Step) -> str:
        choice = self.given[step.worker] if step.task < 0 else self.tasks
        return choice[step.task % len(choice)] if choice else "none"

    def _task(self, step: Step) -> dict[str, Any]:
        webhooks = ("", f"{WEBHOOK_ORIGIN}/fine", f"{WEBHOOK_ORIGIN}/flaky")
        return {
            "command": COMMANDS[step.number % 2],
            "payload": {"n": len(self.calls)},
            "priority": step.number % 3,
            "maxAttempts": 3 + step.number % 3,
            "webhook": webhooks[step.number // 2 % 3],
        }


def _ids(reply: httpx.Response) -> Sequence[str]:
    if reply.status_code not in {200, 202}:
        return ()
    shown = reply.json()
    return [task["id"] for task in shown.get("tasks", [shown]) if "id" in task]
