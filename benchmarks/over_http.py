"""Requests a second over HTTP: against a bare echo, and with many tasks waiting."""

from __future__ import annotations

from statistics import fmean, median
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .rows import at_least
from .servers import echo, fake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .effort import Effort
    from .rows import Row
    from .servers import Server

#: How many clients -> the target against the echo.
_CLIENTS = MappingProxyType({1: 1.05, 32: 1.3})
_CYCLE = "create+claim+complete over HTTP"


def measure(effort: Effort) -> list[Row]:
    """The rows. The servers take turns, so that other work of this machine slows all of them."""
    with echo() as yardstick, fake() as empty, fake() as full:
        full.fill(effort.waiting)
        servers = (yardstick, empty, full)
        rounds = {
            clients: [[_round(server, clients, effort.seconds) for server in servers] for _ in range(effort.rounds)]
            for clients in _CLIENTS
        }
    return [
        *(
            _compare(
                _CLIENTS[clients],
                f"{_CYCLE} against a JSON echo, {_named(clients)}",
                [(empty, echo) for echo, empty, _ in rates],
            )
            for clients, rates in rounds.items()
        ),
        *(
            _compare(
                0.95,
                f"{_CYCLE} with {effort.waiting:,} tasks waiting against none, {_named(clients)}",
                [(full, empty) for _, empty, full in rates],
            )
            for clients, rates in rounds.items()
        ),
    ]


class _Round(NamedTuple):
    """The requests a second of one round, and the server's CPU seconds for each."""

    rate: float
    cpu_seconds: float


def _round(server: Server, clients: int, seconds: float) -> _Round:
    before = server.cpu_seconds()
    load = server.load(clients=clients, seconds=seconds)
    return _Round(load.rate, (server.cpu_seconds() - before) / load.requests)


def _compare(bound: float, what: str, pairs: Sequence[tuple[_Round, _Round]]) -> Row:
    """The ratio of two rates: the median over the rounds.

    The driver has a part in each rate, and so makes the servers look alike. The remark also says what the server
    itself takes for a request.
    """
    ours, theirs = zip(*pairs, strict=True)
    ratio = median(our.rate / their.rate for our, their in pairs)
    rate, base = (median(one.rate for one in rounds) for rounds in (ours, theirs))
    cpu, base_cpu = (1e6 * fmean(one.cpu_seconds for one in rounds) for rounds in (ours, theirs))
    remark = f"{rate:,.0f} against {base:,.0f} requests/s, {cpu:.0f} against {base_cpu:.0f} µs of server CPU"
    return at_least(bound, what, ratio, remark=remark)


def _named(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"
