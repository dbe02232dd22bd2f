"""Shrinks a plan that shows a difference: first its steps, then each request (delta debugging)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from .steps import Plan, Send

First: TypeAlias = Callable[[Sequence[Plan]], Plan | None]
"""The first of these plans that still shows the difference. None if none does."""


def shrunk(plan: Plan, first_of: First) -> Plan:
    """The smallest plan that is found."""
    return _with_simpler_requests(_with_fewer_steps(plan, first_of), first_of)


def _with_fewer_steps(plan: Plan, first_of: First) -> Plan:
    """Leave out halves, then quarters, and at last single steps, as long as that works."""
    size = max(1, len(plan) // 2)
    while True:
        smaller = first_of([rest for rest in _without_runs(plan, size) if rest])
        if smaller is not None:
            plan = smaller
        elif size == 1:
            return plan
        else:
            size //= 2


def _without_runs(plan: Plan, size: int) -> Iterator[Plan]:
    """The plan without each run of `size` steps."""
    for start in range(0, len(plan), size):
        yield (*plan[:start], *plan[start + size :])


def _with_simpler_requests(plan: Plan, first_of: First) -> Plan:
    """Leave out parts of requests as long as that works."""
    while (simpler := first_of([*_simpler(plan)])) is not None:
        plan = simpler
    return plan


def _simpler(plan: Plan) -> Iterator[Plan]:
    """The plans in which one request is simpler."""
    for index, step in enumerate(plan):
        if isinstance(step, Send):
            for simpler in step.simpler():
                yield (*plan[:index], simpler, *plan[index + 1 :])
