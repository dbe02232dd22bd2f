"""Faults for the length of a ``with`` statement."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from codeq_fake.faults import FaultNotMetWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from codeq_fake.control.fault_rules import FaultControls
    from codeq_fake.faults import Fault, Plan, Rule


class Injected:
    """Rules that are or were in force, and what came of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = faults

    @property
    def met(self) -> int:
        """How many requests and callbacks they met, each rule counted by itself."""
        return sum(fault.met for fault in self._faults)

    @property
    def fired(self) -> int:
        """How often something went wrong because of them."""
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
    """Put ``rules`` in force for as long as the context lasts. ``call`` calls a function where the fake lives.

    Warns of what met nothing, unless the context ended with an error.
    """
    faults: list[Fault] = call(lambda: controls.activate(rules))
    try:
        yield Injected(faults)
    finally:
        call(lambda: [controls.deactivate(fault.number) for fault in faults])
    for fault in faults:
        if fault.was_missed:
            warnings.warn(plan.why_missed(fault), FaultNotMetWarning, stacklevel=3)
