"""The yardstick: a fixed piece of Python that says how fast this machine is."""

from __future__ import annotations

import json
import time
from statistics import median

_REPETITIONS = 9
_ITEMS = 2_000


def yardstick_seconds() -> float:
    """The CPU seconds that the piece takes: dictionaries, text and JSON, which is what the fake spends its time on."""
    return median(_once() for _ in range(_REPETITIONS))


def _once() -> float:
    start = time.process_time()
    items = {f"task-{n}": {"id": n, "command": "BENCH", "priority": n % 10} for n in range(_ITEMS)}
    read = json.loads(json.dumps(items))
    found = sorted(read, key=lambda name: (read[name]["priority"], name))
    if len(found) != _ITEMS:
        raise RuntimeError("the yardstick lost items")
    return time.process_time() - start
