"""A request of the journal as a test for pytest, which first brings the request's tasks into the state before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice, zip_longest
from operator import itemgetter
from types import MappingProxyType
from typing import Any, TypeAlias

from codeq_fake.core import HistoryEntry, Task
from codeq_fake.core.slices import at_once
from codeq_fake.core.task import CREATED, Event
from codeq_fake.core.times import SECOND
from codeq_fake.documents import nests_too_deep
from codeq_fake.http.operations import CLAIMS
from codeq_fake.journal import Request
from codeq_fake.runtime.fake_server import FakeServer
from codeq_fake.surprises.history import fields

from . import representations

#: An event of a task -> the operation that causes it.
CAUSES: Mapping[str, str] = MappingProxyType(
    {
        CREATED: "create",
        Event.CLAIM: "claim",
        Event.HEARTBEAT: "heartbeat",
        Event.ABANDON: "abandon",
        Event.NACK: "nack",
        Event.LAST_NACK: "nack",
        Event.COMPLETE: "submit",
        Event.FAIL: "submit",
    }
)
#: A longer body does not fit into a test (bytes).
_LONGEST = 100_000

#: A step of a test: its instant (ns), the index of the request that it is or follows, and its lines of Python.
Step: TypeAlias = tuple[int, int, list[str]]

_NOT_CARRIED_OUT = frozenset({"refuse", "reset"})
_UNAUTHORIZED = 401
_OK = range(200, 300)
#: An event that no request about its task causes -> the method of FakeCodeQ that repeats it. A lease that has run out
#: is found by the claim of another worker, who gets another task or none.
_BY_HAND = {
    "lease ended by hand": "expire",
    str(Event.EXPIRE): "take",
    str(Event.LAST_EXPIRE): "take",
    str(Event.REQUEUE): "requeue",
}


def as_pytest(runtime: FakeServer, request: Request) -> str:
    """The test that recreates a request.

    An empty text for one that a fault struck, or whose token was refused, or with a very long or deep body.
    """
    earlier = [entry for entry in runtime.requests.entries if entry.n < request.n and _is_needed(entry, request)]
    requests = [*earlier, request]
    if request.faults or request.status == _UNAUTHORIZED or any(len(entry.body) > _LONGEST for entry in requests):
        return ""
    tasks = [task for touched in request.tasks if (task := runtime.broker.store.tasks.get(touched.id)) is not None]
    texts = [*(entry.body for entry in requests), request.reply, *(task.payload.encode() for task in tasks)]
    if any(map(_is_deep, texts)):
        return ""
    by_hand = (step for task in tasks for step in _by_hand(task, requests))
    steps = sorted([*_requests(runtime, requests), *by_hand], key=itemgetter(0, 1))
    start, *_ = steps[0]
    body: list[str] = []
    now = start
    for at, _, lines in steps:
        if at > now:
            body.append(f"codeq.advance(to={representations.time(at)!r})")
        now = max(now, at)
        body += lines
    text = "\n        ".join(body)
    return f"""\
import pytest

from codeq_fake.testing import FakeCodeQ


@pytest.mark.codeq({_options(runtime, requests, start)})
def test_request_{request.n}(codeq: FakeCodeQ) -> None:
    with codeq.client() as http:
        {text}
{_assertions(request)}"""


def _is_deep(text: bytes) -> bool:
    """Whether a text is JSON that nests too deep for Python's compiler."""
    try:
        return at_once(nests_too_deep(text.decode(errors="replace")))
    except ValueError:  # it is not JSON
        return False


def _options(runtime: FakeServer, requests: list[Request], start: int) -> str:
    """The arguments of the marker: the time of the first step, the profile, and the callers of the requests."""
    start_and_profile = f"now={representations.time(start)!r}, profile={runtime.config.profile!r}"
    callers = {entry.caller for entry in requests}
    identities = [
        f"        {identity.name!r}: {{'kind': {identity.kind!r}, 'claims': {dict(identity.claims)!r}}},"
        for identity in runtime.config.identities
        if identity.claims.get("sub") in callers
    ]
    if not identities:
        return start_and_profile
    return "\n".join(("", f"    {start_and_profile},", "    identities={", *identities, "    },", ""))


def _is_needed(entry: Request, request: Request) -> bool:
    """Whether an earlier request changed what `request` is about."""
    ids = {task.id for task in request.tasks}
    return (
        any(task.id in ids for task in entry.tasks)
        and (entry.status in _OK or bool(entry.faults))
        and _NOT_CARRIED_OUT.isdisjoint(entry.faults)
    )


def _requests(runtime: FakeServer, requests: list[Request]) -> Iterator[Step]:
    """A step for each request. A claim that waited is sent when it got its task. The reply to the last one is kept."""
    made: set[str] = set()
    for index, entry in enumerate(requests):
        lines: list[str] = []
        new = [task.id for task in entry.created if task.id not in made]
        if new:
            lines.append(f"codeq.next(ids={new!r})")
            made.update(new)
        if entry.operation == "nack" and (delay := _delay_by_chance(entry)):
            lines.append(f"codeq.next(delays=[{delay}])")
        reply = "reply = " if entry is requests[-1] else ""
        lines.append(f"{reply}http.request({_arguments(runtime, entry)})")
        yield _carried_out_at(entry), index, lines


def _carried_out_at(entry: Request) -> int:
    """When a request was carried out (ns): for a claim that waited, when it was answered."""
    return max(entry.at, entry.answered)


def _by_hand(task: Task, requests: list[Request]) -> Iterator[Step]:
    """A step for each thing that happened to a task before the last request, and was not done by a request."""
    cause = -1  # the index of the latest request that changed the task
    for event, following in zip_longest(task.history, islice(task.history, 1, None)):
        if event.what == CREATED and not any(_has_created(entry, task) for entry in requests):
            yield event.at, -1, [f"codeq.next(ids=[{task.id!r}])", f"codeq.enqueue({_creation(task)})"]
        elif event.what in _BY_HAND and cause < len(requests) - 1 and event.at <= requests[-1].at:
            delays = [f"codeq.next(delays=[{_until_due(event, following)}])"] if event.what == Event.EXPIRE else []
            yield event.at, cause, [*delays, f"codeq.{_BY_HAND[event.what]}({task.id!r})"]
        elif event.what in CAUSES:
            cause = next((n for n, entry in enumerate(requests) if n > cause and _caused(entry, event)), cause)


def _until_due(expiry: HistoryEntry, following: HistoryEntry | None) -> int:
    """The delay (s) from the end of a lease until the task came due, which may be drawn. 0 if it is not due yet."""
    if following is None or following.what != Event.COME_DUE:
        return 0
    return (following.at - expiry.at) // SECOND


def _has_created(entry: Request, task: Task) -> bool:
    return any(created.id == task.id for created in entry.created)


def _caused(entry: Request, event: HistoryEntry) -> bool:
    return (
        entry.at <= event.at <= _carried_out_at(entry) and entry.operation.removesuffix("_batch") == CAUSES[event.what]
    )


def _creation(task: Task) -> str:
    options: dict[str, Any] = {"tenant": task.tenant, "max_attempts": task.max_attempts}
    options |= {name: value for name, value in (("priority", task.priority), ("webhook", task.webhook)) if value}
    written = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return f"{task.command!r}, {representations.parsed(task.payload)!r}, {written}"


def _delay_by_chance(nack: Request) -> int:
    """The delay that the server chose after a NACK (N3), 0 if the worker chose it."""
    if fields(nack).get("delaySeconds"):
        return 0
    try:
        delay = json.loads(nack.reply).get("delaySeconds", 0)
    except (ValueError, AttributeError):
        return 0
    return delay if isinstance(delay, int) else 0


def _arguments(runtime: FakeServer, entry: Request) -> str:
    """The arguments of httpx's `request`. A claim does not wait, because time stands still in the test."""
    arguments = [repr(entry.method), repr(entry.path)]
    for identity in runtime.config.identities:
        if identity.claims.get("sub") == entry.caller:
            arguments.append(f"headers={{'authorization': 'Bearer {identity.name}'}}")
            break
    body = fields(entry)
    if not entry.body:
        pass
    elif body:
        without_wait = {name: value for name, value in body.items() if name != "waitSeconds"}
        arguments.append(f"json={without_wait if entry.operation in CLAIMS else body!r}")
    else:
        arguments.append(f"content={entry.body!r}")
    return ", ".join(arguments)


def _assertions(request: Request) -> str:
    """The lines of a test that expect the reply of a request."""
    lines = [f"    assert reply.status_code == {request.status}"]
    if request.reply and b"traceParent" not in request.reply:  # whose last part is chance
        try:
            lines.append(f"    assert reply.json() == {json.loads(request.reply)!r}")
        except ValueError:
            lines.append(f"    assert reply.content == {request.reply!r}")
    return "\n".join(lines) + "\n"
