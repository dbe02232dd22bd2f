"""Fault rules that are active for the length of a `with` statement."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from codeq_fake.control.fault_rules import FaultControls
from codeq_fake.faults import Fault, FaultNotMetWarning, Plan, Rule


class Injected:
    """Fault rules that are or were active, and how often they took effect."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults

    @property
    def met(self) -> int:
        """How many requests and callbacks they matched, each rule counted by itself."""
        return sum(fault.met for fault in self._faults)

    @property
    def fired(self) -> int:
        """How many faults they caused."""
        return sum(fault.fired for fault in self._faults)

    def __repr__(self) -> str:
        return "\n".join(f"{fault.rule}: met {fault.met}, fired {fault.fired}" for fault in self._faults)


@contextmanager
def injected(
    controls: FaultControls,
    plan: Plan,
    rules: Sequence[Rule],
    call: Callable[[Callable[[], Any]], Any],
) -> Iterator[Injected]:
    """Activate `rules` for as long as the context lasts. `call` calls a function in the fake's event loop.

    Warns of each rule that matched nothing, unless the context ended with an error.
    """
    faults: list[Fault] = call(lambda: controls.activate(rules))
    try:
        yield Injected(faults)
    finally:
        call(lambda: [controls.deactivate(fault.number) for fault in faults])
    for fault in faults:
        if fault.was_missed:
            warnings.warn(plan.why_missed(fault), FaultNotMetWarning, stacklevel=3)
