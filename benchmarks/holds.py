"""For how long each kind of call holds the event loop, with 200,000 tasks: `python -m benchmarks.holds [WORD ...]`.

It prints the longest hold in milliseconds of the loop's processor time, and how long the call took.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from codeq_fake.clocks import WallClock
from codeq_fake.control import Controls
from codeq_fake.core import Submission
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.serving.server import GC_THRESHOLDS

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

T = TypeVar("T")

TASKS = 200_000
RETRIES = 30_000
POLLS = 2_000
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND
_V1 = "/v1/codeq/tasks"
_DONE = Submission("COMPLETED", "{}")


class Bench:
    """A fake, and a client that calls it in this process."""

    def __init__(self, **config: Any) -> None:
        self.runtime = FakeServer(Config(**config), WallClock("manual"))
        self.controls = Controls(self.runtime)
        self._app = application(self.runtime)

    def create(self, count: int, command: str = "A", **fields: Any) -> None:
        """Create tasks; `{n}` in the command is their number."""
        now = self.runtime.clock.now()
        for n in range(count):
            self.runtime.broker.create(command.format(n=n), f"[{n}]", tenant="dev", now=now, **fields)

    def claim(self) -> str:
        """Claim a task, and return its id."""
        now = self.runtime.clock.now()
        task = self.runtime.broker.claim(
            ["A"], worker="worker-dev", event_types=["*"], tenant="dev", lease_seconds=60, now=now
        )
        return task.id if task is not None else ""

    async def call(self, method: str, path: str, *body: bytes) -> bytes:
        """The body of a reply."""
        sent: list[Any] = []
        parts = iter((*body, None))
        target, _, query = path.partition("?")

        async def receive() -> dict[str, Any]:
            for part in parts:
                return {"type": "http.request", "body": part or b"", "more_body": part is not None}
            await asyncio.Event().wait()
            return {}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "query_string": query.encode(),
            "headers": [(b"authorization", b"Bearer dev-token")],
            "server": ("127.0.0.1", 80),
        }
        await self._app(scope, receive, send)
        return b"".join(message.get("body", b"") for message in sent)


async def _measured(name: str, call: Callable[[], Awaitable[T]]) -> T:
    longest = [0.0]
    ticking = asyncio.create_task(_tick(longest))
    await asyncio.sleep(0.01)
    longest[0], began = 0.0, time.perf_counter()
    result = await call()
    await asyncio.sleep(0.005)
    ticking.cancel()
    print(f"{name:40} {longest[0] * 1000:7.0f} ms {time.perf_counter() - began:8.2f} s", flush=True)
    return result


async def _tick(longest: list[float]) -> None:
    before = time.thread_time()
    while True:
        await asyncio.sleep(0.001)
        now = time.thread_time()
        longest[0] = max(longest[0], now - before)
        before = now


async def state() -> None:
    """Read, restore and reset the state."""
    bench = Bench()
    bench.create(TASKS)
    text = await _measured("GET /_fake/state", lambda: bench.call("GET", "/_fake/state"))
    await _measured("PUT /_fake/state", lambda: bench.call("PUT", "/_fake/state", text))
    await _measured("POST /_fake/reset", lambda: bench.call("POST", "/_fake/reset"))


async def lists() -> None:
    """Lists, pages and metrics."""
    bench = Bench()
    bench.create(TASKS)
    for path in (
        "/_fake/tasks",
        f"/_fake/tasks?limit={TASKS}",
        "/_fake/tasks?command=B",
        "/_fake/queues",
        "/_fake/contract",
        "/metrics",
        "/_fake/",
        "/_fake/page/tasks",
        "/_fake/page/tasks?q=zzz",
    ):
        await _measured(f"GET {path}", partial(bench.call, "GET", path))


async def operations() -> None:
    """Operations of the contract."""
    bench = Bench()
    bench.create(TASKS)
    clean = partial(bench.call, "POST", "/v1/codeq/admin/tasks/cleanup")
    await _measured("create", lambda: bench.call("POST", _V1, b'{"command":"A","payload":1}'))
    await _measured("claim", lambda: bench.call("POST", f"{_V1}/claim", b'{"commands":["A"]}'))
    for _ in range(TASKS):
        bench.claim()
    await bench.runtime.advance(by=120 * _SECOND)
    await _measured("claim, all leases expired", lambda: bench.call("POST", f"{_V1}/claim", b'{"commands":["A"]}'))
    await bench.runtime.advance(by=2 * _DAY)
    await _measured("clean up one", lambda: clean(b'{"limit":1}'))
    await _measured("clean up all", lambda: clean(b'{"limit":1000000}'))


async def queues() -> None:
    """As many queues as tasks."""
    bench = Bench()
    bench.create(TASKS, "c{n}")
    for path in ("/_fake/queues", "/_fake/state", "/metrics", "/_fake/"):
        await _measured(f"GET {path}, a queue a task", partial(bench.call, "GET", path))


async def journals() -> None:
    """Full journals."""
    bench = Bench()
    for _ in range(10_000):
        await bench.call("POST", f"{_V1}/claim", b'{"commands":["A"],"x":"' + b"y" * 2000 + b'"}')
    for path in ("/_fake/requests", "/_fake/surprises", "/_fake/page/requests?q=zzz"):
        await _measured(f"GET {path}, 10,000 requests", partial(bench.call, "GET", path))


async def retries() -> None:
    """Many callbacks that fail at once."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    bench = Bench(mounts={"http://app.test": refuse})
    bench.create(RETRIES, webhook="http://app.test/")
    broker, now = bench.runtime.broker, bench.runtime.clock.now()
    for _ in range(RETRIES):
        broker.submit(bench.claim(), _DONE, worker="worker-dev", now=now)
    await _measured("30,000 callbacks begin", bench.runtime.carry_out_effects)
    await _measured("advance, 30,000 first tries", lambda: bench.runtime.advance(by=0))
    await _measured("advance, 30,000 retries", lambda: bench.runtime.advance(by=3 * _SECOND))


async def polls() -> None:
    """Many long polls on one queue."""
    bench = Bench()
    body = b'{"commands":["A"],"waitSeconds":30}'
    polling = [asyncio.create_task(bench.call("POST", f"{_V1}/claim", body)) for _ in range(POLLS)]
    await asyncio.sleep(0.1)
    await _measured("advance 5 s, 2,000 long polls", lambda: bench.runtime.advance(by=5 * _SECOND))
    bench.runtime.release()
    await asyncio.gather(*polling)


async def bodies() -> None:
    """Large bodies, decoded in the worker process."""
    bench = Bench(has_worker_process=True)
    for name, payload in (
        ("32 MB of small objects", b"[" + b",".join([b'{"a":1}'] * 4_000_000) + b"]"),
        ("18 MB of repeated keys", b"[" + b",".join([b'{"a":1,"a":2}'] * 1_300_000) + b"]"),
        ("20 MB of floats", b"[" + b",".join([b"0.123456789e-7"] * 1_300_000) + b"]"),
        ("60 MB of text", b'"' + b"a" * 60_000_000 + b'"'),
        ("60 MB of quotes", b'"' + b'\\"' * 30_000_000 + b'"'),
    ):
        body = b'{"command":"A","payload":' + payload + b"}"
        await _measured(f"create, {name}", partial(bench.call, "POST", _V1, body))
        await _measured(f"claim, {name}", lambda: bench.call("POST", f"{_V1}/claim", b'{"commands":["A"]}'))


_PARTS = (state, lists, operations, queues, journals, retries, polls, bodies)


def main(words: list[str]) -> None:
    """Measure the parts whose names are given, or all."""
    for part in _PARTS:
        if not words or part.__name__ in words:
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            asyncio.run(part())


if __name__ == "__main__":
    main(sys.argv[1:])
