"""Insides of asyncio for a loop that decides which callbacks run: each has an owner, and their order is exact.

asyncio walks over sets of tasks in the order of their addresses, and runs timers of one instant in any order. Here
tasks are numbered, and such timers run in the order in which they were set, so that a run can be repeated exactly.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import Any, Protocol, TypeVarTuple

Ts = TypeVarTuple("Ts")

#: After so many tasks, those that are over are forgotten.
_TASKS_KEPT = 256


class Owner(Protocol):
    """A part of the program whose callbacks run, wait or are dropped together."""

    #: Whether its callbacks run now.
    runs: bool
    #: For how long the callback that runs has blocked the owner (s).
    blocked_for: float

    def keep(self, handle: asyncio.Handle) -> None:
        """A callback of an owner that does not run. It may be kept for later."""

    def stand_still_while_blocked(self) -> None:
        """The callback that has just run slept for `blocked_for`: nothing else of the owner runs for as long."""

    def exit(self, reason: SystemExit) -> None:
        """A callback wants to end the process."""


class OwnedLoop(asyncio.SelectorEventLoop):
    """A loop whose callbacks have owners, told by a variable of their contexts. Callbacks without one always run.

    Each turn makes some handles. So they are initialized, ordered and run here, without asyncio's layers for it.
    """

    #: Holds the owner of what runs in a context.
    owner_variable: ContextVar[Any]

    def __init__(self) -> None:
        #: How many timers were set so far.
        self.timers_set = 0
        #: All tasks so far that have not been seen to be over, in the order in which they were made.
        self.tasks: list[NumberedTask] = []
        self._tasks_made = 0
        super().__init__()
        self.set_task_factory(self._make_task)  # type: ignore[arg-type]  # typeshed asks for all that create_task takes

    def begin_turn(self, ready: deque[asyncio.Handle]) -> None:
        """Called before each turn with the callbacks that are ready. Their order may be changed."""

    def wait_for(self, timer: float | None) -> None:
        """Let time pass until the next timer (s), None without one. Called when no callback is ready."""
        raise NotImplementedError

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]  # typeshed has a type variable
        """As asyncio's."""
        self._check_closed()  # type: ignore[attr-defined]  # there is no public name
        handle = _OwnedHandle(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]  # as above
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As `call_soon`: there are no other threads."""
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's, but timers of one instant run in the order in which they were set."""
        self._check_closed()  # type: ignore[attr-defined]  # as above
        timer = _OwnedTimer(when, callback, args, self, context)
        self.timers_set += 1
        heappush(self._scheduled, (when, self.timers_set, timer))  # type: ignore[attr-defined]  # as above
        return timer

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def next_timer(self) -> float | None:
        """The moment of the next timer (s), None without one."""
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]  # as above
        return timers[0][0] if timers else None

    def run_again(self, handles: list[asyncio.Handle]) -> None:
        """Run these callbacks, which their owner has kept, in the next turn."""
        self._ready.extend(handles)  # type: ignore[attr-defined]  # as above

    def live_tasks(self, owner: Owner | None) -> list[NumberedTask]:
        """The tasks of an owner that are not over."""
        return [task for task in self.tasks if task.owner is owner and not task.done()]

    def forget_tasks(self) -> None:
        """Forget the tasks that are over."""
        self.tasks = [task for task in self.tasks if not task.done()]

    def _make_task(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
    ) -> NumberedTask:
        """Make a task with the next number, for the owner of its context. Called by `create_task`."""
        self._tasks_made += 1
        if self._tasks_made % _TASKS_KEPT == 0:
            self.forget_tasks()
        task = NumberedTask.__new__(NumberedTask)
        task.number = self._tasks_made  # asyncio puts the task into a set while it is made
        task.owner = (options.get("context") or copy_context()).get(self.owner_variable)
        options["name"] = options.get("name") or f"Task-{self._tasks_made}"
        task.__init__(coroutine, loop=loop, **options)  # type: ignore[misc]  # as above
        self.tasks.append(task)
        return task

    def _run_once(self) -> None:
        """One turn, as asyncio's, but without a look at descriptors, which costs more than most turns."""
        ready: deque[Any] = self._ready  # type: ignore[attr-defined]  # as above
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]  # as above
        while timers and timers[0][2]._cancelled:  # noqa: SLF001 - the method for it takes longer
            heappop(timers)
        self.begin_turn(ready)
        if not ready and not self._stopping:  # type: ignore[attr-defined]  # as above
            self.wait_for(timers[0][0] if timers else None)
        now = self.time()
        while timers and timers[0][0] <= now:
            timer = heappop(timers)[2]
            timer._scheduled = False  # noqa: SLF001 - as asyncio notes it
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:  # noqa: SLF001 - as above
                continue
            owner = handle.owner
            if owner is not None and not owner.runs:
                owner.keep(handle)
                continue
            try:
                handle._context.run(handle._callback, *handle._args)  # noqa: SLF001 - as `Handle._run` does
            except BaseException as error:  # noqa: BLE001 - as above
                self._failed(handle, error)
            if owner is not None and owner.blocked_for:
                owner.stand_still_while_blocked()

    def _failed(self, handle: _OwnedHandle | _OwnedTimer, error: BaseException) -> None:
        """Deal with the error of a callback: an exit ends its owner, an interrupt the loop, all else is reported."""
        if isinstance(error, SystemExit) and handle.owner is not None:
            handle.owner.exit(error)
        elif isinstance(error, (SystemExit, KeyboardInterrupt)):
            raise error
        else:
            context = {"message": "Exception in callback", "exception": error, "handle": handle}
            self.call_exception_handler(context)


class _OwnedHandle(asyncio.Handle):
    """A callback with the owner of its context. It is initialized without asyncio's layers for it."""

    __slots__ = ("owner",)

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: OwnedLoop, context: Context | None
    ) -> None:
        self._context = own = copy_context() if context is None else context
        self._callback, self._args, self._loop = callback, args, loop
        self._cancelled = False
        self._repr = self._source_traceback = None
        self.owner = own.get(loop.owner_variable)


class _OwnedTimer(asyncio.TimerHandle):
    """A timer. It is initialized and cancelled without asyncio's layers for it: each timeout of a request is one."""

    __slots__ = ("owner",)

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: OwnedLoop,
        context: Context | None,
    ) -> None:
        self._context = own = copy_context() if context is None else context
        self._callback, self._args, self._loop = callback, args, loop
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._when, self._scheduled = when, True
        self.owner = own.get(loop.owner_variable)

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = self._args = None  # type: ignore[assignment]  # as asyncio's own


class NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set is the same in each process."""

    __slots__ = ("number", "owner")

    number: int
    owner: Owner | None

    def __hash__(self) -> int:
        return self.number


def is_step(handle: asyncio.Handle) -> bool:
    """Whether this callback lets a task go on."""
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public name
