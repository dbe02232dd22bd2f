"""The search for differences: draws sessions, plays them, and shrinks the first session of each kind of difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, islice

from codeq_contract.driver.clocks import Clock, RealClock
from codeq_contract.recordings.times import SECOND

from .kinds import Kind, known_as
from .pair import Pair
from .player import Player
from .session import Finding
from .shrinking import shrunk
from .steps import Plan, Send

#: How often a session with a difference is played again, before the difference counts as one by chance.
_TRIES = 3
#: How many sessions are played at most to shrink one.
_MOST_PLAYED = 600
#: How many kinds are shrunk. A server with more of them is quite another one.
_MOST_SHRUNK = 40


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends: after that many requests to each server, seconds of real time, or kinds of differences."""

    requests: float
    seconds: float = float("inf")
    kinds: float = float("inf")


@dataclass(slots=True)
class Difference:
    """A kind of difference, the number of sessions that ended with it, and the smallest one that shows it.

    `known` says where it is described. One that did not show again is `by_chance`: a race, or the edge of a time.
    """

    kind: Kind
    smallest: Finding
    sessions: int = 0
    known: str = ""
    by_chance: bool = False


@dataclass(slots=True)
class Outcome:
    """What a search found so far."""

    seed: int
    requests: int = 0
    #: Of these, those of the session that ended last.
    requests_of_last: int = 0
    sessions: int = 0
    seconds: float = 0.0
    found: dict[Kind, Difference] = field(default_factory=dict)
    #: Why it ended before its limits.
    ended_early: str = ""

    @property
    def differences(self) -> list[Difference]:
        """The kinds that are neither known nor by chance."""
        return [each for each in self.found.values() if not (each.known or each.by_chance)]


@dataclass(slots=True)
class Search:
    """Compares a pair of servers. `on_kind` is given each new kind, `on_progress` what was found so far."""

    pair: Pair
    limits: Limits
    seed: int
    on_kind: Callable[[Difference], object]
    on_progress: Callable[[Outcome], object]
    clock: Clock = field(default_factory=RealClock)

    def run(self) -> Outcome:
        """Search until a limit is reached, a server is gone, or Ctrl-C."""
        outcome, player, start = Outcome(self.seed), Player(self.pair), self.clock.steady()
        try:
            for session in player.play(self._plans(start)):
                outcome.sessions += 1
                outcome.requests, outcome.requests_of_last = outcome.requests + session.requests, session.requests
                outcome.seconds = (self.clock.steady() - start) / SECOND
                self.on_progress(outcome)
                if session.finding is not None:
                    self._note(session.finding, outcome, player)
                    outcome.ended_early = self._unreachable()
                    if outcome.ended_early or len(outcome.differences) >= self.limits.kinds:
                        break
        except KeyboardInterrupt:
            outcome.ended_early = "interrupted"
        return outcome

    def _plans(self, start: int) -> Iterator[Plan]:
        """Plans until a limit is reached."""
        grammar, drawn = self.pair.grammar, 0
        for number in count():
            is_late = (self.clock.steady() - start) / SECOND >= self.limits.seconds
            if drawn >= self.limits.requests or is_late:
                return
            plan = grammar.plan(f"{self.seed} {number}")
            drawn += sum(isinstance(step, Send) for step in plan)
            yield plan

    def _note(self, finding: Finding, outcome: Outcome, player: Player) -> None:
        """Count a finding. The first one of its kind is played again and shrunk."""
        kind = finding.kind
        if kind not in outcome.found:
            is_shrunk = len(outcome.found) < _MOST_SHRUNK
            # It counts as one by chance until it has shown again, since Ctrl-C may come before.
            outcome.found[kind] = Difference(kind, finding, by_chance=is_shrunk)
            if is_shrunk:
                outcome.found[kind] = _smallest(finding, player)
                outcome.found[kind].known = known_as(kind, outcome.found[kind].smallest.caller)
            self.on_kind(outcome.found[kind])
        outcome.found[kind].sessions += 1

    def _unreachable(self) -> str:
        """Which server no longer answers, in words."""
        gone = [driver.target for driver in self.pair.drivers if not driver.is_reachable]
        return f"{' and '.join(gone)}: the server no longer answers" if gone else ""


def _smallest(finding: Finding, player: Player) -> Difference:
    """The difference with the smallest plan that shows it again."""
    again = _Again(finding, player)
    if not any(again.first_of([finding.plan]) for _ in range(_TRIES)):
        return Difference(finding.kind, finding, by_chance=True)
    shrunk(again.smallest.plan, again.first_of)  # `again` keeps the finding of each smaller plan
    return Difference(finding.kind, again.smallest)


@dataclass(slots=True)
class _Again:
    """Plays plans to see a difference again, and remembers the last plan that showed it."""

    smallest: Finding
    player: Player
    left: int = _MOST_PLAYED

    def first_of(self, plans: Sequence[Plan]) -> Plan | None:
        """The first of these plans that shows the difference again."""
        for session in self.player.play(islice(plans, self.left)):
            self.left -= 1
            if session.finding is not None and session.finding.kind == self.smallest.kind:
                self.smallest = session.finding
                return session.finding.plan
        return None
