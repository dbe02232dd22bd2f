"""Effects: what the programs of a world did outside of it, such as a charge of a card, and under which lease."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass

from .leases import Leases

#: The host of an effect that the test itself recorded.
TEST = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect: when (seconds since the start of the run), on which host, what, for which task.

    `key` is the idempotency key with which the outside world drops a repeat, or empty.
    """

    at: float
    host: str
    what: Hashable
    task: str = ""
    key: str = ""

    def __str__(self) -> str:
        by = f" by {self.host}" if self.host != TEST else ""
        key = f" with key {self.key}" if self.key else " without a key"
        return f"{self.what!r}{by} at {self.at:.1f} s{key}"


def _itself(what: Hashable) -> Hashable:
    return what


class Effects:
    """The effects of one name, in the order in which they came.

    `host` says on which host the caller runs: None if that host is dead, and what it does has no effect any more.
    """

    def __init__(
        self,
        name: str,
        *,
        now: Callable[[], float],
        host: Callable[[], str | None],
        leases: Callable[[], Leases],
    ) -> None:
        self.name = name
        self.entries: list[Effect] = []
        self._now = now
        self._host = host
        self._leases = leases

    def record(self, what: Hashable, *, task: str = "", key: str = "") -> None:
        """Note that the outside world did `what`, for the task with this id, under an idempotency key if there is one.

        Programs of the world call it where the real program calls the outside world.
        """
        host = self._host()
        if host is not None:
            self.entries.append(Effect(self._now(), host, what, task, key))

    def assert_once(self, per: Callable[[Hashable], Hashable] = _itself) -> None:
        """Fail if something was done more than once. Repeats with the same key count once.

        `per` gives what may happen only once, from what was recorded.
        """
        __tracebackhide__ = True
        repeated = {subject: entries for subject, entries in self.counted(per).items() if len(entries) > 1}
        if repeated:
            raise AssertionError("\n".join(self._repeated(repeated)))

    def counted(self, per: Callable[[Hashable], Hashable] = _itself) -> Mapping[Hashable, list[Effect]]:
        """The effects that the outside world did not drop as repeats, by what `per` gives for them."""
        counted: dict[Hashable, list[Effect]] = {}
        for entry in _without_repeats(self.entries):
            counted.setdefault(per(entry.what), []).append(entry)
        return counted

    def assert_under_lease(self) -> None:
        """Fail if a host did something for a task that it did not hold at that moment.

        An effect is excused if a race or a deletion had taken the task away: see `is_excused`.
        """
        __tracebackhide__ = True
        wrong = self.without_lease()
        if wrong:
            leases = self._leases()
            raise AssertionError(
                "\n".join(f"{self.name} {entry}, task {entry.task}, {why_not_held(leases, entry)}" for entry in wrong)
            )

    def without_lease(self) -> list[Effect]:
        """The effects for tasks that their host did not hold, unless a race of the server explains it."""
        leases = self._leases()
        return [entry for entry in self.entries if why_not_held(leases, entry) and not is_excused(leases, entry)]

    def _repeated(self, repeated: Mapping[Hashable, list[Effect]]) -> Iterable[str]:
        for subject, entries in repeated.items():
            yield f"{self.name} of {subject!r} was done {len(entries)} times:"
            yield from (f"  {entry}, task {entry.task or '(none named)'}" for entry in entries)


def _without_repeats(entries: Iterable[Effect]) -> list[Effect]:
    """The effects without those whose key was used before."""
    first_of_key: dict[str, Effect] = {}
    return [entry for entry in entries if not entry.key or first_of_key.setdefault(entry.key, entry) is entry]


def why_not_held(leases: Leases, entry: Effect) -> str:
    """Why the effect's host did not hold its task: `although its lease was over at 9.0 s`. Empty if it did."""
    if not entry.task or entry.host == TEST or leases.is_held(entry.task, entry.host, entry.at):
        return ""
    history = leases.history(entry.task, entry.at)
    if not history:
        return "although there is no such task any more"
    last, end = history[-1], leases.end(entry.task, entry.at)
    if last["what"] in ("claimed", "heartbeat"):
        if last["by"] == entry.host:
            return f"although its lease was over at {end:.1f} s"
        return f"although {last['by']} held the task since {leases.moment(last['at']):.1f} s"
    return f"although it did not hold the task any more ({last['what']} at {leases.moment(last['at']):.1f} s)"


def is_excused(leases: Leases, entry: Effect) -> bool:
    """Whether the host could not know that it did not hold the task.

    A race took it away, the task was deleted, or the host's own late result for an earlier claim has ended it.
    """
    is_gone = not leases.history(entry.task, entry.at)
    return (
        is_gone
        or leases.race(entry.task, entry.at) != ""
        or leases.is_ended_by_earlier_claim(entry.task, entry.host, entry.at)
    )
