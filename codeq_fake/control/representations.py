"""Tasks, requests, callbacks and faults as plain JSON values of the control API; times are RFC 3339 in UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from typing import Any, cast
from zoneinfo import ZoneInfo

from codeq_fake import __version__, payloads, wire
from codeq_fake.core import Broker, HistoryEntry, Record, State, Task, explain
from codeq_fake.core.commands import queue_name
from codeq_fake.core.slices import Slices, at_once, batches
from codeq_fake.documents import LONG, JsonText, nests_too_deep
from codeq_fake.faults import Fault, parsing
from codeq_fake.http import rendering
from codeq_fake.journal import Callback, Request, Try
from codeq_fake.runtime.fake_server import FakeServer

UTC = ZoneInfo("UTC")

_MILLISECOND = 1_000_000


def time(instant: int) -> str:
    """A time (ns) as RFC 3339 in UTC, with up to nine fraction digits."""
    return wire.rfc3339_nano(instant, UTC)


def health(runtime: FakeServer) -> payloads.Health:
    """Version, profile and clock of a running fake."""
    return {
        "status": "ok",
        "version": __version__,
        "profile": runtime.config.profile,
        "now": time(runtime.clock.now()),
        "clock": runtime.clock.mode,
    }


def task(shown: Task, zone: ZoneInfo) -> payloads.Task:
    """A task as in the reply of R12."""
    if len(shown.payload) + len(shown.error) < LONG:
        fields: payloads.Task = json.loads(rendering.task(shown, zone))
        return fields
    bare = copy(shown)  # to write and to read tens of megabytes of text would take a while
    bare.payload, bare.error = "", shown.error and "x"  # the JSON has no empty error
    fields = task(bare, zone)
    fields["payload"] = wire.without_surrogates(shown.payload)
    if shown.error:
        fields["error"] = wire.without_surrogates(shown.error)
    return fields


def listed_task(shown: Task, zone: ZoneInfo, state: str) -> payloads.ListedTask:
    """A task in a list, with the word for its state, and the time since when it has been in it."""
    return {**task(shown, zone), "state": state, "stateSince": time(shown.state_since)}


def task_in_full(shown: Task, broker: Broker, zone: ZoneInfo, *, now: int) -> payloads.TaskInFull:
    """A task with its result, its history, and whether it can be claimed."""
    claimable = explain(broker, shown.id, now=now)
    return {
        **task(shown, zone),
        "result": _record(shown.record, zone) if shown.record is not None else None,
        "history": [history_entry(line) for line in shown.history],
        "claimable": {
            "now": claimable.is_now,
            "reason": claimable.why or None,
            "since": time(claimable.not_before) if claimable.not_before is not None else None,
        },
    }


def _record(shown: Record, zone: ZoneInfo) -> payloads.Record:
    """A stored result or error (S2), without an empty `result`. A long one stays text."""
    fields: dict[str, Any] = {"taskId": shown.task_id, "status": str(shown.status)}
    if shown.result is not None and shown.result != "{}":
        fields["result"] = JsonText(shown.result) if len(shown.result) >= LONG else parsed(shown.result)
    if shown.error:
        fields["error"] = wire.without_surrogates(shown.error)
    if shown.artifacts:
        fields["artifacts"] = [
            {"name": wire.without_surrogates(artifact.name), "url": wire.without_surrogates(artifact.url)}
            for artifact in shown.artifacts
        ]
    return cast("payloads.Record", {**fields, "completedAt": wire.rfc3339_nano(shown.completed_at, zone)})


def result_value(record: payloads.Record) -> Any:  # noqa: ANN401 - any JSON value
    """The parsed result in a record, for a caller in the same process; `{}` if it has none, as after a failure."""
    value: object = record.get("result", {})
    return parsed(value.text) if isinstance(value, JsonText) else value


def parsed(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text; one that nests too deep for Python's JSON stays text."""
    return text if at_once(nests_too_deep(text)) else json.loads(text)


def history_entry(shown: HistoryEntry) -> payloads.HistoryEvent:
    """One entry of a task's history."""
    return {
        "at": time(shown.at),
        "what": shown.what,
        "by": shown.by or None,
        "from": _state(shown.before) if shown.before is not None else None,
        "to": _state(shown.after),
    }


def request(shown: Request) -> payloads.Request:
    """One request and its reply, with the secrets in its headers masked. Bytes that are not UTF-8 become U+FFFD."""
    return {
        "n": shown.n,
        "at": time(shown.at),
        "method": shown.method,
        "path": shown.path,
        "as": shown.caller or None,
        "operation": shown.operation or None,
        "tasks": [{"id": touched.id, "command": touched.command} for touched in shown.tasks],
        "headers": shown.masked_headers(),
        "body": shown.body.decode(errors="replace"),
        "status": shown.status or None,
        "reason": shown.reason or None,
        "faults": list(shown.faults),
        "reply": shown.reply.decode(errors="replace"),
        "tookMs": shown.took / _MILLISECOND,
    }


def latest_claim(shown: Request) -> payloads.LatestClaim:
    """What a worker got by its latest claim, or why it got nothing."""
    got = shown.reason or shown.error or f"got {len(shown.tasks)}"
    return {"n": shown.n, "at": time(shown.at), "as": shown.caller or None, "got": got}


def callback(shown: Callback) -> payloads.Callback:
    """One callback or notice with its tries."""
    return {
        "n": shown.n,
        "kind": shown.kind,
        "url": shown.url,
        "command": shown.command,
        "taskId": shown.task_id or None,
        "subscriptionId": shown.subscription_id or None,
        "state": shown.state,
        "blocked": shown.state == "blocked",
        "headers": dict(shown.headers),
        "body": shown.body.decode(errors="replace"),
        "tries": [_tried(tried) for tried in shown.tries],
    }


def spelled_commands(broker: Broker) -> Slices[dict[str, str]]:
    """Name of a queue -> its command as the last create spelled it."""
    spelled: dict[str, str] = {}
    for commands in batches(list(broker.counters.created)):
        spelled |= {queue_name(command): command for command in commands}
        yield
    return spelled


def queue(broker: Broker, key: tuple[str, str], spelled: Mapping[str, str]) -> payloads.Queue:
    """The queue of a tenant and name, with its command as `spelled_commands` has it."""
    tenant, name = key
    stored, store = broker.store.queues[key], broker.profile.store
    lease, delay = next(stored.leases.in_order(), None), next(stored.delays.in_order(), None)
    return {
        "tenant": tenant,
        "command": spelled.get(name, name),
        "ready": stored.ready_count(),
        "readyByPriority": stored.ready_by_priority(),
        "delayed": len(stored.delayed),
        "inProgress": len(stored.in_progress),
        "dlq": len(stored.dead),
        "nextDue": time(delay.visible_at) if delay is not None else None,
        "nextLeaseEnd": time(store.lease_expired_from(lease.lease_expiry)) if lease is not None else None,
    }


def _tried(shown: Try) -> payloads.Try:
    return {"at": time(shown.at), "status": shown.status, "error": shown.error, "faults": list(shown.faults)}


def fault(shown: Fault) -> payloads.Fault:
    """One fault rule with its number, and how often it matched (`met`) and fired."""
    counts = {"met": shown.met, "fired": shown.fired}
    return cast("payloads.Fault", {"id": shown.number, **parsing.shown(shown.rule), **counts})


def _state(state: State) -> payloads.State:
    return {"status": state.status.value, "location": state.location.value}
