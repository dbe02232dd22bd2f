"""Fault rules that are active for the length of a `with` statement."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
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


class FaultScope(AbstractContextManager[Injected]):
    """Activates fault rules for as long as the context lasts. `call` calls a function in the fake's event loop.

    Warns at the end of each rule that matched nothing, unless the context ended with an error; and if it was never
    entered, so that its rules did nothing.
    """

    def __init__(
        self, controls: FaultControls, plan: Plan, rules: Sequence[Rule], call: Callable[[Callable[[], Any]], Any]
    ) -> None:
        self._controls = controls
        self._plan = plan
        self._rules = rules
        self._call = call
        self._was_entered = False
        self._faults: list[Fault] = []

    def __enter__(self) -> Injected:
        self._was_entered = True
        self._faults = self._call(partial(self._controls.activate, self._rules))
        return Injected(self._faults)

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        for fault in self._faults:
            self._call(partial(self._controls.deactivate, fault.number))
        missed = [] if failure is not None else [fault for fault in self._faults if fault.was_missed]
        for fault in missed:
            warnings.warn(self._plan.why_missed(fault), FaultNotMetWarning, stacklevel=2)

    def __del__(self) -> None:
        if not self._was_entered:
            rules = ", ".join(map(str, self._rules))
            text = f"the fault rules {rules} were never active: write `with codeq.faults(...):`"
            warnings.warn(text, FaultNotMetWarning, stacklevel=2)
