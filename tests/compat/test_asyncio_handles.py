"""Canaries for the insides of asyncio on which a simulated world stands: each says what an upgrade has broken."""

from __future__ import annotations

import asyncio
from contextvars import Context, ContextVar, copy_context

from codeq_fake.compat.asyncio_handles import OwnedLoop, is_step

OWNED = "asyncio no longer runs callbacks by `Handle._run`: killed and paused hosts of a simulated world would run on"
ORDERED = "asyncio no longer compares timers to order them: bytes that arrive at one instant would change places"
NUMBERED = "asyncio no longer takes a subclass of Task, or makes it otherwise: sets of tasks would have any order"
STEP = "asyncio no longer shows the task of a step: tasks of killed hosts could not be cancelled at the end of a run"

OWNER: ContextVar[Recorder | None] = ContextVar("owner", default=None)


class Recorder:
    """An owner that lets some callbacks wait."""

    def __init__(self) -> None:
        self.runs = True
        self.kept: list[asyncio.Handle] = []
        self.exits: list[SystemExit] = []
        self.blocked_for = 0.0
        self.unblocked = 0

    def keep(self, handle: asyncio.Handle) -> None:
        self.kept.append(handle)

    def stand_still_while_blocked(self) -> None:
        self.unblocked += 1

    def exit(self, reason: SystemExit) -> None:
        self.exits.append(reason)


class Loop(OwnedLoop):
    owner_variable = OWNER

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def wait_for(self, timer: float | None) -> None:
        assert timer is not None
        self.now = timer


def owned_by(recorder: Recorder) -> Context:
    context = copy_context()
    context.run(OWNER.set, recorder)
    return context


def test_an_owner_decides_which_callbacks_and_timers_run() -> None:
    loop, recorder, ran = Loop(), Recorder(), list[str]()
    context = owned_by(recorder)
    loop.call_soon(ran.append, "soon", context=context)
    loop.call_later(0, ran.append, "later", context=context)
    loop.call_soon(ran.append, "no owner's")
    recorder.runs = False
    loop.run_until_complete(asyncio.sleep(0.001))
    assert (ran, len(recorder.kept)) == (["no owner's"], 2), OWNED
    recorder.runs = True
    recorder.blocked_for = 1.0
    loop.run_again(recorder.kept)
    loop.run_until_complete(asyncio.sleep(0))
    assert (ran, recorder.unblocked) == (["no owner's", "soon", "later"], 2), OWNED
    loop.close()


def test_an_exit_is_that_of_its_owner() -> None:
    async def leave() -> None:
        raise SystemExit(3)

    loop, recorder = Loop(), Recorder()
    task = loop.create_task(leave(), context=owned_by(recorder))
    loop.run_until_complete(asyncio.sleep(0.001))
    assert isinstance(task.exception(), SystemExit)
    assert [reason.code for reason in recorder.exits] == [3], OWNED
    loop.close()


def test_timers_of_one_instant_fire_in_the_order_in_which_they_were_set() -> None:
    loop, fired, when = Loop(), list[int](), 0.0
    when = loop.time() + 0.001
    for n in range(50):
        loop.call_at(when, fired.append, n)
    loop.run_until_complete(asyncio.sleep(0.01))
    assert fired == list(range(50)), ORDERED
    loop.close()


def test_a_timer_that_is_cancelled_does_not_fire() -> None:
    loop, fired = Loop(), list[int]()
    timers = [loop.call_later(0.001, fired.append, n) for n in range(3)]
    timers[1].cancel()
    assert [timer.cancelled() for timer in timers] == [False, True, False]
    loop.run_until_complete(asyncio.sleep(0.01))
    assert fired == [0, 2], ORDERED
    loop.close()


def test_tasks_are_numbered() -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(10)) for _ in range(20)]
        assert [hash(task) for task in tasks] == list(range(hash(tasks[0]), hash(tasks[0]) + 20)), NUMBERED
        await asyncio.sleep(0)
        assert set(tasks) <= asyncio.all_tasks(), NUMBERED
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    loop = Loop()
    loop.run_until_complete(main())
    loop.close()


def test_steps_of_tasks_can_be_told() -> None:
    loop, recorder = Loop(), Recorder()
    recorder.runs = False
    context = owned_by(recorder)
    coroutine = asyncio.sleep(0)
    _ = loop.create_task(coroutine, context=context)
    loop.call_soon(print, context=context)
    loop.run_until_complete(asyncio.sleep(0))
    assert [is_step(handle) for handle in recorder.kept] == [True, False], STEP
    recorder.runs = True
    loop.run_again(recorder.kept[:1])
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
