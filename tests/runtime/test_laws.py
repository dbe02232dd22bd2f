"""Laws of time under random calls: the size of the steps does not matter, and the state is complete."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeq_fake.clocks import let_tasks_run
from codeq_fake.testing import FakeCodeQ

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import httpx
    from starlette.types import Receive, Scope, Send

NOW = "2026-01-31T12:00:00.3Z"
SETTINGS = {"BACKOFF_POLICY": "fixed", "BACKOFF_BASE_SECONDS": "2", "WEBHOOK_HMAC_SECRET": "s"}
LIMITS = "rateLimit: {producer: {requestsPerMinute: 30, burstSize: 5}, webhook: {requestsPerMinute: 60, burstSize: 2}}"
LONGEST_POLL = 5


class Call(NamedTuple):
    """A call of a script: the pause before it (ms), the operation and its body."""

    pause: int
    kind: str
    body: dict[str, Any]


def _calls(kind: str, **body: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.builds(Call, st.integers(0, 4000), st.just(kind), st.fixed_dictionaries(body))


COMMANDS = st.sampled_from(["A", "GENERATE_MASTER"])
CALLS = st.one_of(
    _calls(
        "create",
        command=COMMANDS,
        priority=st.integers(0, 2),
        delaySeconds=st.sampled_from([0, 0, 1, 3]),
        webhook=st.sampled_from(["", "http://app.test/done"]),
        maxAttempts=st.sampled_from([0, 3]),
        idempotencyKey=st.sampled_from(["", "", "k"]),
    ),
    _calls(
        "claim",
        commands=st.lists(COMMANDS, max_size=2),
        waitSeconds=st.sampled_from([0, 1, LONGEST_POLL]),
        leaseSeconds=st.sampled_from([1, 3, 60]),
    ),
    _calls("heartbeat", extendSeconds=st.sampled_from([1, 10])),
    _calls("abandon"),
    _calls("nack", delaySeconds=st.sampled_from([0, 1])),
    _calls("result", status=st.just("COMPLETED"), result=st.just({"a": 1})),
    _calls(
        "subscribe",
        callbackUrl=st.just("http://app.test/ready"),
        ttlSeconds=st.sampled_from([2, 70]),
        minIntervalSeconds=st.sampled_from([1, 5]),
        deliveryMode=st.sampled_from(["fanout", "group", "hash"]),
        groupId=st.just("g"),
    ),
)
SCRIPTS = st.lists(CALLS, max_size=12)


@dataclass
class Play:
    """A script being played on a fake. Whether a callback is taken depends on what it says and when."""

    fake: FakeCodeQ
    http: httpx.AsyncClient
    heard: list[tuple[str, bytes]]
    ids: int = 0
    queued: str = ""
    held: list[str] = field(default_factory=list)
    answers: list[tuple[str, int, bytes]] = field(default_factory=list)
    polls: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    def begin(cls) -> Play:
        heard: list[tuple[str, bytes]] = []

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            heard.append((fake.now, (await receive())["body"]))
            status = 200 if crc32(repr(heard[-1]).encode()) % 3 == 0 else 503
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        fake = FakeCodeQ(now=NOW, seed=1, settings=SETTINGS, yaml=LIMITS, webhooks={"http://app.test": app})
        return cls(fake, fake.async_client(timeout=None), heard)

    async def restored(self) -> Play:
        """Another fake with this one's state, and nothing else from it."""
        other = Play.begin()
        other.fake.restore(json.loads(json.dumps(self.fake.state())))
        other.ids, other.queued, other.held = self.ids, self.queued, list(self.held)
        other.fake.next(ids=[other.queued] if other.queued else [])
        return other

    async def play(self, script: Iterable[Call], steps: Sequence[int] = ()) -> None:
        """Play a script; each pause is an advance for each of the ``steps``, and one for the rest."""
        for call in script:
            await self.pause(call.pause, steps)
            match call.kind:
                case "claim" if call.body["waitSeconds"]:
                    self.polls.append(asyncio.create_task(self._claim(call.body)))
                    await let_tasks_run()
                case "claim":
                    await self._claim(call.body)
                case "create":
                    await self._make("/tasks", call.body)
                case "subscribe":
                    await self._make("/workers/subscriptions", call.body)
                case kind if self.held:
                    task = self.held[-1] if kind == "heartbeat" else self.held.pop()
                    await self._post(f"/tasks/{task}/{kind}", call.body)
                case _:
                    pass

    async def pause(self, milliseconds: int, steps: Sequence[int] = ()) -> None:
        for step in steps:
            await self.fake.aadvance(min(step, milliseconds) / 1000)
            milliseconds -= min(step, milliseconds)
        await self.fake.aadvance(milliseconds / 1000)

    async def ended(self, steps: Sequence[int] = ()) -> dict[str, Any]:
        """All that is visible, much later."""
        await self.pause(300_000, steps)
        await asyncio.gather(*self.polls)
        return {**self.fake.state(), "heard": self.heard, "answers": self.answers}

    async def _make(self, path: str, body: dict[str, Any]) -> None:
        # Named, because a state does not contain how many ids were made before.
        if not self.queued:
            self.ids += 1
            self.queued = f"id-{self.ids}"
            self.fake.next(ids=[self.queued])
        if self.queued.encode() in await self._post(path, body):
            self.queued = ""

    async def _claim(self, body: dict[str, Any]) -> None:
        reply = await self._post("/tasks/claim", body)
        if reply:
            self.held.append(json.loads(reply)["id"])

    async def _post(self, path: str, body: dict[str, Any]) -> bytes:
        reply = await self.http.post(f"/v1/codeq{path}", json=body)
        self.answers.append((self.fake.now, reply.status_code, reply.content))
        return reply.content


@pytest.mark.slow
@settings(max_examples=30)
@given(script=SCRIPTS, steps=st.lists(st.integers(0, 2000), min_size=1, max_size=4))
def test_several_small_advances_equal_one_large_advance(script: list[Call], steps: list[int]) -> None:
    async def law() -> None:
        at_once, in_steps = Play.begin(), Play.begin()
        await at_once.play(script)
        await in_steps.play(script, steps)
        assert await in_steps.ended(steps) == await at_once.ended()

    asyncio.run(law())


@pytest.mark.slow
@settings(max_examples=30)
@given(before=SCRIPTS, after=SCRIPTS)
def test_a_restored_state_behaves_like_the_original(before: list[Call], after: list[Call]) -> None:
    async def law() -> None:
        first = Play.begin()
        await first.play(before)
        await first.pause(LONGEST_POLL * 1000)  # a state does not contain polls and deliveries under way
        state = first.fake.state()
        second = await first.restored()
        assert second.fake.state() == state
        first.heard.clear()
        first.answers.clear()
        await first.play(after)
        await second.play(after)
        assert await first.ended() == await second.ended()

    asyncio.run(law())
