"""The control calls for fault rules: list, add and remove them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from codeq_fake import payloads
from codeq_fake.faults import BadFaultError, Fault, Rule, parsing
from codeq_fake.http.faults.matching import NAMES
from codeq_fake.payloads import FaultRule, Faults
from codeq_fake.runtime.fake_server import FakeServer

from . import representations
from .errors import BadRequestError, UnknownFaultError
from .limits import MOST_FAULT_RULES


class FaultControls:
    """The fault rules of one fake; replies are plain JSON values."""

    def __init__(self, runtime: FakeServer) -> None:
        self._runtime = runtime

    def activate(self, rules: Iterable[Rule]) -> list[Fault]:
        """Activate rules that `checked` returned."""
        return self._runtime.fault_plan.add(rules)

    def deactivate(self, number: int) -> Fault | None:
        """Remove a rule, and release the requests that it holds. Returns the rule, or None if it is not active."""
        fault = self._runtime.fault_plan.remove(number)
        self._runtime.waiters.release_held(number)
        return fault

    def active(self) -> Faults:
        """The active rules, each with how often it matched (`met`) and fired."""
        return {"faults": [representations.fault(fault) for fault in self._runtime.fault_plan.active.values()]}

    def add(self, body: Mapping[str, Any]) -> Faults:
        """Activate one rule, or those listed as `faults`. Raises BadRequestError."""
        rules = body["faults"] if body.keys() == {"faults"} else [body]
        if not isinstance(rules, list) or not all(isinstance(rule, Mapping) for rule in rules):
            raise BadRequestError('faults: a list of rules such as {"on": "complete", "do": "drop_reply"} belongs here')
        if len(rules) + len(self._runtime.fault_plan.active) > MOST_FAULT_RULES:
            raise BadRequestError(f"faults: at most {MOST_FAULT_RULES} may be active at once; remove some")
        return {"faults": [representations.fault(fault) for fault in self.activate(checked(rules))]}

    def remove(self, n: int) -> payloads.Fault:
        """Remove one rule. Raises UnknownFaultError."""
        fault = self.deactivate(n)
        if fault is None:
            raise UnknownFaultError(f"there is no fault {n}")
        return representations.fault(fault)

    def clear(self) -> Faults:
        """Remove all rules, and return them."""
        removed = self.active()
        for fault in removed["faults"]:
            self.deactivate(fault["id"])
        return removed


def checked(rules: Collection[Rule | FaultRule]) -> list[Rule]:
    """Read rules and check their `on`. Raises BadRequestError."""
    for rule in rules:
        if not isinstance(rule, (Rule, Mapping)):
            raise BadRequestError(f"found {rule!r} where a rule belongs; give several rules as several arguments")
    try:
        return [parsing.named(rule if isinstance(rule, Rule) else parsing.rule_of(dict(rule)), NAMES) for rule in rules]
    except BadFaultError as refusal:
        raise BadRequestError(str(refusal)) from None
