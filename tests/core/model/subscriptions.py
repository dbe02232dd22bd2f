"""The subscriptions of the naive model (U1 to U9), in a list that is scanned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.core.model.store import BUILT_IN, MILLISECOND, SECOND, gone_at, is_http
from tests.core.model.values import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


#: The events of which a subscription is swept: a sweep looks through the built-in commands.
SWEPT = frozenset(command.lower() for command in BUILT_IN)


@dataclass
class Subscription:
    id: str
    url: str
    event_types: list[str]
    mode: str
    group: str
    interval: int
    expires_at: int
    throttle_gone_at: int = 0  # milliseconds


@dataclass
class Subscriptions:
    profile: str
    new_id: Callable[[], str]
    swept_at: int
    sweep_interval: int
    all: list[Subscription] = field(default_factory=list)
    turns: dict[tuple[str, str], int] = field(default_factory=dict)

    def subscribe(
        self,
        url: str,
        *,
        now: int,
        event_types: Sequence[str] = (),
        ttl_seconds: int = 0,
        delivery_mode: str = "",
        group_id: str = "",
        min_interval_seconds: int = 0,
    ) -> Subscription:
        if not is_http(url):
            raise Refusal("InvalidCallbackUrl")
        if delivery_mode not in ("", "fanout", "group", "hash"):
            raise Refusal("InvalidDeliveryMode")
        if delivery_mode == "group" and not group_id:
            raise Refusal("GroupRequired")
        events = [event.lower() for event in event_types or BUILT_IN]
        interval = min_interval_seconds if min_interval_seconds > 0 else 5
        subscription = Subscription(self.new_id(), url, events, delivery_mode or "fanout", group_id, interval, 0)
        self.all.append(subscription)
        return self.renew(subscription.id, ttl_seconds=ttl_seconds, now=now)

    def renew(self, subscription_id: str, *, now: int, ttl_seconds: int = 0) -> Subscription:
        for subscription in self.all:
            if subscription.id == subscription_id:
                subscription.expires_at = now + (ttl_seconds if ttl_seconds > 0 else 300) * SECOND
                return subscription
        raise Refusal("SubscriptionNotFound")

    def notices(self, command: str, *, now: int) -> list[Subscription]:
        """The subscriptions that are sent a notice for this command now, in order."""
        active = [s for s in self.all if s.expires_at >= now and command.lower() in s.event_types]
        active.sort(key=lambda s: (s.expires_at // SECOND, s.id))  # U6
        heard = [s for s in active if s.mode == "fanout" and self.take_throttle(s, now)]
        for group in dict.fromkeys(s.group for s in active if s.mode == "group"):
            key = (command.lower(), group)
            self.turns[key] = self.turns.get(key, 0) + 1
            members = [s for s in active if (s.mode, s.group) == ("group", group)]
            heard += self.whose_turn_is(members, self.turns[key], now)
        return heard + self.whose_turn_is([s for s in active if s.mode == "hash"], now // SECOND // 60, now)

    def whose_turn_is(self, members: list[Subscription], turn: int, now: int) -> list[Subscription]:
        """The first member's throttle is asked, and taken; the turn of another one is lost (U7)."""
        return members[:1] if members and self.take_throttle(members[0], now) and turn % len(members) == 0 else []

    def take_throttle(self, subscription: Subscription, now: int) -> bool:
        if now // MILLISECOND < subscription.throttle_gone_at:  # U5
            return False
        subscription.throttle_gone_at = gone_at(self.profile, now, subscription.interval)
        return True

    def swept(self, at: int) -> list[Subscription]:
        """What a sweep at this instant deletes (U9)."""
        return [s for s in self.all if s.expires_at <= at and not SWEPT.isdisjoint(s.event_types)]

    def next_sweep(self) -> int | None:
        """The first sweep from now on that finds anything to delete."""
        doomed = self.swept(at=max((s.expires_at for s in self.all), default=0))
        if not doomed:
            return None
        first = min(s.expires_at for s in doomed)
        at = self.swept_at + self.sweep_interval * SECOND
        while at < first:
            at += self.sweep_interval * SECOND
        return at

    def sweep(self, now: int) -> None:
        """Every sweep that has come due by now."""
        while self.swept_at + self.sweep_interval * SECOND <= now:
            self.swept_at += self.sweep_interval * SECOND
            if doomed := self.swept(self.swept_at):
                self.all = [s for s in self.all if s not in doomed]
