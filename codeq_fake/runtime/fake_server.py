"""One running fake: its state, clock, journals and deliveries. It carries out the effects that the core asks for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake.auth import Authenticator, Identity, KeysNeeded, Refusal, Tokens, fetch_url
from codeq_fake.clocks import Clock, Mode, Timer, in_slices, let_tasks_run
from codeq_fake.core import PROFILES, Broker
from codeq_fake.core.effects import ArtifactStored, CallbackDue, NoticeDue
from codeq_fake.core.slices import Slices
from codeq_fake.faults import Plan
from codeq_fake.journal import DEFAULT_BYTES, DEFAULT_SIZE, Callback, Journal, Request
from codeq_fake.payloads import DEFAULT_PROFILE
from codeq_fake.server_settings import Settings, SettingsError
from codeq_fake.surprises import Watch
from codeq_fake.webhooks import BlockedError, Composer, Guard, Outcome, Sender

from .artifacts import ArtifactFolder
from .ids import RandomSource
from .live_updates import LiveUpdates
from .waiters import Waiters
from .webhook_deliveries import MOST_AT_ONCE, Deliveries

if TYPE_CHECKING:
    from starlette.types import ASGIApp

#: How many tries of callbacks that are due are taken at once.
_TRIES = 500


@dataclass(frozen=True, slots=True)
class Config:
    """How a fake is set up.

    `mounts` maps origins to applications in this process that answer the callbacks, and requests for keys.
    `journal_size` is in entries and `journal_bytes` in bytes, both for each journal. `seed` makes ids and jitter
    repeatable. The control API saves the state to `state_file`. With `has_worker_process` a second process decodes
    large bodies. With `any_host` requests over loopback may name any host, although the tokens are the defaults.
    `reaper_phase` is the time of one of the reaper's ticks (ns); the default is the start of the clock (P1).
    """

    profile: str = DEFAULT_PROFILE
    settings: Settings = field(default_factory=lambda: Settings.from_env({}))
    identities: tuple[Identity, ...] = ()
    webhook_allow: tuple[str, ...] = ()
    mounts: Mapping[str, ASGIApp] = field(default_factory=lambda: MappingProxyType({}))
    journal_size: int = DEFAULT_SIZE
    journal_bytes: int = DEFAULT_BYTES
    max_callbacks: int = MOST_AT_ONCE
    seed: int | None = None
    state_file: Path | None = None
    has_worker_process: bool = False
    any_host: bool = False
    reaper_phase: int | None = None

    def __post_init__(self) -> None:
        """Raise SettingsError for a setting that the profile does not have."""
        profile = PROFILES[self.profile]
        if self.settings.has_multi_auth and not profile.version.has_multi_auth:
            raise SettingsError(
                f"AUTH_PROVIDER: found multi with the profile {self.profile}; that version has jwks and static (G8)"
            )
        if self.reaper_phase is not None and not profile.store.reaper_interval:
            others = ", ".join(name for name, other in PROFILES.items() if other.store.reaper_interval)
            raise SettingsError(
                f"the phase of the reaper: {self.profile} has no reaper, since its leases only end at claims; {others} "
                "has one (P1)"
            )

    def with_profile(self, profile: str) -> Config:
        """The same with another profile, without the phase of a reaper that this one does not have."""
        has_reaper = PROFILES[profile].store.reaper_interval > 0
        return replace(self, profile=profile, reaper_phase=self.reaper_phase if has_reaper else None)


class StateReplacedError(RuntimeError):
    """The fake was reset, or got another state, while its clock was being advanced: the clock stopped there."""


#: So many tasks take a while to free.
_MANY = 20_000


class FakeServer:
    """One fake server. An operation runs between two awaits, so nothing needs a lock."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self.clock = clock
        #: What the fake was started with. Only it names files and folders. It outlives a reset.
        self.started_with = config
        settings = config.settings
        #: None: the contents of artifacts are in the journal of requests only.
        self._artifacts = ArtifactFolder(settings.local_artifacts_dir) if settings.artifacts_dir_given else None
        self.waiters = Waiters(clock)
        #: The same object throughout; a reset empties it.
        self.fault_plan = Plan()
        self.live_updates = LiveUpdates()
        #: Called after each try of a callback or notice.
        self.on_try: Callable[[Callback], None] | None = None
        #: Held while tasks are read as they are at one instant.
        self.freezing = asyncio.Lock()
        self._alarm: Timer | None = None
        self._freeing: asyncio.Task[None] | None = None
        #: How many waits had ended when `_wait_until_quiet` last looked.
        self._woken_before = 0
        #: Whether more is due than was done so far. Then `_fire` is about to be called again.
        self._has_more = False
        # What the clock sets off runs in this context, not in that of the request or the test that moved the clock.
        self._context = copy_context()
        self._begin(config)

    def _begin(self, config: Config) -> None:
        """Begin with an empty state: all parts that do not outlive a reset."""
        settings, version = config.settings, PROFILES[config.profile].version
        self.config = config
        self._has_more = False
        self.auth = self._authenticator(config)
        self.requests: Journal[Request] = Journal(config.journal_size, config.journal_bytes)
        #: (operation, name of the refusal or "") -> how often. It shows which clauses the traffic has touched.
        self.seen: Counter[tuple[str, str]] = Counter()
        self.surprises = Watch(self.requests, settings, PROFILES[config.profile])
        self.source, self.broker = self._new_broker(config)
        self._guard = Guard(config.webhook_allow)
        self.deliveries = Deliveries(
            clock=self.clock,
            sleep=self.waiters.sleep,
            sender=Sender(guard=self._guard, mounts=config.mounts, drops_content_type=version.drops_content_type),
            composer=Composer(zone=settings.timezone, secret=settings.webhook_hmac_secret),
            fault_plan=self.fault_plan,
            journal=Journal(config.journal_size, config.journal_bytes),
            settle=self._settle,
            tried=lambda callback: self.on_try and self.on_try(callback),
            context=self._context,
            at_once=config.max_callbacks,
        )

    def set_identities(self, identities: tuple[Identity, ...]) -> None:
        """Know these callers from now on, and no longer those before."""
        self.config = replace(self.config, identities=identities)
        self.auth = self._authenticator(self.config)

    def _authenticator(self, config: Config) -> Authenticator:
        return Authenticator.of(
            config.settings,
            config.identities,
            fetch=self._fetch_keys,
            has_strict_tenants=PROFILES[config.profile].version.has_strict_tenants,
        )

    def _new_broker(self, config: Config) -> tuple[RandomSource, Broker]:
        """An empty broker for a configuration, with the source of its ids."""
        source = RandomSource(config.seed)
        broker = Broker(
            settings=config.settings,
            profile=PROFILES[config.profile],
            ids=source,
            jitter=source,
            now=self.clock.now(),
            reaper_phase=config.reaper_phase,
            on_change=self.waiters.look_again if self.clock.jumps else None,
        )
        source.avoid(broker.store.tasks, broker.subscriptions.by_id)
        return source, broker

    @property
    def tokens(self) -> Tokens:
        """A token for each role of its callers."""
        return Tokens.of(self.config.settings, self.config.identities)

    def producers_tenant(self) -> str | None:
        """The tenant of the producer in `tokens`; None if there is no such token, or the fake refuses it."""
        with suppress(Refusal, KeysNeeded):
            return self.auth.producer(f"Bearer {self.tokens.producer}", now=self.clock.now()).tenant
        return None

    async def _fetch_keys(self, url: str, timeout: float) -> bytes:  # noqa: ASYNC109 - what a `Fetch` is given
        """The JWKS document at a URL. One that a request named may only be where callbacks may go."""
        is_known = url in self.started_with.settings.key_urls()
        return await fetch_url(url, timeout, None if is_known else self._guarded_addresses, self.config.mounts)

    async def _guarded_addresses(self, host: str) -> Sequence[str]:
        """The addresses of a host to which callbacks may go. Raises OSError if none may."""
        try:
            return (host,) if await self._guard.allows(host) else await self._guard.addresses(host)
        except BlockedError as error:
            raise PermissionError(str(error)) from None

    def release(self) -> None:
        """End all waits, and cancel all that is being sent."""
        self.deliveries.abort()
        self.waiters.release()
        self.live_updates.release()

    def reset(self, config: Config | None = None, clock: Clock | None = None) -> None:
        """Start over with an empty state, empty journals and no faults. Settings and clock stay unless given."""
        self.fault_plan.clear()
        self._start_over(config or self.config, clock)

    def _start_over(self, config: Config, clock: Clock | None) -> None:
        """Begin with an empty broker, and end what waits for the old one."""
        self.release()
        if len(self.broker.store.tasks) > _MANY:
            # To free all at once would hold the loop up, too.
            self._freeing = asyncio.get_running_loop().create_task(self._free(self.broker))
        if self._alarm is not None:
            self._alarm.cancel()
        if clock is not None:
            self.clock = clock
            self.waiters.move_to(clock)
        self._begin(config)

    async def _free(self, broker: Broker) -> None:
        """Free the memory of a broker's tasks, once no reader needs its state."""
        async with self.freezing:
            await in_slices(broker.store.clear())

    def restore(self, profile: str, now: int, fill: Callable[[Broker], Slices[None]]) -> Slices[None]:
        """Replace the state by what `fill` puts into a new broker of this profile, at the instant `now` (ns).

        A manual or auto clock is set to `now`; a real clock is only set forward. Overdue callbacks are sent. All is
        replaced at once, at the end. If `fill` raises, nothing has changed. It is called again, with another broker, if
        a reset comes in a pause.
        """
        while True:
            before = self.config
            config = before.with_profile(profile)
            source, broker = self._new_broker(config)
            yield from fill(broker)
            if self.config is before:  # no reset has changed the settings in a pause
                break
        still = self.clock.mode != "real"
        self._start_over(config, self.clock.starting_at(now if still else max(now, self.clock.now())))
        self.source, self.broker = source, broker
        self._fire()

    async def carry_out_effects(self) -> None:
        """Carry out the effects of the latest operations. Notices are sent before it returns (U4)."""
        broker = self.broker
        for effect in self.broker.drain_effects():
            match effect:
                case CallbackDue():
                    self.deliveries.send(effect)
                case NoticeDue():
                    await self.notify(effect)
                    if self.broker is not broker:
                        return  # the other effects are of a state that is gone
                case ArtifactStored():
                    if self._artifacts is not None:
                        self._artifacts.write(effect.path, effect.content)
        self.arm()

    async def notify(self, due: NoticeDue) -> None:
        """Send a notice and wait for its outcome (U4), or until a reset cancels it."""
        # `await` on the future itself would cancel it when the producer hangs up.
        await asyncio.wait({self.deliveries.notify(due)})

    def arm(self) -> None:
        """Set the timer for the next instant at which the broker has something to do. May be called at any time."""
        due = None if self._has_more else self.broker.next_due()
        if self._alarm is not None:
            if self._alarm.when == due and self._alarm.callback is not None:
                return
            self._alarm.cancel()
            self._alarm = None
        if due is not None:
            self._alarm = self.clock.call_at(due, partial(self._context.run, self._fire))

    async def advance(self, *, to: int | None = None, by: int = 0, mode: Mode | None = None) -> int:
        """Advance the clock through all that falls due, and return when all is quiet. Returns how many timers fired.

        Takes and raises what `Clock.advance` does, and StateReplacedError.
        """
        broker = self.broker
        self.arm()  # a call in this process may have made something due
        await let_tasks_run()
        # On an auto clock a wait for a receiver would itself let time pass.
        wait_until_quiet = let_tasks_run if self.clock.mode == "auto" else partial(self._wait_until_quiet, broker)
        return await self.clock.advance(wait_until_quiet, to=to, by=by, mode=mode)

    def _fire(self) -> None:
        """Do what is due. If that is a lot, other requests are answered in between."""
        now = self.clock.now()
        self.broker.fire(now=now, most=_TRIES)
        due = self.broker.next_due()
        self._has_more = due is not None and due <= now
        self.carry_out_effects_now()
        if self._has_more:
            asyncio.get_running_loop().call_soon(self._fire, context=self._context)

    def carry_out_effects_now(self) -> None:
        """Carry out the effects of the latest operations, none of which are notices. Needs a running event loop."""
        for effect in self.broker.drain_effects():
            if isinstance(effect, CallbackDue):
                self.deliveries.send(effect)
            elif isinstance(effect, ArtifactStored) and self._artifacts is not None:
                self._artifacts.write(effect.path, effect.content)
        self.arm()

    def _settle(self, due: CallbackDue | NoticeDue, outcome: Outcome) -> bool:
        """Tell the broker the outcome of a try. Returns whether it was the last one."""
        if isinstance(due, NoticeDue):
            self.broker.notice_answered(due.command, delivered=outcome.delivered)
            return True
        # A blocked callback would be blocked again: it is not retried.
        is_over = self.broker.callback_answered(
            due.delivery_id, delivered=outcome.delivered, final=outcome.blocked, now=self.clock.now()
        )
        self.carry_out_effects_now()
        return is_over

    async def _wait_until_quiet(self, broker: Broker) -> None:
        """Wait until all that was woken is done: requests, callbacks, and the requests that they cause.

        Raises StateReplacedError if this is no longer the fake's broker.
        """
        while await self.deliveries.finish() or self._has_more or self._woken_before != self.waiters.woken:
            self._woken_before = self.waiters.woken
            await let_tasks_run()
        if self.broker is not broker:
            raise StateReplacedError
