"""How fast a server replies, by operation."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from codeq_contract.driver import Exchange
from codeq_contract.driver.requests import TASKS, Request
from codeq_contract.recordings.times import MILLISECOND

#: The method and the path of each operation.
OPERATIONS: Mapping[str, tuple[str, re.Pattern[str]]] = MappingProxyType(
    {
        "create": ("POST", re.compile(TASKS)),
        "claim": ("POST", re.compile(f"{TASKS}/claim")),
        "heartbeat": ("POST", re.compile(f"{TASKS}/[^/]+/heartbeat")),
        "result": ("POST", re.compile(f"{TASKS}/[^/]+/result")),
        "read": ("GET", re.compile(f"{TASKS}/[^/]+")),
    }
)


@dataclass(frozen=True, slots=True)
class Latency:
    """The times of some replies in milliseconds: the median, and what 99 of 100 do not exceed."""

    replies: int
    median: float
    p99: float

    @classmethod
    def of(cls, times: Iterable[int]) -> Latency:
        """The latency of these times in nanoseconds, of which there is at least one."""
        ordered = sorted(times)
        at = [round(ordered[min(int(part * len(ordered)), len(ordered) - 1)] / MILLISECOND, 2) for part in (0.5, 0.99)]
        return cls(len(ordered), *at)


def latencies(exchanges: Iterable[Exchange]) -> dict[str, Latency]:
    """The latency of each operation in its successful calls. Long polls are left out: they wait on purpose."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for exchange in exchanges:
        reply, operation = exchange.reply, _operation(exchange.request)
        if operation and HTTPStatus(200) <= reply.status < HTTPStatus(300):
            times[operation].append(reply.returned - reply.called)
    return {operation: Latency.of(times[operation]) for operation in OPERATIONS if times[operation]}


def _operation(request: Request) -> str:
    """The name of the operation, or nothing."""
    if b"waitSeconds" in (request.body or b""):
        return ""
    return next(
        (
            name
            for name, (method, path) in OPERATIONS.items()
            if method == request.method and path.fullmatch(request.path)
        ),
        "",
    )
