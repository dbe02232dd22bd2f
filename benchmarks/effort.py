"""Sizes and repetitions of the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """Sizes and repetitions.

    A round over HTTP takes `seconds`; a round of the core takes `cycles`. A checked history has `checked` calls.
    """

    rounds: int
    seconds: float
    waiting: int
    core_waiting: int
    cycles: int
    held: int
    stored: int
    repetitions: int
    parked_seconds: float
    checked: int


#: Many short rounds instead of a few long ones, so that other work of the machine disturbs only some of them.
FULL = Effort(
    rounds=17,
    seconds=0.4,
    waiting=1_000_000,
    core_waiting=1_000_000,
    cycles=20_000,
    held=1_000_000,
    stored=200_000,
    repetitions=7,
    parked_seconds=5.0,
    checked=1_000_000,
)
QUICK = Effort(
    rounds=5,
    seconds=0.3,
    waiting=20_000,
    core_waiting=200_000,
    cycles=10_000,
    held=50_000,
    stored=50_000,
    repetitions=3,
    parked_seconds=2.0,
    checked=100_000,
)
