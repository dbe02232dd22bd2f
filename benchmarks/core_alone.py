"""The core without HTTP: cycles a second by how many tasks wait, and the memory of a task that waits."""

from __future__ import annotations

import gc
import resource
import sys
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import median
from typing import TYPE_CHECKING

from codeq_fake.core import PROFILES, Broker, Submission
from codeq_fake.core.settings import CoreSettings
from codeq_fake.http import bodies
from codeq_fake.runtime.ids import RandomSource
from codeq_fake.serving.server import GC_THRESHOLDS
from codeq_fake.wire import decode

from .driver import TASK
from .rows import at_least, under

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from .effort import Effort
    from .rows import Row

_FEW = 1_000
_START = 1_800_000_000_000_000_000  # ns
_STEP = 1_000_000  # ns from one operation to the next
_COMMAND = str(TASK["command"])
_PAYLOAD = '{"jobId":"job-123","size":42}'
_DONE = Submission(status="COMPLETED", result='{"ok":true}')
#: A create whose payload takes 100 bytes.
_CREATE_100 = b'{"command":"BENCH","payload":"' + b"x" * 98 + b'"}'
_TRACED = 20_000
_KIB = 1024


def measure(effort: Effort) -> list[Row]:
    """The rows. Two brokers, each in a separate process, take turns."""
    with _broker_at(_FEW) as cycles_at_few, _broker_at(effort.core_waiting) as cycles_at_many:
        rounds = [(cycles_at_few(effort.cycles), cycles_at_many(effort.cycles)) for _ in range(effort.rounds)]
    few, many = map(median, zip(*rounds, strict=True))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh_process:
        resident, traced = fresh_process.submit(_bytes_a_task, effort.stored).result()
    return [
        at_least(30_000, f"core alone, {_FEW:,} tasks waiting", few, " cycles/s", remark="a CPU second"),
        at_least(
            0.8,
            f"the same with {effort.core_waiting:,} waiting",
            median(at_many / at_few for at_few, at_many in rounds),
            remark=f"{many:,.0f} cycles/s",
        ),
        under(
            0.7,
            "memory of a waiting task with a payload of 100 bytes",
            resident / _KIB,
            " KB",
            remark=f"{traced / _KIB:.2f} KB by tracemalloc",
        ),
    ]


@contextmanager
def _broker_at(waiting: int) -> Iterator[Callable[[int], float]]:
    """A broker with this many waiting tasks, as a function that runs some cycles and returns their rate a second."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run_cycles, args=(there, waiting))
    process.start()

    def cycles_a_second(count: int) -> float:
        here.send(count)
        return count / float(here.recv())

    here.recv()
    try:
        yield cycles_a_second
    finally:
        here.send(0)
        process.join()


def _run_cycles(orders: Connection, waiting: int) -> None:
    """Fill a broker and report it. Then answer each order for some cycles with the CPU seconds that they took."""
    _collect_as_the_server_does()
    broker = _new_broker()
    now = _START
    for _ in range(waiting):
        now += _STEP
        broker.create(_COMMAND, _PAYLOAD, tenant="dev", priority=5, now=now)
    orders.send(None)
    while count := orders.recv():
        start = time.process_time()
        for _ in range(count):
            now += _STEP
            _cycle(broker, now)
        orders.send(time.process_time() - start)


def _cycle(broker: Broker, now: int) -> None:
    broker.create(_COMMAND, _PAYLOAD, tenant="dev", priority=5, now=now)
    task = broker.claim((_COMMAND,), worker="dev", event_types=("*",), tenant="dev", lease_seconds=60, now=now)
    if task is None:
        raise RuntimeError("no task to claim")
    broker.submit(task.id, _DONE, worker="dev", now=now)


def _bytes_a_task(count: int) -> tuple[float, float]:
    """The bytes that a waiting task adds to the resident memory, and those that Python allocates for it."""
    _collect_as_the_server_does()
    before = _resident_bytes()
    kept = _fill(count)
    resident = (_resident_bytes() - before) / count
    tracemalloc.start()
    kept = _fill(_TRACED)
    traced, _ = tracemalloc.get_traced_memory()
    return resident, traced / len(kept.store.tasks)


def _fill(count: int) -> Broker:
    broker = _new_broker()
    for n in range(count):
        # Each task is read from bytes, so that tasks share no more than they do in requests.
        broker.create(tenant="dev", now=_START + n * _STEP, **decode(_CREATE_100, bodies.CREATE))
    return broker


def _resident_bytes() -> int:
    """The largest resident size of this process so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * _KIB


def _new_broker() -> Broker:
    source = RandomSource(seed=1)
    return Broker(settings=CoreSettings(), profile=PROFILES["redis"], ids=source, jitter=source, now=_START)


def _collect_as_the_server_does() -> None:
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
