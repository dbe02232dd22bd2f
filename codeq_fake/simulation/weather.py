"""The weather: what goes wrong in a run, drawn from a seed as a plan of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from random import Random

from .acts import WorldActs
from .plan import Event, Plan
from .weather_kinds import KINDS

#: How many events of a kind come in a run that has any. Few is usual, but some faults need several of one kind.
_COUNTS = (1, 1, 2, 2, 3, 5)
#: The least and the most probable share of the kinds that come in one run.
_SHARES = (0.1, 0.6)
#: No event begins before the hosts have started.
_FIRST = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What may go wrong. Each part can be turned off: `Weather(kills=False)`.

    A run has only some of the kinds, and others in the next run: programs that survive everything at once may fail when
    one kind of event comes alone, and again and again. Events begin within `span` seconds. `weather_kinds.KINDS` says
    how often each kind comes and how long it lasts.

    A clean-up deletes tasks that no worker has finished, so it is off unless asked for.
    """

    kills: bool = True
    power_cuts: bool = True
    stops: bool = True
    pauses: bool = True
    clock_skew: bool = True
    latency: bool = True
    partitions: bool = True
    resets: bool = True
    lost_requests: bool = True
    lost_replies: bool = True
    proxy_errors: bool = True
    slow_replies: bool = True
    slow_bodies: bool = True
    server_restarts: bool = True
    store_restarts: bool = True
    revoked_leases: bool = True
    races: bool = True
    clean_ups: bool = False
    span: float = 150

    def __post_init__(self) -> None:
        if self.span <= _FIRST:
            raise ValueError(f"span: found {self.span}, want more than {_FIRST:g} seconds")

    def has(self, kind: str) -> bool:
        """Whether events of this kind may come."""
        return bool(getattr(self, KINDS[kind].part))

    def plan(self, seed: int, hosts: Sequence[str]) -> Plan:
        """The plan of a run. Each kind has its own draws: a part that is turned off takes away its events only."""
        share = Random(f"{seed}:share").uniform(*_SHARES)  # noqa: S311 - repeatable, not secret
        events = [event for kind in KINDS if self.has(kind) for event in self._events(seed, kind, hosts, share)]
        return Plan(seed, tuple(sorted(events, key=attrgetter("at", "kind", "target"))))

    def _events(self, seed: int, kind: str, hosts: Sequence[str], share: float) -> list[Event]:
        random = Random(f"{seed}:{kind}")  # noqa: S311 - as above
        targets = KINDS[kind].targets(hosts)
        if random.random() >= share or not targets:
            return []
        return [self._event(f"{seed}:{kind}:{n}", kind, targets) for n in range(random.choice(_COUNTS))]

    def _event(self, key: str, kind: str, targets: Sequence[str]) -> Event:
        random = Random(key)  # noqa: S311 - as above
        at = round(random.uniform(_FIRST, self.span), 1)
        return KINDS[kind].draw(kind, at, random.choice(targets), random)


def apply(world: WorldActs, event: Event) -> None:
    """Let an event happen to the world now, and arrange its end."""
    KINDS[event.kind].apply(world, event)


def end(world: WorldActs) -> None:
    """End the bad weather at the server: whatever faults are still active. The world ends that of hosts and network."""
    world.faults.clear()
