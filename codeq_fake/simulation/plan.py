"""The plan of one run: a seed, and the events that the weather brings. Plain data that is printed and replayed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

#: The form of a plan as text. A plan of another form is refused.
FORM = 1

Argument: TypeAlias = str | int | float | bool


class PlanError(ValueError):
    """A text is not a plan, or one of another form."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens at a moment of the run (virtual seconds), to the host or the server named `target`."""

    at: float
    kind: str
    target: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run does: `seed` decides everything that is drawn, `events` are the weather."""

    seed: int
    events: tuple[Event, ...] = ()

    def with_events(self, events: Iterable[Event]) -> Plan:
        """The same seed with other events: what is drawn for the events that stay is the same."""
        return Plan(self.seed, tuple(events))

    def __str__(self) -> str:
        """One line of JSON."""
        events = [[event.at, event.kind, event.target, dict(event.arguments)] for event in self.events]
        return json.dumps({"form": FORM, "seed": self.seed, "events": events}, separators=(",", ":"))


def read_plan(text: str) -> Plan:
    """The plan of a text that `str` made. Raises PlanError."""
    try:
        data: Any = json.loads(text)
    except ValueError as error:
        raise PlanError(f"not a plan: {error}") from None
    form = data.get("form") if isinstance(data, dict) else None
    if form is None:
        raise PlanError("not a plan: it has no form")
    if form != FORM:
        raise PlanError(f"this plan has form {form!r}, and this version reads form {FORM}: replay by the seed")
    try:
        events = tuple(
            Event(float(at), str(kind), str(target), dict(more)) for at, kind, target, more in data["events"]
        )
        return Plan(int(data["seed"]), events)
    except KeyError as missing:
        raise PlanError(f"not a plan: it has no {missing.args[0]}") from None
    except (TypeError, ValueError) as error:
        raise PlanError(f"not a plan: {error}") from None
