"""The story of a run: what the weather did, and host by host what happened to the tasks concerned."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from codeq_fake.journal import Request, TouchedTask
from codeq_fake.testing import TaskView

from .effects import TEST, Effect, why_not_held
from .evidence import Evidence
from .leases import RACES, Leases
from .log import Entry, Kind
from .plan import Plan
from .weather_kinds import SERVER, describe

_SECOND = 1_000_000_000
_MOST_CHARACTERS = 100
_ERRORS = 400

#: Events of a history that no request of a holder causes: they are told of the server.
_OF_THE_SERVER = {"came due", "lease expired", "lease expired for the last time", "requeued by hand", *RACES}
#: Operation -> what the story says of a request that was carried out.
_DONE = {
    "create": "created {task}",
    "create_batch": "created {task}",
    "claim": "claimed {task}, with a lease until {until}",
    "claim_batch": "claimed {task}, with a lease until {until}",
    "heartbeat": "renewed the lease of {task} until {until}",
    "abandon": "abandoned {task}",
    "nack": "NACKed {task}",
    "submit": "sent the result of {task}",
    "submit_batch": "sent the result of {task}",
    "get": "read {task}: {status}",
    "result": "read the result of {task}",
}
#: Operation -> what the host wanted to do, for a request that was refused.
_WANTED = {
    "heartbeat": "heartbeat for {task}",
    "abandon": "abandon of {task}",
    "nack": "NACK of {task}",
    "submit": "result of {task}",
    "result": "read of the result of {task}",
}
#: A request on one task, as the world notes it.
_ON_TASK = re.compile(r"POST /v1/codeq/tasks/(?P<task>[^/]+)/(?P<verb>heartbeat|abandon|nack|result)\b")


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a story is told from: values only, so that no outcome keeps its world. `effects` are by name."""

    plan: Plan
    evidence: Evidence
    log: Sequence[Entry]
    effects: Mapping[str, Sequence[Effect]]


def weather(plan: Plan) -> str:
    """The events of a plan, each as a line."""
    return "\n".join(f"  {describe(event)}" for event in plan.events) or "  the weather was calm"


def tell(scene: Scene, tasks: Sequence[str]) -> str:
    """The story of the tasks with these ids, and of the hosts that touched them."""
    labels = labels_of(tasks)
    parts = ["The weather:", weather(scene.plan)]
    if labels:
        parts += ["", "The tasks:", *(_summary(task, labels) for task in scene.evidence.tasks if task.id in labels)]
    lines = lines_of(scene, tasks)
    for host in lanes_of(scene, lines):
        own = list(_without_repeats(line for line in lines if line.host == host))
        if own:
            parts += ["", f"{host or 'The test'}:", *(f"  {line.at:7.1f} s  {line.text}" for line in own)]
    return "\n".join(parts)


def labels_of(tasks: Sequence[str]) -> dict[str, str]:
    """A short name for each task: `task 1`."""
    return {task_id: f"task {n}" for n, task_id in enumerate(tasks, start=1)}


def lanes_of(scene: Scene, lines: Iterable[Entry]) -> list[str]:
    """All hosts, and what else these lines tell of: the server, and "" for the test."""
    return list(dict.fromkeys((*scene.evidence.hosts, *(line.host for line in lines))))


def lines_of(scene: Scene, tasks: Sequence[str]) -> list[Entry]:
    """What happened to these tasks and to the hosts that touched them, in the order of time."""
    labels, evidence = labels_of(tasks), scene.evidence
    leases = evidence.leases
    lines = [  # at one moment the server ends a lease before another worker gets the task
        *_histories(evidence.tasks, labels, leases),
        *_requests(evidence, labels, leases),
        *_effects(scene.effects, labels, leases),
    ]
    concerned = {line.host for line in lines}
    lines += [line for line in _notes(scene.log, labels) if line.host in concerned]
    return sorted(lines, key=attrgetter("at"))


def _summary(task: TaskView, labels: dict[str, str]) -> str:
    payload = _shortened(json.dumps(task.payload, ensure_ascii=False))
    attempts = "1 attempt" if task.attempts == 1 else f"{task.attempts} attempts"
    return f"  {labels[task.id]} ({task.id}): {task.command} {payload}, {task.status} after {attempts}"


def _requests(evidence: Evidence, labels: dict[str, str], leases: Leases) -> Iterator[Entry]:
    for request in evidence.requests:
        for touched in request.tasks:
            if touched.id in labels:
                host = request.caller if request.caller in evidence.hosts else TEST
                at = leases.carried_out_at(request, touched.id)
                kind: Kind = "refusal" if _is_refused(request) else "request"
                yield Entry(at, host, _told(request, touched, labels[touched.id], evidence.started_at), kind)


def _is_refused(request: Request) -> bool:
    return request.status >= _ERRORS or not request.status


def _told(request: Request, touched: TouchedTask, label: str, started_at: int) -> str:
    """What a request did to a task, or why it did nothing."""
    until = f"{(touched.lease_until - started_at) / _SECOND:.1f} s"
    operation = request.operation
    if _is_refused(request):
        wanted = _WANTED.get(operation, f"{operation} of {{task}}").format(task=label)
        return f"{wanted}: {_refusal(request)}"
    return _DONE.get(operation, f"{operation} of {{task}}").format(
        task=label, until=until, status=touched.state.status.value
    )


def _refusal(request: Request) -> str:
    faults = f" (injected: {', '.join(request.faults)})" if request.faults else ""
    if not request.status:
        return f"no reply{faults}"
    return f"{request.status} {_shortened(request.error)}".rstrip() + faults


def _histories(tasks: Iterable[TaskView], labels: dict[str, str], leases: Leases) -> Iterator[Entry]:
    """What the server did to the tasks by itself."""
    for task in tasks:
        for event in task.history if task.id in labels else ():
            if event["what"] in _OF_THE_SERVER:
                race = f" (race {RACES[event['what']]})" if event["what"] in RACES else ""
                text = f"{labels[task.id]}: {event['what']}{race}"
                yield Entry(leases.moment(event["at"]), SERVER, text, "server")


def _notes(log: Iterable[Entry], labels: dict[str, str]) -> Iterator[Entry]:
    """What the world noted, without what happened to requests on other tasks."""
    for entry in log:
        found = _ON_TASK.match(entry.text)
        if found is None:
            yield entry
        elif found["task"] in labels:
            operation = "submit" if found["verb"] == "result" else found["verb"]
            wanted = _WANTED[operation].format(task=labels[found["task"]])
            yield replace(entry, text=f"{wanted}{entry.text[found.end() :]}")


def _effects(effects: Mapping[str, Sequence[Effect]], labels: dict[str, str], leases: Leases) -> Iterator[Entry]:
    for name, entries in effects.items():
        for entry in entries:
            if entry.task in labels:
                key = f" with key {entry.key}" if entry.key else " without a key"
                why = why_not_held(leases, entry)
                mark = f", {why}" if why else ""
                text = f"{name.upper()} {entry.what!r} for {labels[entry.task]}{key}{mark}"
                yield Entry(entry.at, entry.host, text, "wrong" if why else "effect")


def _without_repeats(lines: Iterable[Entry]) -> Iterator[Entry]:
    """The lines of one host, with renewals in a row as one line."""
    for begin, alike in groupby(lines, key=_renewal):
        group = list(alike)
        if begin and len(group) > 1:
            text = f"{begin} {len(group)} times, last{group[-1].text.removeprefix(begin)}"
            yield replace(group[0], text=text)
        else:
            yield from group


def _renewal(line: Entry) -> str:
    """What renewals of one lease have in common; empty for other lines."""
    head, found, _ = line.text.partition(" until ")
    return head if found and head.startswith("renewed ") else ""


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
