"""A broker for tests, with a clock that the test sets, counted ids and chosen jitter."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING, Any

from codeq_fake.core import PROFILES, Broker, CoreSettings, Submission, saved_state
from codeq_fake.core.effects import CallbackDue, Ids, Jitter, NoticeDue
from codeq_fake.core.slices import at_once
from codeq_fake.core.times import MILLISECOND, SECOND

if TYPE_CHECKING:
    from codeq_fake.core import Task
    from codeq_fake.core.effects import Effect

#: 2026-11-24T06:15:00Z: a whole minute, so that a test sees at a glance what is rounded and what is not.
START = 1_795_500_900 * SECOND

HOOK = "http://hooks.test/done"
DONE = Submission("COMPLETED", "{}")
FAILED = Submission("FAILED", error="torn")


class Fate(Ids, Jitter):
    """Ids that say which comes next, and jitter: `luck` percent of what it could be."""

    def __init__(self) -> None:
        self.luck = 100
        self._numbers = count(1)

    def task_id(self) -> str:
        return f"task-{next(self._numbers):03}"

    def subscription_id(self) -> str:
        return f"sub-{next(self._numbers):03}"

    def trace_id(self) -> str:
        return f"{next(self._numbers):032x}"

    def span_id(self) -> str:
        return f"{next(self._numbers):016x}"

    def between(self, low: int, high: int) -> int:
        return low + (high - low) * self.luck // 100


def load(broker: Broker, state: dict[str, Any]) -> None:
    """Restore a broker's state from its JSON text."""
    whole = {"profile": "redis", "now": "2026-11-24T06:15:00Z", "broker": json.loads(json.dumps(state))}
    at_once(saved_state.restore(broker, at_once(saved_state.load(whole))["broker"]))


class Server:
    """One broker and its clock. A method does its operation now, as the tenant `acme` and the worker `w-1`."""

    def __init__(
        self,
        profile: str = "redis",
        *,
        now: int = START,
        **settings: Any,
    ) -> None:
        self.now = now
        self.fate = Fate()
        self.broker = Broker(
            settings=CoreSettings(**settings),
            profile=PROFILES[profile],
            ids=self.fate,
            jitter=self.fate,
            now=now,
        )

    def wait(self, seconds: float = 0, *, ms: int = 0, ns: int = 0) -> None:
        """Let time pass; what falls due on the way happens when it is due."""
        then = self.now + round(seconds * SECOND) + ms * MILLISECOND + ns
        while (due := self.broker.next_due()) is not None and due <= then:
            self.now = max(due, self.now)
            self.broker.fire(now=self.now)
        self.now = then

    def create(self, command: str = "A", payload: str = "{}", *, tenant: str = "acme", **request: Any) -> Task:
        return self.broker.create(command, payload, tenant=tenant, now=self.now, **request)

    def claim(
        self,
        *commands: str,
        worker: str = "w-1",
        tenant: str = "acme",
        event_types: tuple[str, ...] = ("*",),
        lease_seconds: int = 0,
    ) -> Task | None:
        return self.broker.claim(
            commands or ("A",),
            worker=worker,
            tenant=tenant,
            event_types=event_types,
            lease_seconds=lease_seconds,
            now=self.now,
        )

    def leased(self, *commands: str, **request: Any) -> Task:
        """The task that a claim gets, where there must be one."""
        task = self.claim(*commands, **request)
        assert task is not None
        return task

    def submit(self, task: Task, submission: Submission = DONE, *, worker: str = "w-1") -> None:
        self.broker.submit(task.id, submission, worker=worker, now=self.now)

    def subscribe(self, url: str = HOOK, **request: Any) -> str:
        """Subscribe to the command A unless told otherwise; returns the subscription's id."""
        return self.broker.subscribe(url, **{"event_types": ("A",), **request}, now=self.now).id

    def effects(self) -> list[Effect]:
        """What was wanted done since the last look."""
        return list(self.broker.drain_effects())

    def tries(self) -> list[CallbackDue]:
        """The callback tries wanted since the last look."""
        return [effect for effect in self.effects() if isinstance(effect, CallbackDue)]

    def notified(self) -> list[str]:
        """The ids of the subscriptions that hear a notice since the last look."""
        return [effect.subscription_id for effect in self.effects() if isinstance(effect, NoticeDue)]
