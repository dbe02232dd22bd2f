"""Assertions about a fake. When one fails, its message shows what happened instead."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Literal

from codeq_fake import timeline
from codeq_fake.control import representations
from codeq_fake.control.controls import Controls
from codeq_fake.core.durations import Duration, duration
from codeq_fake.core.times import SECOND
from codeq_fake.payloads import Status, TaskInFull
from codeq_fake.serving.terminal_text import counted

from .event_loop import Home

#: The steps of a wait until a condition is true begin with this length (s): a long poll looks as often (K9).
_SHORTEST_STEP = 0.25


class Assertions:
    """The part of `FakeCodeQ` that checks what happened, and waits for what is to happen."""

    _controls: Controls
    _home: Home

    @abstractmethod
    def advance(self, seconds: Duration) -> None:
        """Advance the clock."""

    @abstractmethod
    async def aadvance(self, seconds: Duration) -> None:
        """Advance the clock."""

    @property
    @abstractmethod
    def receiver_errors(self) -> list[BaseException]:
        """What applications of `webhooks` raised."""

    def assert_completed(self, task_id: str, result: object = ...) -> None:
        """Assert that a task is COMPLETED, with this result if one is given. Raises UnknownTaskError."""
        __tracebackhide__ = True
        task = self._task(task_id)
        record = task["result"]
        actual = representations.result_value(record) if record is not None else {}
        if task["status"] != "COMPLETED":
            raise AssertionError(f"task {task_id} is {task['status']}, not COMPLETED\n{self._story(task)}")
        if result is not ... and actual != result:
            raise AssertionError(f"task {task_id} was completed with {actual!r}, not {result!r}")

    def assert_dead(self, task_id: str, error: str | None = None) -> None:
        """Assert that a task is a dead letter, with this error if one is given. Raises UnknownTaskError."""
        __tracebackhide__ = True
        task = self._task(task_id)
        if task["lastKnownLocation"] != "DLQ_SET":
            raise AssertionError(f"task {task_id} is not a dead letter\n{self._story(task)}")
        if error is not None and task.get("error") != error:
            raise AssertionError(f"task {task_id} died of {task.get('error')!r}, not of {error!r}")

    def assert_callback(self, url: str, *, status: int | None = None, times: int | None = None) -> None:
        """Assert that `url` was called back, last answered with `status`, in `times` tries in all."""
        __tracebackhide__ = True
        callbacks = self._home.call(self._controls.callbacks)
        matching = [callback for callback in callbacks if callback["url"] == url]
        tries = [tried for callback in matching for tried in callback["tries"]]
        journal = timeline.of_callbacks(callbacks) or "there were no callbacks at all"
        if not matching and times != 0:
            raise AssertionError(f"no callback went to {url}\n{journal}")
        if status is not None and (not tries or tries[-1]["status"] != status):
            raise AssertionError(f"the last answer of {url} was not {status}\n{journal}")
        if times is not None and len(tries) != times:
            raise AssertionError(f"{url} was called {len(tries)} times, not {times}\n{journal}")

    def assert_no_leases(self) -> None:
        """Assert that no worker holds a task."""
        __tracebackhide__ = True
        leased_tasks = self._in_full(status="IN_PROGRESS")
        if leased_tasks:
            raise AssertionError(
                f"{counted(len(leased_tasks), 'task')} still leased\n{timeline.of_tasks(leased_tasks)}"
            )

    def wait_until(
        self, condition: Callable[[], object], *, within: Duration = 3600, step: Duration | None = None
    ) -> None:
        """Advance the clock in steps until `condition` is true.

        By default a step is 0.25 s, and later on a hundredth of the time so far. Raises AssertionError, with what
        happened, if that takes more than `within` of the fake's clock, by default an hour.
        """
        __tracebackhide__ = True
        for length in _steps(within, step):
            if condition():
                return
            self.advance(length)
        self._expect(condition, within)

    async def await_until(
        self, condition: Callable[[], object], *, within: Duration = 3600, step: Duration | None = None
    ) -> None:
        """As `wait_until`, for coroutines."""
        __tracebackhide__ = True
        for length in _steps(within, step):
            if condition():
                return
            await self.aadvance(length)
        self._expect(condition, within)

    def _expect(self, condition: Callable[[], object], within: Duration) -> None:
        __tracebackhide__ = True
        if not condition():
            raise AssertionError(f"not true within {duration(within) / SECOND:g} s\n{self.timeline()}")

    def timeline(self) -> str:
        """What happened so far, for a person: the most important tasks, callbacks, faults and surprises."""
        return self._home.call(self._timeline)

    def _timeline(self) -> str:
        chosen, others = timeline.most_important(self._controls.tasks())
        parts = [
            timeline.of_tasks([self._controls.task(task["id"]) for task in chosen], left_out=others),
            timeline.of_callbacks(self._controls.callbacks()),
            timeline.of_requests(self._controls.requests()),
            timeline.of_surprises(self._controls.surprises()),
            timeline.of_errors(self.receiver_errors),
        ]
        return "\n".join([f"now {self._controls.clock()['now']}", *filter(None, parts)])

    def _story(self, task: TaskInFull) -> str:
        """The history of a task, and the requests about it that were refused or that a fault hit."""
        about = [
            request
            for request in self._home.call(self._controls.requests)
            if task["id"] in request["path"] or task["id"] in request["body"]
        ]
        return "\n".join(filter(None, [timeline.of_tasks([task]), timeline.of_requests(about)]))

    def _task(self, task_id: str) -> TaskInFull:
        return self._home.call(lambda: self._controls.task(task_id))

    def _in_full(
        self, status: Status | Literal[""] = "", command: str = "", tenant: str | None = None
    ) -> list[TaskInFull]:
        """The tasks that match, each with its history."""

        def matching() -> list[TaskInFull]:
            tasks = self._controls.tasks(status=status, command=command, tenant=tenant)
            return [self._controls.task(task["id"]) for task in tasks]

        return self._home.call(matching)


def _steps(within: Duration, step: Duration | None) -> Iterator[float]:
    """The lengths of steps (s) that add up to `within`: each is `step`, or a hundredth of the time so far."""
    so_far, end = 0.0, duration(within, "within") / SECOND
    given = duration(step, "step") / SECOND if step is not None else 0
    while so_far < end:
        grown = so_far // (100 * _SHORTEST_STEP) * _SHORTEST_STEP
        length = min(given or max(_SHORTEST_STEP, grown), end - so_far)
        yield length
        so_far += length
