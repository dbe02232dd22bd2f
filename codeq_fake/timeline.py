"""What happened at a fake, as text.

A failed test's report and a failed assertion show it, and the commands that print a task (`codeq-fake task`). On the
page, `page.story` says the same of one task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from traceback import format_exception

from codeq_fake.faults.rule import KINDS
from codeq_fake.journal import runs
from codeq_fake.payloads import Callback, HistoryEvent, Request, Surprise, Task, TaskInFull, Try
from codeq_fake.serving.terminal_text import counted, printable

#: A failed test shows its tasks, not the ten thousand that it made to fill a queue.
MOST_TASKS = 20
MOST_EVENTS = 20
MOST_CALLBACKS = 20
MOST_REQUESTS = 20
MOST_CHARACTERS = 120

_NO_CONTENT = 204
_BAD_REQUEST = 400


def most_important(tasks: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """Divide tasks into those to show, which are the leased and the latest ones, and the others."""
    ranked = sorted(tasks, key=lambda task: (task["status"] == "IN_PROGRESS", task["updatedAt"]), reverse=True)
    chosen = {task["id"] for task in ranked[:MOST_TASKS]}
    return [task for task in tasks if task["id"] in chosen], [task for task in tasks if task["id"] not in chosen]


def of_tasks(tasks: Iterable[TaskInFull], left_out: Iterable[Task] = ()) -> str:
    """The history of each task, from what `/_fake/tasks/ID` returns; times are those of the fake's clock.

    Of the tasks beyond the limit, and of those that were `left_out`, it gives the number only.
    """
    all_tasks = list(tasks)
    parts = [printable(line) for task in all_tasks[:MOST_TASKS] for line in _task(task)]
    counts = Counter(task["status"] for task in (*all_tasks[MOST_TASKS:], *left_out))
    if counts:
        by_status = ", ".join(f"{count} {status}" for status, count in counts.items())
        parts.append(f"... and {counted(counts.total(), 'more task')}: {by_status}")
    return "\n".join(parts)


def of_callbacks(callbacks: Sequence[Callback]) -> str:
    """The latest callbacks and notices with their tries, from what `/_fake/callbacks` returns."""
    earlier = len(callbacks) - MOST_CALLBACKS
    left_out = [f"{counted(earlier, 'earlier callback')} ..."] if earlier > 0 else []
    return "\n".join([*left_out, *(printable(_callback(callback)) for callback in callbacks[-MOST_CALLBACKS:])])


def of_requests(requests: Iterable[Request]) -> str:
    """The latest requests that were refused, found nothing or met a fault, from what `/_fake/requests` returns.

    Those that only repeat another one are counted.
    """
    failed = (request for request in requests if request["reason"] or request["faults"])
    alike = list(runs(failed, _what_failed))
    left_out = sum(1 + len(others) for _, others in alike[:-MOST_REQUESTS])
    lines = [f"{counted(left_out, 'earlier refused request')} ..."] if left_out else []
    for first, others in alike[-MOST_REQUESTS:]:
        again = f" ({len(others)} times more, until {_clock(others[-1]['at'])})" if others else ""
        lines.append(printable(f"{_failed(first)}{again}"))
    return "\n".join(lines)


def of_errors(errors: Sequence[BaseException]) -> str:
    """The first error of receivers and hooks, with its traceback, and the number of others."""
    if not errors:
        return ""
    others = f"\n... and {counted(len(errors) - 1, 'more error')}" if len(errors) > 1 else ""
    first = "".join(format_exception(errors[0]))
    return f"a receiver of webhooks, a worker's hook or a callback of the event loop failed:\n{first}{others}"


def of_surprises(surprises: Iterable[Surprise]) -> str:
    """Each surprise, from what `/_fake/surprises` returns."""
    return "\n".join(
        printable(f"surprise  documented: {surprise['said']}; done: {surprise['done']} ({surprise['clause']})")
        for surprise in surprises
    )


def _what_failed(request: Request) -> tuple[object, ...]:
    return request["path"], request["as"], request["status"], request["reason"], request["faults"], request["body"]


def _failed(request: Request) -> str:
    """A request with its reply, and why it failed."""
    faults = [KINDS[kind] for kind in request["faults"]]
    by = f" by {request['as']}" if request["as"] else ""
    what = f"{request['method']} {request['path']}{by} -> {request['status'] or 'no reply'}"
    when = _clock(request["at"])
    if faults:
        why = " ".join(fault.about for fault in faults)
        return f"fault {when}  {', '.join(request['faults'])} on {what}: {why}"
    sent = f", sent {_shortened(request['body'])}" if request["status"] == _BAD_REQUEST and request["body"] else ""
    reply = f" {_shortened(request['reply'])}" if request["reply"] else ""
    word = "no task" if request["status"] == _NO_CONTENT else "refused"
    return f"{word} {when}  {what}{reply}: {request['reason']}{sent}"


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."


def _task(task: TaskInFull) -> Iterator[str]:
    """The lines about one task: its state, its first and last events, its lease, and why it cannot be claimed."""
    yield f"task {task['id']}  {task['command']}  {task['status']}, {task['lastKnownLocation']}"
    events = list(_events(task["history"]))
    first, middle, last = events[:1], events[1:-MOST_EVENTS], events[1:][-MOST_EVENTS:]
    yield from (*first, *([f"  ... {len(middle)} more ..."] if middle else ()), *last)
    if task.get("workerId"):
        yield f"  leased to {task['workerId']} until {_clock(task['leaseUntil'])}"
    claimable = task["claimable"]
    if not claimable["now"]:
        since = f", not before {_clock(claimable['since'])}" if claimable["since"] else ""
        yield f"  not claimable: {claimable['reason']}{since}"


def _events(history: Iterable[HistoryEvent]) -> Iterator[str]:
    """A line for each event, with the date where it changes. Equal events in a row, such as heartbeats, share one."""
    day = ""
    for first, others in runs(history, _summary):
        at = first["at"]
        again = f"  ({len(others)} times more, until {_clock(others[-1]['at'])})" if others else ""
        date, day = ("" if at[:10] == (day or at[:10]) else f"{at[:10]} "), at[:10]
        yield f"  {date}{_clock(at)}  {_summary(first)}{again}"


def _summary(event: HistoryEvent) -> str:
    by = f" by {event['by']}" if event["by"] else ""
    return f"{event['what']}{by} -> {event['to']['location']}"


def _callback(callback: Callback) -> str:
    about = callback["taskId"] or callback["subscriptionId"]
    tries = ", ".join(_tried(tried) for tried in callback["tries"])
    return f"{callback['kind']} for {about} to {callback['url']}: {callback['state']} ({tries or 'not tried yet'})"


def _tried(tried: Try) -> str:
    faults = f" with {', '.join(tried['faults'])}" if tried["faults"] else ""
    return f"{_clock(tried['at'])} {tried['status'] or tried['error']}{faults}"


def _clock(time: str) -> str:
    """The time of day of an RFC 3339 text, to the millisecond."""
    return time[11:23].rstrip("Z")
