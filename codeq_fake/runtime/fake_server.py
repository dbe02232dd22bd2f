"""The runtime: one fake's state, clock and deliveries brought together; it does what the core wants done."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake.auth import Authenticator, Identity
from codeq_fake.clocks.quiet import let_tasks_run
from codeq_fake.core import PROFILES, Broker
from codeq_fake.core.effects import ArtifactStored, CallbackDue, NoticeDue
from codeq_fake.divergences import Watch
from codeq_fake.faults import Plan
from codeq_fake.journal import DEFAULT_SIZE, Callback, Journal, Request
from codeq_fake.settings import Settings
from codeq_fake.webhooks import Composer, Guard, Outcome, Sender

from .artifacts import ArtifactFolder
from .deliveries import Deliveries
from .ids import Source
from .live_updates import Watchers
from .polls import Polls
from .stalls import Stalls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from starlette.types import ASGIApp

    from codeq_fake.clocks.clock import Clock, Mode, Timer

DEFAULT_PROFILE = "kvrocks-2.8"  # what upstream's own deployment files pin


@dataclass(frozen=True, slots=True)
class Config:
    """How a fake is set up.

    ``mounts`` answer the callbacks to an origin in this process, ``journal_size`` is in entries, ``seed`` makes ids and
    jitter repeatable, ``state_file`` is where the state is saved when someone asks for it.
    """

    profile: str = DEFAULT_PROFILE
    settings: Settings = field(default_factory=lambda: Settings.from_env({}))
    identities: tuple[Identity, ...] = ()
    webhook_allow: tuple[str, ...] = ()
    mounts: Mapping[str, ASGIApp] = field(default_factory=lambda: MappingProxyType({}))
    journal_size: int = DEFAULT_SIZE
    seed: int | None = None
    state_file: Path | None = None


class Runtime:
    """One fake server. Operations run to their end between two awaits, so nothing needs a lock."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.clock = clock
        #: What the fake was started with. It alone names files and folders, and outlives a reset.
        self.started_with = config
        settings = config.settings
        #: None: what artifacts contain is in the journal of requests alone.
        self._artifacts = ArtifactFolder(settings.local_artifacts_dir) if settings.artifacts_dir_given else None
        self.polls = Polls(clock)
        self.stalls = Stalls(clock)
        #: What is to go wrong; the same object for as long as the runtime lives.
        self.faults = Plan()
        self.watchers = Watchers()
        #: Who wants to hear of each try of a callback or notice.
        self.on_try: Callable[[Callback], None] | None = None
        self._alarm: Timer | None = None
        self._settled = 0
        self._begin(config)

    def _begin(self, config: Config) -> None:
        settings = config.settings
        self.config = config
        self.auth = Authenticator.of(settings, config.identities)
        self.requests: Journal[Request] = Journal(config.journal_size)
        #: (operation, refusal or "") -> how often: what of the contract this fake's traffic has touched.
        self.seen: Counter[tuple[str, str]] = Counter()
        self.surprises = Watch(self.requests, settings)
        self.source, self.broker = self._new_broker(config)
        self.deliveries = Deliveries(
            clock=self.clock,
            sender=Sender(guard=Guard(config.webhook_allow), mounts=config.mounts),
            composer=Composer(zone=settings.timezone, secret=settings.webhook_hmac_secret),
            answered=self._callback_answered,
            faults=self.faults,
            journal_size=config.journal_size,
            tried=self._callback_tried,
        )

    def _new_broker(self, config: Config) -> tuple[Source, Broker]:
        source = Source(config.seed)
        broker = Broker(
            rules=config.settings.rules(),
            profile=PROFILES[config.profile],
            ids=source,
            chance=source,
            now=self.clock.now(),
        )
        source.avoid(broker.store.tasks, broker.subscriptions.by_id)
        return source, broker

    def let_go(self) -> None:
        """Let everyone go who waits, and drop what is being sent."""
        self.deliveries.abort()
        self.polls.release()
        self.stalls.release()
        self.watchers.release()

    def reset(self, config: Config | None = None, clock: Clock | None = None) -> None:
        """Start over with an empty state: same settings and clock unless others are given, no journals, no faults."""
        self.faults.clear()
        self._start_over(config or self.config, clock)

    def _start_over(self, config: Config, clock: Clock | None) -> None:
        self.let_go()
        if self._alarm is not None:
            self._alarm.cancel()
        if clock is not None:
            self.clock = clock
            self.polls, self.stalls, self._settled = Polls(clock), Stalls(clock), 0
        self._begin(config)

    def restore(self, profile: str, now: int, fill: Callable[[Broker], None]) -> None:
        """Replace the state by what ``fill`` puts into a new broker of that profile, at its instant ``now`` (ns).

        A manual or auto clock is there afterwards, a real one that is behind moves on to it. Callbacks that are overdue
        are sent. When ``fill`` raises, nothing has changed.
        """
        config = replace(self.config, profile=profile)
        source, broker = self._new_broker(config)
        fill(broker)
        still = self.clock.mode != "real"
        self._start_over(config, self.clock.at(now if still else max(now, self.clock.now())))
        self.source, self.broker = source, broker
        self._fire()

    async def carry_out(self) -> None:
        """Do what the operations since the last call want done; notices are sent before it returns (U4)."""
        broker, deliveries = self.broker, self.deliveries
        for effect in broker.drain_effects():
            match effect:
                case CallbackDue():
                    deliveries.call_back(effect)
                case NoticeDue():
                    if not await self.notify(effect):
                        return
                case ArtifactStored():
                    if self._artifacts is not None:
                        self._artifacts.write(effect.path, effect.content)
        self.arm()

    async def notify(self, due: NoticeDue) -> bool:
        """Send a notice and wait for its end (U4); says whether that came, for a reset aborts what is under way."""
        broker = self.broker
        outcome = await self.deliveries.notify(due)
        if outcome is not None:
            broker.notice_answered(due.command, delivered=outcome.delivered)
        return outcome is not None

    def arm(self) -> None:
        """Let the clock wake the broker when it next has something to do by itself."""
        due = self.broker.next_due()
        if self._alarm is not None:
            if self._alarm.when == due and self._alarm.callback is not None:
                return
            self._alarm.cancel()
            self._alarm = None
        if due is not None:
            self._alarm = self.clock.call_at(due, self._fire)

    async def advance(self, *, to: int | None = None, by: int = 0, mode: Mode | None = None) -> int:
        """Move the clock on, through all that falls due, and return when all is quiet: how much fired.

        Takes and raises what :meth:`Clock.advance <codeq_fake.clock.Clock.advance>` does.
        """
        await let_tasks_run()
        # On an auto clock receivers live on the same time: to wait for one would let it pass.
        settle = let_tasks_run if self.clock.mode == "auto" else self._settle
        return await self.clock.advance(settle, to=to, by=by, mode=mode)

    def _fire(self) -> None:
        self.broker.fire(now=self.clock.now())
        self._call_back()

    def _call_back(self) -> None:
        for effect in self.broker.drain_effects():
            if isinstance(effect, CallbackDue):
                self.deliveries.call_back(effect)
        self.arm()

    def _callback_tried(self, callback: Callback) -> None:
        if self.on_try is not None:
            self.on_try(callback)

    def _callback_answered(self, due: CallbackDue, outcome: Outcome) -> None:
        now = self.clock.now()
        # A blocked callback will be blocked again: it is given up at its first try.
        over = self.broker.callback_answered(
            due.delivery_id, delivered=outcome.delivered, final=outcome.blocked, now=now
        )
        if over:
            self.deliveries.over(due, outcome)
        self._call_back()

    async def _settle(self) -> None:
        """Wait until what was woken has come to rest: requests, callbacks, and the requests they cause."""
        while await self.deliveries.finish() or self._settled != self._woken:
            self._settled = self._woken
            await let_tasks_run()

    @property
    def _woken(self) -> int:
        return self.polls.woken + self.stalls.woken
