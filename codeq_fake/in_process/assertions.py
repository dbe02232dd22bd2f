"""What a test wants to be true of a fake; when it is not, the message tells what happened instead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeq_fake.serving.terminal_text import counted

from . import timeline

if TYPE_CHECKING:
    from collections.abc import Sequence


def completed(task: dict[str, Any], result: object = ...) -> None:
    """The task is COMPLETED, with this result if one is given. Raises AssertionError."""
    __tracebackhide__ = True
    record = task["result"] or {}
    if task["status"] != "COMPLETED":
        raise AssertionError(f"task {task['id']} is {task['status']}, not COMPLETED\n{timeline.of_tasks([task])}")
    if result is not ... and record.get("result", {}) != result:
        raise AssertionError(f"task {task['id']} was completed with {record.get('result', {})!r}, not {result!r}")


def dead(task: dict[str, Any], error: str | None = None) -> None:
    """The task is a dead letter, with this error if one is given. Raises AssertionError."""
    __tracebackhide__ = True
    if task["lastKnownLocation"] != "DLQ_SET":
        raise AssertionError(f"task {task['id']} is no dead letter\n{timeline.of_tasks([task])}")
    if error is not None and task.get("error") != error:
        raise AssertionError(f"task {task['id']} died of {task.get('error')!r}, not of {error!r}")


def no_leases(tasks: Sequence[dict[str, Any]]) -> None:
    """Nobody holds a task. Raises AssertionError."""
    __tracebackhide__ = True
    held = [task for task in tasks if task["status"] == "IN_PROGRESS"]
    if held:
        raise AssertionError(f"{counted(len(held), 'task')} still leased\n{timeline.of_tasks(held)}")


def called_back(
    callbacks: Sequence[dict[str, Any]], url: str, *, status: int | None = None, times: int | None = None
) -> None:
    """``url`` was called back, last answered with ``status``, in ``times`` tries in all. Raises AssertionError."""
    __tracebackhide__ = True
    meant = [callback for callback in callbacks if callback["url"] == url]
    tries = [tried for callback in meant for tried in callback["tries"]]
    seen = timeline.of_callbacks(callbacks) or "there were no callbacks at all"
    if not meant:
        raise AssertionError(f"nobody called {url}\n{seen}")
    if status is not None and (not tries or tries[-1]["status"] != status):
        raise AssertionError(f"the last answer of {url} was not {status}\n{seen}")
    if times is not None and len(tries) != times:
        raise AssertionError(f"{url} was called {len(tries)} times, not {times}\n{seen}")
