"""Shrinking: the smallest part of a plan that still makes a run fail, by delta debugging."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .plan import Event, Plan
from .weather_kinds import KINDS, Between

#: A length below this many seconds is not shortened further.
_SHORTEST = 1.0


def shrink(plan: Plan, fails: Callable[[Plan], bool], *, most_runs: int = 200) -> Plan:
    """The plan with as few events as possible, and these as short as possible, for which `fails` is still true.

    `fails` runs a plan; it is called at most `most_runs` times. The plan itself is known to fail.
    """
    search = _Search(plan, fails, most_runs)
    search.remove_events()
    search.shorten_events()
    return search.plan


class _Search:
    """The smallest failing plan so far."""

    def __init__(self, plan: Plan, fails: Callable[[Plan], bool], most_runs: int) -> None:
        self.plan = plan
        self._fails = fails
        self._runs_left = most_runs

    def _accepts(self, events: tuple[Event, ...]) -> bool:
        """Try fewer or shorter events, and keep them if the run still fails."""
        if not self._runs_left:
            return False
        self._runs_left -= 1
        smaller = self.plan.with_events(events)
        if not self._fails(smaller):
            return False
        self.plan = smaller
        return True

    def remove_events(self) -> None:
        """Take away all events, then halves, quarters and so on, down to single ones, until none can be spared."""
        chunk = len(self.plan.events)
        while chunk:
            has_removed = self._remove_chunks(chunk)
            if not has_removed or chunk > 1:
                chunk //= 2

    def _remove_chunks(self, chunk: int) -> bool:
        """Try to do without each part of `chunk` events. Return whether one could be spared."""
        has_removed, begin = False, 0
        while begin < len(self.plan.events):
            events = self.plan.events
            if self._accepts(events[:begin] + events[begin + chunk :]):
                has_removed = True
            else:
                begin += chunk
        return has_removed

    def shorten_events(self) -> None:
        """Halve the lengths of events for as long as the run still fails."""
        for index in range(len(self.plan.events)):
            for shorter in _halvings(self.plan.events[index]):
                if not self._accepts((*self.plan.events[:index], shorter, *self.plan.events[index + 1 :])):
                    break


def _halvings(event: Event) -> Iterator[Event]:
    """The event with half its length, a quarter of it and so on, as long as its kind allows."""
    bounds = KINDS[event.kind].arguments.get("lasts")
    if not isinstance(bounds, Between):
        return
    lasts = float(event.arguments["lasts"]) / 2
    while lasts >= max(bounds.least, _SHORTEST):
        yield Event(event.at, event.kind, event.target, {**event.arguments, "lasts": round(lasts, 1)})
        lasts /= 2
