"""Plans for Hypothesis, which then chooses the weather of a run and shrinks it. Needs `codeq-fake[contract]`."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from hypothesis import strategies as st

from .plan import Argument, Event, Plan
from .weather import Weather
from .weather_kinds import KINDS, Between, OneOf

#: The most events of a plan.
_MOST_EVENTS = 20


def plans(hosts: Sequence[str], weather: Weather | None = None) -> st.SearchStrategy[Plan]:
    """Plans for a world with these hosts, with events of the kinds that the weather has."""
    allowed = weather or Weather()
    kinds = [kind for kind in KINDS if allowed.has(kind) and KINDS[kind].targets(hosts)]
    events = st.sampled_from(kinds).flatmap(lambda kind: _events(kind, hosts, allowed.span)) if kinds else st.nothing()
    ordered = st.lists(events, max_size=_MOST_EVENTS).map(lambda chosen: tuple(sorted(chosen, key=attrgetter("at"))))
    return st.builds(Plan, st.integers(0, 2**32 - 1), ordered)


def _events(kind: str, hosts: Sequence[str], span: float) -> st.SearchStrategy[Event]:
    targets = KINDS[kind].targets(hosts)
    arguments = {name: _values(choice) for name, choice in KINDS[kind].arguments.items()}
    return st.builds(
        Event, _rounded(1, span), st.just(kind), st.sampled_from(targets), st.fixed_dictionaries(arguments)
    )


def _values(choice: Between | OneOf) -> st.SearchStrategy[Argument]:
    if isinstance(choice, OneOf):
        return st.sampled_from(choice.values)
    return _rounded(choice.least, choice.most)


def _rounded(least: float, most: float) -> st.SearchStrategy[float]:
    return st.floats(least, most).map(lambda value: round(value, 2))
