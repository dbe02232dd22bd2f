"""What happened at a fake, told for a person: the report section of a failed test, the text of a failed assertion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: A failing test wants to see its tasks, not the ten thousand that it made to fill a queue.
MOST_TASKS = 20


def of_tasks(tasks: Iterable[dict[str, Any]]) -> str:
    """The life of each task, as ``/_fake/tasks/ID`` shows them; times are those of the fake's clock."""
    told = list(tasks)
    parts = ["\n".join(_task(task)) for task in told[:MOST_TASKS]]
    if len(told) > MOST_TASKS:
        parts.append(f"... and {len(told) - MOST_TASKS} more tasks")
    return "\n".join(parts)


def of_callbacks(callbacks: Iterable[dict[str, Any]]) -> str:
    """Each callback and notice with its tries, as ``/_fake/callbacks`` shows them."""
    return "\n".join(_callback(callback) for callback in callbacks)


def _task(task: dict[str, Any]) -> Iterator[str]:
    yield f"task {task['id']}  {task['command']}  {task['status']}, {task['lastKnownLocation']}"
    for happening in task["history"]:
        by = f" by {happening['by']}" if happening["by"] else ""
        yield f"  {_clock(happening['at'])}  {happening['what']}{by} -> {happening['to']['location']}"
    if task.get("workerId"):
        yield f"  leased to {task['workerId']} until {_clock(task['leaseUntil'])}"
    claimable = task["claimable"]
    if not claimable["now"]:
        since = f", not before {_clock(claimable['since'])}" if claimable["since"] else ""
        yield f"  not claimable: {claimable['reason']}{since}"


def _callback(callback: dict[str, Any]) -> str:
    about = callback["taskId"] or callback["subscriptionId"]
    tries = ", ".join(f"{_clock(tried['at'])} {tried['status'] or tried['error']}" for tried in callback["tries"])
    return f"{callback['kind']} for {about} to {callback['url']}: {callback['state']} ({tries or 'not tried yet'})"


def _clock(time: str) -> str:
    """The time of day of an RFC 3339 text, to the millisecond."""
    return time[11:23].rstrip("Z")
