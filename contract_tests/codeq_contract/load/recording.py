"""Records the history of a load: producers and workers for a while, then a drain."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING

from codeq_contract.checker.settings import Terms
from codeq_contract.driver import Answer, Namespace
from codeq_contract.driver.hooks import CALLBACK_HEADERS, SECRET_SETTING, SIGNATURE
from codeq_contract.load.actors import LONGEST_LEASE, Drain, Stand, drainer, producer, worker
from codeq_contract.load.participants import teams_of
from codeq_contract.load.scheduler import Stage
from codeq_contract.recorder import Tape
from codeq_contract.recorder.token_claims import identity_of
from codeq_contract.recordings.format import Callback, Header
from codeq_contract.recordings.times import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from codeq_contract.driver import Driver
    from codeq_contract.load.actors import Actor
    from codeq_contract.load.participants import Team
    from codeq_contract.recordings.format import Identity, Recording

_CALLBACK_TRIES = 5
#: Seconds that callbacks get before the last reads; on a clock that stands still it costs nothing to wait for them all.
_SETTLING, _SETTLING_IN_NO_TIME = 1.0, 20.0
#: The highest attempts that a task of a load may have when its lease runs out and it is not dead.
_MOST_ATTEMPTS = 4
_SLACK = 2 * SECOND


@dataclass(frozen=True, slots=True)
class Load:
    """How much of it: `tasks` in all, made within `seconds`, and `drain` seconds at most to end them."""

    producers: int = 3
    workers: int = 6
    tasks: int = 300
    seconds: float = 20
    drain: float = 120
    seed: int = 0


def record_load(driver: Driver, load: Load, settings: Mapping[str, str]) -> Recording:
    """Let a load loose on a server with these `settings`, and give what was recorded of it.

    An interrupt (ctrl-C) ends the load and begins the drain; another one ends that too, and the history is cut.

    Raises BrokenLoadError when something else ends it, with the history so far.
    """
    return _Recorder(driver, load, settings).record()


class BrokenLoadError(Exception):
    """Something went wrong in the middle, most likely a reply without sense; `recording` is the history so far."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording

    def __str__(self) -> str:
        cause = self.__cause__
        return f"the load broke off: {type(cause).__name__}: {cause}"


@dataclass
class _Recorder:
    driver: Driver
    load: Load
    settings: Mapping[str, str]
    names: Namespace = field(default_factory=Namespace)

    def __post_init__(self) -> None:
        if not self.driver.in_real_time:
            # Every load begins at the same fraction of a second, so that it can be had again.
            self.driver.clock.until(-(-self.driver.clock.now() // SECOND) * SECOND)
        self.epoch = self.driver.clock.now() // MILLISECOND * MILLISECOND
        self.chance = random.Random(self.load.seed)  # noqa: S311 - loads are no secrets
        self.tape = Tape(self.driver.clock.now)
        load = self.load
        self.teams = teams_of(self.driver, self.names, producers=load.producers, workers=load.workers)

    def record(self) -> Recording:
        try:
            with suppress(KeyboardInterrupt):
                self._work()
            drained = self._drain()
        except Exception as error:
            raise BrokenLoadError(self._recording(drained=False)) from error
        return self._recording(drained=drained)

    def _recording(self, *, drained: bool) -> Recording:
        self.tape.callbacks.extend(self._callbacks())
        return self.tape.recording(self._header(drained=drained))

    def _work(self) -> None:
        stage, until = self._stage(), self.driver.clock.now() + round(self.load.seconds * SECOND)
        webhook = self._webhook()

        def goes_on() -> bool:
            return stage.goes_on() and self.driver.clock.now() < until

        stage.play([actor for team in self.teams for actor in self._actors(team, goes_on, webhook)])

    def _actors(self, team: Team, goes_on: Callable[[], bool], webhook: str) -> Iterator[Actor]:
        producers = sum(len(team.producers) for team in self.teams)
        tasks = self.load.tasks // producers
        for name in team.producers:
            stand = self._stand(team, name, goes_on)
            yield producer(stand, tasks, every=self.load.seconds / (tasks + 1), webhook=webhook)
        for name in team.workers:
            yield worker(self._stand(team, name, goes_on))

    def _drain(self) -> bool:
        stage = self._stage()
        clock = self.driver.clock
        drain = Drain(
            now=clock.now,
            quiet=(LONGEST_LEASE + self._longest_backoff) * SECOND + _SLACK,
            deadline=clock.now() + round(self.load.drain * SECOND),
            settling=_SETTLING if self.driver.in_real_time else _SETTLING_IN_NO_TIME,
        )
        drainers = [drainer(self._stand(team, team.workers[0], stage.goes_on), drain) for team in self.teams]
        try:
            return all(stage.play(drainers))
        except KeyboardInterrupt:
            return False

    def _stage(self) -> Stage:
        return Stage(self.driver, self.tape, self.chance)

    def _stand(self, team: Team, name: str, goes_on: Callable[[], bool]) -> Stand:
        chance = random.Random(self.chance.randrange(2**32))  # noqa: S311 - as above
        return Stand(name, team.commands, team.ledger, chance, goes_on)

    # Callbacks.

    @cached_property
    def _hook(self) -> tuple[str, list[int]]:
        """The path of the webhook, and what it answers one after another."""
        return self.names.path(), self.chance.choices((200, 200, 204, 500), k=self.load.tasks * _CALLBACK_TRIES)

    def _webhook(self) -> str:
        if "webhooks" not in self.driver.features:
            return ""
        path, statuses = self._hook
        self.driver.hooks.answer(path, *map(Answer, statuses))
        return self.driver.hooks_origin + path

    def _callbacks(self) -> Iterator[Callback]:
        path, statuses = self._hook
        # Without the secret nobody can tell whether a signature is right.
        left_out = () if SECRET_SETTING in self.settings else SIGNATURE
        for got, status in zip_longest(self.driver.hooks.received(path), statuses):
            if got is None:
                return
            kept = {name: got.headers[name] for name in CALLBACK_HEADERS if name in got.headers}
            kept = {name: text for name, text in kept.items() if name not in left_out}
            yield Callback(got.at, got.method, got.path, kept, got.body.decode(), status or 200)

    # The header.

    def _header(self, *, drained: bool) -> Header:
        return Header(
            name=f"load_{self.load.seed}",
            profile=self.driver.tolerances.profile,
            epoch=self.epoch,
            settings=dict(self.settings),
            yaml=None,
            static=None,
            identities=self._identities(),
            drained=drained,
        )

    def _identities(self) -> Mapping[str, Identity]:
        found = {}
        for team in self.teams:
            for kind, members in (("producer", team.producers), ("worker", team.workers)):
                for name in dict.fromkeys(members):
                    calls = [call for call in self.tape.calls if call.identity == name]
                    found[name] = identity_of(self.driver.tokens[name], kind, calls)
        return found

    @cached_property
    def _longest_backoff(self) -> int:
        _, longest = Terms.of(self._header(drained=False)).backoff(_MOST_ATTEMPTS)
        return longest
