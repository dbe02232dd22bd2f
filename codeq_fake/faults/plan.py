"""The plan: all rules of a fake, and the decision which of them come true on an occasion."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from .kinds import FINAL, REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .occasion import Occasion
    from .rule import Rule


class Fault:
    """A rule in force: its number, how many occasions it has met, and on how many of them it fired."""

    __slots__ = ("_chance", "fired", "is_background", "met", "number", "rule", "seen_before")

    def __init__(self, number: int, rule: Rule, *, is_background: bool, seen_before: Counter[str]) -> None:
        self.number = number
        self.rule = rule
        self.is_background = is_background
        self.seen_before = seen_before
        self.met = 0
        self.fired = 0
        self._chance = Random(rule.seed)  # noqa: S311 - to be repeated, not to be secret

    @property
    def was_missed(self) -> bool:
        """Whether it never could have fired: it met nothing, or not as often as its ``nth`` says."""
        return self.met < (self.rule.nth or 1)

    def fires(self) -> bool:
        """Decide about one more occasion that it meets."""
        rule = self.rule
        self.met += 1
        if self.met < (rule.nth or 1):
            return False
        times = rule.times if rule.times is not None or rule.nth is None else 1
        if times is not None and self.fired >= times:
            return False
        # Drawn for sure things too, so that a rule's luck does not depend on how likely it was.
        if self._chance.random() >= rule.probability:
            return False
        self.fired += 1
        return True


class Plan:
    """The faults of one fake, in the order in which their rules were added. It does nothing by itself.

    The same rules decide the same on the same occasions.
    """

    def __init__(self) -> None:
        #: By number; empty as long as nothing is to go wrong.
        self.faults: dict[int, Fault] = {}
        #: What there was to meet while there were rules: name -> how often.
        self.seen: Counter[str] = Counter()
        self._last = 0

    def add(self, rules: Iterable[Rule], *, is_background: bool = False) -> list[Fault]:
        """Put rules in force. One in the background is not missed when it meets nothing."""
        added = [
            Fault(number, rule, is_background=is_background, seen_before=self.seen.copy())
            for number, rule in enumerate(rules, start=self._last + 1)
        ]
        self._last += len(added)
        self.faults.update({fault.number: fault for fault in added})
        return added

    def remove(self, number: int) -> Fault | None:
        """Take a rule out of force, if it still is; returns it."""
        return self.faults.pop(number, None)

    def clear(self) -> None:
        """Take all rules out of force."""
        self.faults.clear()

    def decide(self, occasion: Occasion) -> list[Fault]:
        """What goes wrong now. After a fault that is final for the occasion nothing else does."""
        self.seen.update(occasion.names)
        fired: list[Fault] = []
        is_over = False
        for fault in self.faults.values():
            # Each decides for itself, so that its count does not depend on the others.
            if not fault.rule.meets(occasion) or not fault.fires():
                continue
            if is_over:
                self.take_back(fault)
            else:
                fired.append(fault)
                is_over = fault.rule.do in FINAL
        return fired

    def take_back(self, fault: Fault) -> None:
        """It could not happen after all, for want of a task or since nothing was left to go wrong."""
        fault.fired -= 1

    def missed(self) -> list[Fault]:
        """The faults that never could fire, but for those in the background."""
        return [fault for fault in self.faults.values() if fault.was_missed and not fault.is_background]

    def why_missed(self, fault: Fault) -> str:
        """A line for a person about a fault that never could fire."""
        met = f"{fault.met} of the {fault.rule.nth} that it counts" if fault.met else "nothing"
        counts = (self.seen - fault.seen_before).most_common()
        seen = ", ".join(f"{count} {name}" for name, count in counts if name != REQUEST)
        return f"the fault rule {fault.rule} has met {met}; meanwhile there was {seen or 'nothing at all'}"
