"""For how long each kind of call holds the event loop: `python -m benchmarks.holds [--tasks N] [PART ...]`.

It prints the longest hold in milliseconds of the loop's processor time, and how long the call took.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import codeq_fake.compat.anyio
import codeq_fake.serving.fake_router  # noqa: F401 - a server has loaded both before it is asked for
from codeq_fake.clocks import WallClock
from codeq_fake.control.controls import Controls
from codeq_fake.core import Submission
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.serving.application import application
from codeq_fake.serving.server import GC_THRESHOLDS

from .rows import under

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from .effort import Effort
    from .rows import Row

T = TypeVar("T")

_TASKS = 200_000
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

    async def call(self, method: str, path: str, *body: bytes) -> list[bytes]:
        """The parts of a reply's body. To join them here would hold the loop, too."""
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
        return [message.get("body", b"") for message in sent]


class Hold(NamedTuple):
    """The longest hold of the loop in a call (s of processor time), and how long the call took (s)."""

    longest: float
    took: float


class Holds:
    """The longest hold in each call that was watched."""

    def __init__(self) -> None:
        self.by_call: dict[str, Hold] = {}

    async def watch(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call."""
        longest = [0.0]
        ticking = asyncio.create_task(_tick(longest))
        await asyncio.sleep(0.01)
        longest[0], began = 0.0, time.perf_counter()
        result = await call()
        took = time.perf_counter() - began
        await asyncio.sleep(0.005)
        ticking.cancel()
        self.by_call[name] = Hold(longest[0], took)
        return result


async def _tick(longest: list[float]) -> None:
    before = time.thread_time()
    while True:
        await asyncio.sleep(0.001)
        now = time.thread_time()
        longest[0] = max(longest[0], now - before)
        before = now


async def state(holds: Holds, tasks: int) -> None:
    """Read, restore and reset the state."""
    bench = Bench()
    bench.create(tasks)
    text = await holds.watch("GET /_fake/state", lambda: bench.call("GET", "/_fake/state"))
    await holds.watch("PUT /_fake/state", lambda: bench.call("PUT", "/_fake/state", *text))
    await holds.watch("POST /_fake/reset", lambda: bench.call("POST", "/_fake/reset"))


async def lists(holds: Holds, tasks: int) -> None:
    """Lists, pages and metrics."""
    bench = Bench()
    paths = (
        "/_fake/tasks",
        f"/_fake/tasks?limit={tasks}",
        "/_fake/tasks?command=B",
        "/_fake/queues",
        "/_fake/contract",
        "/metrics",
        "/_fake/",
        "/_fake/page/tasks",
        "/_fake/page/tasks?q=zzz",
    )
    for path in paths:
        await bench.call("GET", path)  # a server loads modules and templates ahead, in a thread
    bench.create(tasks)
    for path in paths:
        await holds.watch(f"GET {path}", partial(bench.call, "GET", path))


async def operations(holds: Holds, tasks: int) -> None:
    """Operations of the contract."""
    bench = Bench()
    bench.create(tasks)
    clean = partial(bench.call, "POST", "/v1/codeq/admin/tasks/cleanup")
    await holds.watch("create", lambda: bench.call("POST", _V1, b'{"command":"A","payload":1}'))
    await holds.watch("claim", lambda: bench.call("POST", f"{_V1}/claim", b'{"commands":["A"]}'))
    for _ in range(tasks):
        bench.claim()
    await bench.runtime.advance(by=120 * _SECOND)
    await holds.watch("claim, all leases expired", lambda: bench.call("POST", f"{_V1}/claim", b'{"commands":["A"]}'))
    await bench.runtime.advance(by=2 * _DAY)
    await holds.watch("clean up one", lambda: clean(b'{"limit":1}'))
    await holds.watch("clean up all", lambda: clean(b'{"limit":1000000}'))


async def queues(holds: Holds, tasks: int) -> None:
    """As many queues as tasks."""
    bench = Bench()
    bench.create(tasks, "c{n}")
    for path in ("/_fake/queues", "/_fake/state", "/metrics", "/_fake/"):
        await holds.watch(f"GET {path}, a queue a task", partial(bench.call, "GET", path))


async def journals(holds: Holds, _tasks: int) -> None:
    """Full journals."""
    bench = Bench()
    for _ in range(10_000):
        await bench.call("POST", f"{_V1}/claim", b'{"commands":["A"],"x":"' + b"y" * 2000 + b'"}')
    for path in ("/_fake/requests", "/_fake/surprises", "/_fake/page/requests?q=zzz"):
        await holds.watch(f"GET {path}, 10,000 requests", partial(bench.call, "GET", path))


async def retries(holds: Holds, _tasks: int) -> None:
    """Many callbacks that fail at once."""

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    bench = Bench(mounts={"http://app.test": refuse})
    bench.create(RETRIES, webhook="http://app.test/")
    broker, now = bench.runtime.broker, bench.runtime.clock.now()
    for _ in range(RETRIES):
        broker.submit(bench.claim(), _DONE, worker="worker-dev", now=now)
    await holds.watch("30,000 callbacks begin", bench.runtime.carry_out_effects)
    await holds.watch("advance, 30,000 first tries", lambda: bench.runtime.advance(by=0))
    await holds.watch("advance, 30,000 retries", lambda: bench.runtime.advance(by=3 * _SECOND))


async def polls(holds: Holds, _tasks: int) -> None:
    """Many long polls on one queue."""
    bench = Bench()
    body = b'{"commands":["A"],"waitSeconds":30}'
    polling = [asyncio.create_task(bench.call("POST", f"{_V1}/claim", body)) for _ in range(POLLS)]
    await asyncio.sleep(0.1)
    await holds.watch("advance 5 s, 2,000 long polls", lambda: bench.runtime.advance(by=5 * _SECOND))
    bench.runtime.release()
    await asyncio.gather(*polling)


async def bodies(holds: Holds, _tasks: int) -> None:
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
        await holds.watch(f"create, {name}", partial(bench.call, "POST", _V1, body))
        await holds.watch(f"claim, {name}", lambda: bench.call("POST", f"{_V1}/claim", b'{"commands":["A"]}'))


_PARTS = (state, lists, operations, queues, journals, retries, polls, bodies)


def measure(effort: Effort) -> list[Row]:
    """The row. The calls are made in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh_process:
        parts = [fresh_process.submit(holds_of, part, effort.held).result() for part in (state, lists, operations)]
    longest, name = max((hold.longest, name) for part in parts for name, hold in part.items())
    what = f"longest hold of the event loop in any call, {effort.held:,} tasks"
    return [under(20, what, longest * 1000, " ms", remark=name)]


def holds_of(part: Callable[[Holds, int], Coroutine[Any, Any, None]], tasks: int) -> dict[str, Hold]:
    """The holds in each call of a part."""
    holds = Holds()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    asyncio.run(part(holds, tasks))
    return holds.by_call


def main() -> None:
    """Measure the parts whose names are given, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.holds", description="Measure the holds of the loop.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(part.__name__ for part in _PARTS))
    parser.add_argument("--tasks", type=int, default=_TASKS)
    options = parser.parse_args()
    for part in _PARTS:
        if not options.parts or part.__name__ in options.parts:
            for name, hold in holds_of(part, options.tasks).items():
                print(f"{name:40} {hold.longest * 1000:7.0f} ms {hold.took:8.2f} s", flush=True)


if __name__ == "__main__":
    main()
