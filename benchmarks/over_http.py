"""Requests a second over HTTP: against a bare echo, and with many tasks waiting."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from .rows import at_least
from .servers import echo, fake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .effort import Effort
    from .rows import Row

_CLIENTS = (1, 32)
_CYCLE = "create+claim+complete over HTTP"


def measure(effort: Effort) -> list[Row]:
    """The rows. The servers take turns, so that other work of this machine slows all of them."""
    with echo() as yardstick, fake() as empty, fake() as full:
        full.fill(effort.waiting)
        servers = (yardstick, empty, full)
        rounds = {
            clients: [
                [server.load(clients=clients, seconds=effort.seconds).rate for server in servers]
                for _ in range(effort.rounds)
            ]
            for clients in _CLIENTS
        }
    return [
        *(
            _compare(f"{_CYCLE} against a JSON echo, {_named(clients)}", [(empty, echo) for echo, empty, _ in rates])
            for clients, rates in rounds.items()
        ),
        *(
            _compare(
                f"{_CYCLE} with {effort.waiting:,} tasks waiting against none, {_named(clients)}",
                [(full, empty) for _, empty, full in rates],
            )
            for clients, rates in rounds.items()
        ),
    ]


def _compare(what: str, pairs: Sequence[tuple[float, float]]) -> Row:
    """The ratio of two rates: the median over the rounds."""
    rate, base = map(median, zip(*pairs, strict=True))
    ratio = median(ours / theirs for ours, theirs in pairs)
    return at_least(0.9, what, ratio, remark=f"{rate:,.0f} against {base:,.0f} requests/s")


def _named(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"
