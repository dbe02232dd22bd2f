"""Queue-ready subscriptions: which of them hear that a queue has work (U1 to U9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .commands import BUILT_IN_COMMANDS, queue_name
from .effects import NoticeDue
from .profiles import Store
from .times import MINUTE, SECOND, floor_to_second, seconds

MODES = ("fanout", "group", "hash")

_BUILT_IN = frozenset(map(queue_name, BUILT_IN_COMMANDS))


@dataclass(slots=True, eq=False)
class Subscription:
    """A subscription. `commands` are queue names; `expires_at` and `throttled_until` are in ns."""

    id: str
    url: str
    commands: tuple[str, ...]
    mode: str
    group: str
    interval: int
    expires_at: int
    throttled_until: int = 0


class Subscriptions:
    """All subscriptions of a server, with the turns of their groups."""

    def __init__(self, store: Store, *, swept_at: int) -> None:
        self._store = store
        self.by_id: dict[str, Subscription] = {}
        #: Command as a subscriber wrote it -> how many subscribed to it. A sweep counts down the command in lower case
        #: only, as the server does (P9).
        self.heard: Counter[str] = Counter()
        #: (command, group) -> the number of turns so far, also of those without a notice (U6).
        self.turns: dict[tuple[str, str], int] = {}
        self.swept_at = swept_at

    def add(self, subscription: Subscription, events: Sequence[str]) -> None:
        """Add a subscription to `events`, its commands as they were written."""
        self.by_id[subscription.id] = subscription
        if self._store.has_subscription_index:
            self.heard.update(events)

    def expiry(self, ttl_seconds: int, *, now: int) -> int:
        """The instant (ns) at which a subscription expires. Not positive means the default (U1, P9)."""
        return now + seconds(ttl_seconds if ttl_seconds > 0 else self._store.subscription_ttl)

    def interval(self, seconds_asked: int) -> int:
        """The least time between two notices in seconds. Not positive means the default (U1, P9)."""
        return seconds_asked if seconds_asked > 0 else self._store.notice_interval

    def take_notices(self, command: str, *, now: int) -> Sequence[NoticeDue]:
        """The notices to send now that a queue of `command` has work, in order (U4 to U7).

        To be called once each time: it starts the throttles of the subscriptions, and moves their turns on.
        """
        if self._store.has_subscription_index and self.heard[command] <= 0:
            return ()
        fanout: list[Subscription] = []
        sharing: dict[tuple[str, str], list[Subscription]] = {}
        for subscription in self._active(queue_name(command), now=now):
            if subscription.mode == "fanout":
                fanout.append(subscription)
            else:
                # Subscriptions with the same group take turns, and so do all of mode hash.
                group = subscription.group if subscription.mode == "group" else ""
                sharing.setdefault((subscription.mode, group), []).append(subscription)
        # Groups come before hash, each in the order of its first member.
        groups = sorted(sharing.values(), key=lambda members: members[0].mode == "hash")
        notices = [*self._in_turn(command, fanout, groups, now=now)]
        if not self._store.has_ttl:
            return notices
        # The store refuses an interval that is negative as a Go duration. Then the server sends no notice at all (U5),
        # although throttles have started and turns have moved on.
        asked = (*fanout, *(members[0] for members in groups))
        return () if any(seconds(each.interval) < 0 for each in asked) else notices

    def _in_turn(
        self, command: str, fanout: list[Subscription], groups: list[list[Subscription]], *, now: int
    ) -> Iterator[NoticeDue]:
        """The notices to those whose throttle and turn allow one."""
        name = queue_name(command)
        for subscription in fanout:
            if self._start_throttle(subscription, now=now):
                yield NoticeDue(subscription.id, subscription.url, command)
        for members in groups:
            first, chosen = members[0], self._take_turn(name, members, now=now)
            # U7, as on the server: only the first member's throttle counts. It starts even if it is another one's turn,
            # and that turn is lost.
            if self._start_throttle(first, now=now) and chosen is first:
                yield NoticeDue(first.id, first.url, command)

    def active_count(self, command: str, *, now: int) -> int:
        """The number of subscriptions that get notices of `command` (L2)."""
        return len(self._active(queue_name(command), now=now))

    def next_sweep(self, *, interval: int) -> int | None:
        """The next sweep (ns) that has a subscription to delete, or None (U9)."""
        ends = [end for end in map(self._swept_from, self.by_id.values()) if end is not None]
        if not ends:
            return None
        period = interval * SECOND
        sweeps = max(1, -(-(min(ends) - self.swept_at) // period))  # rounded up
        return self.swept_at + sweeps * period

    def sweep(self, *, now: int) -> None:
        """Delete the expired subscriptions, usually those of the built-in commands only (U9, P9)."""
        self.swept_at = now
        for subscription in list(self.by_id.values()):
            end = self._swept_from(subscription)
            if end is not None and end <= now:
                del self.by_id[subscription.id]
                if self._store.has_subscription_index:
                    self.heard.subtract(subscription.commands)

    def _swept_from(self, subscription: Subscription) -> int | None:
        """The instant (ns) from which a sweep deletes a subscription, None if none does (U9, P9)."""
        if self._store.has_subscription_index:
            return floor_to_second(subscription.expires_at) + SECOND
        return subscription.expires_at if not _BUILT_IN.isdisjoint(subscription.commands) else None

    def _active(self, name: str, *, now: int) -> list[Subscription]:
        """The subscriptions to a command that have not expired, in the order in which they take turns (U6)."""
        # At the instant of its expiry a subscription is still active (U9), or in that second (P9).
        since = floor_to_second(now) if self._store.has_subscription_index else now
        active = [s for s in self.by_id.values() if name in s.commands and s.expires_at >= since]
        active.sort(key=lambda s: (s.expires_at // SECOND, s.id))
        return active

    def _take_turn(self, name: str, members: list[Subscription], *, now: int) -> Subscription:
        """The member whose turn it is. For mode hash the minute decides; a group counts its turns (U6)."""
        if members[0].mode == "hash":
            return members[now // MINUTE % len(members)]
        turns = self.turns.get((name, members[0].group), 0)
        self.turns[name, members[0].group] = turns + 1
        return members[(turns + self._store.first_turn) % len(members)]

    def _start_throttle(self, subscription: Subscription, *, now: int) -> bool:
        """Start the throttle of a subscription. Returns False if it is still running: then there is no notice."""
        if now < subscription.throttled_until:
            return False
        subscription.throttled_until = self._store.throttle_end(subscription.interval, now=now)  # U5
        return True
