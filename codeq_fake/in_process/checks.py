"""What a test may demand of its fake: when it is not so, the failure tells what happened instead."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from . import assertions, timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from codeq_fake.control import Controls

    from .event_loop import Home


class Checks:
    """The part of :class:`codeq_fake.testing.FakeCodeQ` that looks on, and waits for what it wants to see."""

    _controls: Controls
    _home: Home

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """Advance the clock."""

    @abstractmethod
    async def aadvance(self, seconds: float) -> None:
        """Advance the clock."""

    def assert_completed(self, task_id: str, result: object = ...) -> None:
        """The task is COMPLETED, with this result if one is given. Raises AssertionError, UnknownTaskError."""
        __tracebackhide__ = True
        assertions.completed(self._home.call(lambda: self._controls.task(task_id)), result)

    def assert_dead(self, task_id: str, error: str | None = None) -> None:
        """The task is a dead letter, with this error if one is given. Raises AssertionError, UnknownTaskError."""
        __tracebackhide__ = True
        assertions.dead(self._home.call(lambda: self._controls.task(task_id)), error)

    def assert_callback(self, url: str, *, status: int | None = None, times: int | None = None) -> None:
        """``url`` was called back, last answered with ``status``, in ``times`` tries. Raises AssertionError."""
        __tracebackhide__ = True
        assertions.called_back(self._home.call(self._controls.callbacks), url, status=status, times=times)

    def assert_no_leases(self) -> None:
        """Nobody holds a task. Raises AssertionError."""
        __tracebackhide__ = True
        assertions.no_leases(self._in_full(status="IN_PROGRESS"))

    def wait_until(self, condition: Callable[[], object], *, within: float = 3600, step: float = 0.25) -> None:
        """Advance the clock in steps (seconds) until ``condition`` is true.

        Raises AssertionError, with what happened, when it is not within so many seconds of the fake's clock.
        """
        __tracebackhide__ = True
        for _ in range(math.ceil(within / step)):
            if condition():
                return
            self.advance(step)
        self._expect(condition, within)

    async def await_until(self, condition: Callable[[], object], *, within: float = 3600, step: float = 0.25) -> None:
        """As :meth:`wait_until`, for coroutines."""
        __tracebackhide__ = True
        for _ in range(math.ceil(within / step)):
            if condition():
                return
            await self.aadvance(step)
        self._expect(condition, within)

    def _expect(self, condition: Callable[[], object], within: float) -> None:
        __tracebackhide__ = True
        if not condition():
            raise AssertionError(f"not true within {within} s\n{self.timeline()}")

    def timeline(self) -> str:
        """What happened so far, for a person: the tasks most worth telling, callbacks, faults, surprises."""

        def look() -> str:
            telling, others = timeline.most_telling(self._controls.tasks())
            tasks = timeline.of_tasks([self._controls.task(task["id"]) for task in telling], left_out=others)
            told = [tasks, timeline.of_callbacks(self._controls.callbacks())]
            told.append(timeline.of_faults(self._controls.requests()))
            told.append(timeline.of_surprises(self._controls.surprises()))
            return "\n".join([f"now {self._controls.clock()['now']}", *filter(None, told)])

        return self._home.call(look)

    def _in_full(self, status: str = "", command: str = "", tenant: str | None = None) -> list[dict[str, Any]]:
        def look() -> list[dict[str, Any]]:
            found = self._controls.tasks(status=status, command=command, tenant=tenant)
            return [self._controls.task(task["id"]) for task in found]

        return self._home.call(look)
