"""The plan: all active rules of a fake, and the decision which of them fire on an occasion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

from .rule import KINDS, REQUEST, Occasion, Rule


class FaultNotMetWarning(UserWarning):
    """A rule matched no request or callback, most often because of a typo in one of its conditions."""


class Fault:
    """An active rule: its number, how many occasions it matched (`met`), and on how many of them it fired.

    `seen_before` is what the plan had seen when the rule was added. A background rule is never reported as missed.
    """

    __slots__ = ("_chance", "fired", "is_background", "met", "number", "rule", "seen_before")

    def __init__(self, number: int, rule: Rule, *, is_background: bool, seen_before: Counter[str]) -> None:
        self.number = number
        self.rule = rule
        self.is_background = is_background
        self.seen_before = seen_before
        self.met = 0
        self.fired = 0
        self._chance = Random(rule.seed)  # noqa: S311 - repeatable, not secret

    @property
    def was_missed(self) -> bool:
        """Whether it could never have fired: it matched nothing, or fewer occasions than its `nth`."""
        return self.met < (self.rule.nth or 1)

    @property
    def is_used_up(self) -> bool:
        """Whether it has fired as often as it may."""
        rule = self.rule
        times = rule.times if rule.times is not None or rule.nth is None else 1
        return times is not None and self.fired >= times

    def meet(self) -> bool:
        """Count an occasion that the rule matches, and return whether the fault fires on it. Once for each occasion."""
        rule = self.rule
        self.met += 1
        if self.met < (rule.nth or 1):
            return False
        if self.is_used_up:
            return False
        # A number is taken also at probability 1, so that the sequence of numbers does not depend on the probability.
        if self._chance.random() >= rule.probability:
            return False
        self.fired += 1
        return True


class Plan:
    """The active faults of one fake, in the order in which their rules were added.

    It only decides. The same rules decide the same on the same occasions.
    """

    def __init__(self) -> None:
        #: By number; empty while there are no rules.
        self.active: dict[int, Fault] = {}
        #: Name of an occasion -> how often it came while there were rules.
        self.seen: Counter[str] = Counter()
        self._last = 0

    def add(self, rules: Iterable[Rule], *, is_background: bool = False) -> list[Fault]:
        """Add rules. A background rule that matches nothing does not count as missed."""
        added = [
            Fault(number, rule, is_background=is_background, seen_before=self.seen.copy())
            for number, rule in enumerate(rules, start=self._last + 1)
        ]
        self._last += len(added)
        self.active.update({fault.number: fault for fault in added})
        return added

    def remove(self, number: int) -> Fault | None:
        """Remove a rule and return it, or None if it is not active."""
        return self.active.pop(number, None)

    def clear(self) -> None:
        """Remove all rules."""
        self.active.clear()

    def decide(self, occasion: Occasion) -> list[Fault]:
        """Count an occasion, and return the faults that fire on it. After one that is final no other fires."""
        self.seen.update(occasion.names)
        fired: list[Fault] = []
        is_over = False
        for fault in self.active.values():
            # Every rule decides, so that its counts do not depend on the others.
            if not fault.rule.matches(occasion) or not fault.meet():
                continue
            if is_over:
                self.take_back(fault)
            else:
                fired.append(fault)
                is_over = KINDS[fault.rule.do].is_final
        return fired

    def take_back(self, fault: Fault) -> None:
        """Do not count a fault that fired but could not happen, for example because there was no task."""
        fault.fired -= 1

    def missed(self) -> list[Fault]:
        """The faults that could never fire, except background ones."""
        return [fault for fault in self.active.values() if fault.was_missed and not fault.is_background]

    def why_missed(self, fault: Fault) -> str:
        """One line that says why a fault could never fire."""
        met = f"{fault.met} of the {fault.rule.nth} that it counts" if fault.met else "nothing"
        counts = (self.seen - fault.seen_before).most_common()
        seen = ", ".join(f"{count} {name}" for name, count in counts if name != REQUEST)
        return f"the fault rule {fault.rule} has met {met}; meanwhile there was {seen or 'nothing at all'}"
