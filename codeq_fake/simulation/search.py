"""The search for a failing run: a test in many worlds, and what to say of the first in which it fails."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import getsourcefile
from pathlib import Path
from shlex import quote
from traceback import format_exception
from typing import Any, Literal

from codeq_fake import __version__

from . import story
from .evidence import Violation
from .plan import Plan
from .runs import Outcome, run_once
from .server import ServerKind
from .shrinking import shrink
from .watchdog import NeverAwaitsError
from .weather import Weather
from .weather_kinds import check_plan
from .world import NeverEndsError

Races = Literal["tell", "fail"]

#: How many runs may look for the smallest weather.
_MOST_SHRINKING_RUNS = 60
#: The most tasks of which the story is told.
_MOST_TASKS = 5


class SimulationFailedError(AssertionError):
    """A run has failed. The text has its seed, the smallest weather, the story, and the command that repeats it."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """A test that runs in many worlds, and how. `fixtures` are what it gets besides its world."""

    test: Callable[..., Awaitable[object]]
    name: str
    runs: int
    first_seed: int
    weather: Weather
    races: Races
    server: ServerKind
    fixtures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seeds(self) -> range:
        """The seeds of its runs."""
        return range(self.first_seed, self.first_seed + self.runs)

    def run(self, seed: int, plan: Plan | None = None) -> Outcome:
        """Run it once."""
        return run_once(partial(self.test, **self.fixtures), seed, weather=self.weather, plan=plan, server=self.server)

    def fails(self, outcome: Outcome) -> bool:
        """Whether a run counts as a failure. A violation that a race explains counts only with `races="fail"`."""
        return outcome.error is not None or bool(_counted(outcome, self.races))

    def first_failure(self, seeds: Iterable[int]) -> Outcome | None:
        """The first run that fails, None if there is none."""
        return next(filter(self.fails, map(self.run, seeds)), None)

    def replay(self, plan: Plan) -> Outcome:
        """Run it with the weather of a plan. Raises PlanError if that is one of another test."""
        outcome = self.run(plan.seed, plan)
        check_plan(plan, dict.fromkeys(outcome.scene.evidence.hosts))
        return outcome

    def smallest(self, outcome: Outcome) -> Outcome:
        """The same failure with as little weather as possible; one that never awaits or never ends takes too long."""
        if isinstance(outcome.error, NeverAwaitsError | NeverEndsError):
            return outcome
        kind = _kind(outcome, self.races)
        plan = shrink(outcome.plan, lambda plan: self._fails_so(plan, kind), most_runs=_MOST_SHRINKING_RUNS)
        return self.run(plan.seed, plan) if plan != outcome.plan else outcome

    def _fails_so(self, plan: Plan, kind: frozenset[str]) -> bool:
        outcome = self.run(plan.seed, plan)
        return self.fails(outcome) and bool(_kind(outcome, self.races) & kind)

    def describe(self, outcome: Outcome, smallest: Outcome) -> str:
        """All that a person needs to know of a failed run, and of the same failure in its `smallest` weather."""
        seed, events, left = outcome.plan.seed, len(outcome.plan.events), len(smallest.plan.events)
        return "\n".join(
            (
                f"seed {seed} of {self.name} fails:",
                *_reasons(smallest, self.races),
                "",
                *([f"The smallest weather that still breaks it, {left} of {events} events."] if left < events else []),
                story.tell(smallest.scene, _tasks(smallest, self.races)),
                "",
                "Repeat it:",
                f"  {self._command(smallest.plan)}",
                f"With all of its weather: {self._command(seed)}",
                f"(Python {sys.version.split()[0]}, codeq-fake {__version__}; other versions may take other turns)",
            )
        )

    def page(self, outcome: Outcome) -> str:
        """The story of a failed run as an HTML page."""
        from . import story_page  # noqa: PLC0415 - a sixth of the import, and most runs do not fail

        title = f"{self.name}, seed {outcome.plan.seed}"
        failure = "\n".join(_reasons(outcome, self.races))
        command = self._command(outcome.plan)
        return story_page.page(
            outcome.scene, _tasks(outcome, self.races), title=title, failure=failure, command=command
        )

    def _command(self, what: int | Plan) -> str:
        """The command that repeats a run, by its seed or its plan."""
        file = Path(getsourcefile(self.test) or "FILE")
        here = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
        option = f"--seed {what}" if isinstance(what, int) else f"--plan {quote(str(what))}"
        return f"codeq-fake simulate {quote(f'{here}::{self.name}')} {option}"


def _counted(outcome: Outcome, races: Races) -> list[Violation]:
    """The violations that fail a run."""
    return [violation for violation in outcome.violations if races == "fail" or not violation.race]


def _kind(outcome: Outcome, races: Races) -> frozenset[str]:
    """What two failures with one cause have in common: the type of the error, and the broken laws."""
    error = [] if outcome.error is None else [type(outcome.error).__name__]
    return frozenset([*error, *(violation.law for violation in _counted(outcome, races))])


def _reasons(outcome: Outcome, races: Races) -> list[str]:
    """Why a run fails, in lines: error, violations, how many do not count, and the first error that was lost."""
    error = [] if outcome.error is None else [f"{type(outcome.error).__name__}: {outcome.error}"]
    counted = _counted(outcome, races)
    told = Counter((violation.law, violation.race) for violation in outcome.violations if violation not in counted)
    reasons = [*error, *map(str, counted)]
    reasons += [f"(not counted, race {race}) {law}: {tasks} of the tasks" for (law, race), tasks in told.items()]
    lost = outcome.scene.evidence.errors[:1]
    return reasons + [line for one in lost for line in ("", *"".join(format_exception(one.error)).splitlines())]


def _tasks(outcome: Outcome, races: Races) -> list[str]:
    """The ids of the tasks to tell of: those that laws, the error or the assertions name, else the first ones."""
    known = [task.id for task in outcome.scene.evidence.tasks]
    text = str(outcome.error)
    named = {task for violation in _counted(outcome, races) for task in violation.tasks}
    concerned = [task for task in known if task in named or task in text]
    return (concerned or known)[:_MOST_TASKS]
