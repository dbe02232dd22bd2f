"""A recorded scenario that a test can edit, and the fake that records it.

The scenario breaks no law. A test changes what was recorded, and says which laws are broken then.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from codeq_contract.checker import CheckResult, check
from codeq_contract.driver.webhooks import read_body
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, Call, Callback, Header, Identity, Recording
from codeq_contract.recordings.times import MILLISECOND, SECOND, moment_text, parse_moment
from codeq_contract.replay.recorded_values import credentials
from codeq_fake.testing import FakeCodeQ, Profile

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
    """One call after `wait` ms, by `worker`, about the task of that number. -1 is the last one delivered to the worker.

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
    """Do all steps on a new fake, wait for the callbacks, and return the recording."""
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
        profile=cast("Profile", header.profile),
        settings=dict(header.settings),
        identities=known.identities,
        now=moment_text(EPOCH),
        webhooks={WEBHOOK_ORIGIN: webhook},
        seed=0,
    )
    async with fake.async_client() as http:
        client = _Client(fake, http)
        for step in steps:
            await client.do(step)
        await fake.aadvance(seconds=20)
    return Recording(header, tuple(sorted(client.calls, key=lambda call: call.sent)), tuple(callbacks))


class _Client:
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


#: Everything that the laws are about, done right. Each of the five tasks has the name of its create. `late` becomes a
#: dead letter, the others are completed.
SCENARIO = {
    "low": Step("create", number=0, wait=100),
    "late": Step("create", number=0, wait=100),
    "high": Step("create", number=2, wait=100),
    "middle": Step("create", number=4, wait=100),
    "delayed": Step("delayed", number=0, seconds=4, wait=100),
    "claim high": Step("claim", "w0", seconds=4, wait=100),
    "heartbeat high": Step("heartbeat", "w0", -1, seconds=5, wait=500),
    "end high": Step("result", "w0", -1, wait=500),
    "claim middle": Step("claim", "w1", seconds=3, wait=100),
    "nack middle": Step("nack", "w1", -1, number=2, wait=100),
    "claim low": Step("claim", "w1", seconds=3, wait=100),
    "abandon low": Step("abandon", "w1", -1, wait=100),
    "claim late": Step("claim", "w2", seconds=2, wait=100),
    "claim low again": Step("claim", "w0", seconds=4, wait=100),
    "read low": Step("read", task=0, wait=100),
    "end low": Step("result", "w0", -1, wait=100),
    "empty claim": Step("claim", "w0", wait=100),
    "claim middle again": Step("claim", "w0", wait=2500),
    "end middle": Step("result", "w0", -1, wait=100),
    "claim delayed": Step("claim", "w1", wait=1500),
    "end delayed": Step("result", "w1", -1, wait=100),
    "claim late again": Step("claim", "w1", wait=100),
    "nack late": Step("nack", "w1", -1, wait=100),
    "last claim": Step("claim", "w1", wait=3000),
}


class EditedHistory:
    """A copy of a recording whose calls have the names of their steps."""

    def __init__(self, recording: Recording, names: Iterable[str]) -> None:
        self.recording = recording
        ordered = sorted(recording.calls, key=lambda call: call.number)
        self.calls: dict[str, Call] = dict(zip(names, ordered, strict=True))
        self.callbacks = list(recording.callbacks)

    def id_of(self, create: str) -> str:
        """The id of the task of a create."""
        task_id: str = json.loads(self.calls[create].reply)["id"]
        return task_id

    def change(self, name: str, **changes: Any) -> None:
        """Change fields of a recorded call."""
        self.calls[name] = replace(self.calls[name], **changes)

    def show(self, name: str, **fields: object) -> None:
        """Change fields in the reply of a call."""
        self.change(name, reply=json.dumps({**json.loads(self.calls[name].reply), **fields}))

    def ask(self, name: str, **fields: object) -> None:
        """Change fields in the body of a call."""
        self.change(name, body=json.dumps({**json.loads(self.calls[name].body or "{}"), **fields}))

    def shift(self, name: str, ms: int) -> None:
        """Move a call by `ms`."""
        call = self.calls[name]
        self.change(name, sent=call.sent + ms * MILLISECOND, answered=call.answered + ms * MILLISECOND)

    def repeat(self, name: str, copy: str, *, ms: int, who: str | None = None, **fields: object) -> None:
        """Record a call again under another name, `ms` later, by another caller, with other fields in its reply."""
        call = self.calls[name]
        self.calls[copy] = replace(call, number=len(self.calls) + 1, identity=who or call.identity)
        self.shift(copy, ms)
        if fields:
            self.show(copy, **fields)

    def drop(self, *names: str) -> None:
        """Remove calls."""
        for name in names:
            del self.calls[name]

    def lose(self, name: str) -> None:
        """Remove the reply of a call."""
        self.change(name, status=0, reply="")

    def check(self, only: Iterable[int] | None = None) -> CheckResult:
        """Check all calls, or `only` those with these numbers."""
        kept = [call for call in self.calls.values() if only is None or call.number in only]
        calls = tuple(sorted(kept, key=lambda call: call.sent))
        return check(replace(self.recording, calls=calls, callbacks=tuple(self.callbacks)))

    def broken_laws(self) -> Mapping[str, set[str]]:
        """The broken laws, each with the names of the tasks that it was broken with."""
        names = {self.id_of(name): name for name, call in self.calls.items() if call.status == 202}
        broken: dict[str, set[str]] = {}
        for law, violation in self.check().violations:
            broken.setdefault(law, set()).add(names.get(violation.task_id, violation.task_id))
        return broken
