"""Queue-ready subscriptions: who wants to hear that a queue has work, and whose turn it is (section 12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codeq_fake import wire

from . import errors
from .commands import queue_name
from .effects import NoticeDue
from .rules import BUILT_IN_COMMANDS
from .times import MINUTE, SECOND, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .profiles import StoreProfile
    from .sources import Ids

DEFAULT_TTL = 300
DEFAULT_INTERVAL = 5
MODES = ("fanout", "group", "hash")

_BUILT_IN = frozenset(map(queue_name, BUILT_IN_COMMANDS))


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription. ``commands`` are queue names; ``expires_at`` and ``throttled_until`` are ns."""

    id: str
    url: str
    commands: tuple[str, ...]
    mode: str
    group: str
    interval: int
    expires_at: int
    throttled_until: int = 0

    def active(self, *, now: int) -> bool:
        """Whether it still hears of anything; at the very instant of its expiry it does (U9)."""
        return self.expires_at >= now

    @property
    def swept(self) -> bool:
        """Whether the sweep may delete it: it has a built-in command (U9)."""
        return not _BUILT_IN.isdisjoint(self.commands)


class Subscriptions:
    """All subscriptions of a server, with their throttles and the groups' turns."""

    def __init__(self, *, profile: StoreProfile, ids: Ids) -> None:
        self._profile = profile
        self._ids = ids
        self.by_id: dict[str, Subscription] = {}
        #: How often each (command, group) had its turn: U6.
        self.turns: dict[tuple[str, str], int] = {}
        self.swept_at = 0

    def subscribe(
        self,
        url: str,
        *,
        event_types: Sequence[str] = (),
        ttl_seconds: int = 0,
        delivery_mode: str = "",
        group_id: str = "",
        min_interval_seconds: int = 0,
        now: int,
    ) -> Subscription:
        """Subscribe (U1); values that are empty or not positive take the defaults.

        Raises :class:`~codeq_fake.core.errors.InvalidCallbackUrl`, :class:`~codeq_fake.core.errors.InvalidDeliveryMode`
        or :class:`~codeq_fake.core.errors.GroupRequired`.
        """
        if not wire.is_webhook_url(url):
            raise errors.InvalidCallbackUrl
        mode = delivery_mode or "fanout"
        if mode not in MODES:
            raise errors.InvalidDeliveryMode
        if mode == "group" and not group_id:
            raise errors.GroupRequired
        subscription = Subscription(
            id=self._ids.subscription_id(),
            url=url,
            commands=tuple(dict.fromkeys(map(queue_name, event_types or BUILT_IN_COMMANDS))),
            mode=mode,
            group=group_id,
            interval=min_interval_seconds if min_interval_seconds > 0 else DEFAULT_INTERVAL,
            expires_at=_expiry(ttl_seconds, now=now),
        )
        self.by_id[subscription.id] = subscription
        return subscription

    def renew(self, subscription_id: str, *, ttl_seconds: int = 0, now: int) -> Subscription:
        """Give it a new expiry, even when it had expired (U2, U9).

        Raises :class:`~codeq_fake.core.errors.SubscriptionNotFound`.
        """
        subscription = self.by_id.get(subscription_id)
        if subscription is None:
            raise errors.SubscriptionNotFound
        subscription.expires_at = _expiry(ttl_seconds, now=now)
        return subscription

    def notices(self, command: str, *, now: int) -> Iterator[NoticeDue]:
        """The notices that a queue of ``command`` having work sends now, in order (U4 to U7)."""
        name = queue_name(command)
        fanout: list[Subscription] = []
        sharing: dict[tuple[str, str], list[Subscription]] = {}
        for subscription in self._active(name, now=now):
            if subscription.mode == "fanout":
                fanout.append(subscription)
            else:
                sharing.setdefault(_shared_by(subscription), []).append(subscription)
        for subscription in fanout:
            if self._may_hear(subscription, now=now):
                yield NoticeDue(subscription.id, subscription.url, command)
        # Groups come before hash, each in the order of its first member.
        for members in sorted(sharing.values(), key=lambda members: members[0].mode == "hash"):
            first, chosen = members[0], self._whose_turn(name, members, now=now)
            # U7: the first one's throttle decides, and is taken even when the turn falls on another and is lost.
            if self._may_hear(first, now=now) and chosen is first:
                yield NoticeDue(first.id, first.url, command)

    def active_count(self, command: str, *, now: int) -> int:
        """How many subscriptions would hear of ``command`` (L2)."""
        return len(self._active(queue_name(command), now=now))

    def next_sweep(self, *, interval: int) -> int | None:
        """The next sweep (ns) that has something to delete, or None (U9)."""
        expiries = [subscription.expires_at for subscription in self.by_id.values() if subscription.swept]
        if not expiries:
            return None
        period = interval * SECOND
        sweeps = max(1, -(-(min(expiries) - self.swept_at) // period))
        return self.swept_at + sweeps * period

    def sweep(self, *, now: int) -> None:
        """Delete the expired subscriptions of the built-in commands (U9)."""
        self.swept_at = now
        for subscription in [s for s in self.by_id.values() if s.swept and s.expires_at <= now]:
            del self.by_id[subscription.id]

    def _active(self, name: str, *, now: int) -> list[Subscription]:
        active = [s for s in self.by_id.values() if name in s.commands and s.active(now=now)]
        active.sort(key=lambda s: (s.expires_at // SECOND, s.id))  # U6
        return active

    def _whose_turn(self, name: str, members: list[Subscription], *, now: int) -> Subscription:
        if members[0].mode == "hash":
            return members[now // MINUTE % len(members)]
        turn = self.turns[name, members[0].group] = self.turns.get((name, members[0].group), 0) + 1
        return members[turn % len(members)]

    def _may_hear(self, subscription: Subscription, *, now: int) -> bool:
        if now < subscription.throttled_until:
            return False
        subscription.throttled_until = self._profile.expiry(subscription.interval, now=now)  # U5
        return True


def _shared_by(subscription: Subscription) -> tuple[str, str]:
    """What the subscriptions that take turns have in common: their group, or the mode ``hash``."""
    return subscription.mode, subscription.group if subscription.mode == "group" else ""


def _expiry(ttl_seconds: int, *, now: int) -> int:
    return now + seconds(ttl_seconds if ttl_seconds > 0 else DEFAULT_TTL)
