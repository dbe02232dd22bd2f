"""The control calls on fault rules: list them, put them in force, take them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codeq_fake.faults import BadFaultError, Rule, parsing
from codeq_fake.http.faults.matching import NAMES

from . import representations
from .errors import BadRequestError, UnknownFaultError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codeq_fake.faults import Fault
    from codeq_fake.runtime.fake_server import Runtime


class FaultControls:
    """The control calls on the faults of one runtime; what is shown is plain JSON values."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def put(self, rules: Iterable[Rule]) -> list[Fault]:
        """Put rules in force that were :func:`checked`."""
        return self._runtime.fault_plan.add(rules)

    def take(self, number: int) -> Fault | None:
        """Take a rule out of force, if it still is, and let go whom it holds up; returns it."""
        fault = self._runtime.fault_plan.remove(number)
        self._runtime.waiters.release_held(number)
        return fault

    def shown(self) -> dict[str, Any]:
        """The rules in force, each with how many occasions it has met and on how many it fired."""
        return {"faults": [representations.fault(fault) for fault in self._runtime.fault_plan.active.values()]}

    def add(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Put one rule in force, or those listed as ``faults``. Raises BadRequestError."""
        rules = found["faults"] if found.keys() == {"faults"} else [found]
        if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
            raise BadRequestError('faults: a list of rules such as {"on": "complete", "do": "drop_reply"} belongs here')
        return {"faults": [representations.fault(fault) for fault in self.put(checked(rules))]}

    def remove(self, number: int) -> dict[str, Any]:
        """Take one rule out of force. Raises UnknownFaultError."""
        fault = self.take(number)
        if fault is None:
            raise UnknownFaultError(f"there is no fault {number}")
        return representations.fault(fault)

    def clear(self) -> dict[str, Any]:
        """Take all rules out of force; shows them as they were."""
        shown = self.shown()
        for fault in shown["faults"]:
            self.take(fault["id"])
        return shown


def checked(rules: Iterable[Rule | Mapping[str, Any]]) -> list[Rule]:
    """The rules, each with a name on its ``on`` that there is. Raises BadRequestError."""
    try:
        return [parsing.named(rule if isinstance(rule, Rule) else parsing.rule_of(dict(rule)), NAMES) for rule in rules]
    except BadFaultError as refusal:
        raise BadRequestError(str(refusal)) from None
