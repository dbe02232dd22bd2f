"""Reads the calls and callbacks of a recording as events."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any

from codeq_contract.recordings.format import Call, Callback, Recording, RecordingError
from codeq_contract.recordings.times import SECOND, parse_moment

from .events import (
    FOREVER,
    Abandon,
    CallbackReceived,
    Claim,
    Cleanup,
    Created,
    Delivery,
    Event,
    Heartbeat,
    Lost,
    Missing,
    Nack,
    Read,
    Result,
    ResultMissing,
    ResultRead,
    TaskSnapshot,
    queue_name,
)
from .settings import Settings

_TASK_PATH = re.compile(r"/v1/codeq/tasks/([^/]+)(?:/(heartbeat|abandon|nack|result))?")
_CLAIM = "/v1/codeq/tasks/claim"
_CLAIM_BATCH = "/v1/codeq/tasks/claim/batch"
_LONGEST_WAIT = 30  # seconds (K2)
_ZERO_TIME = parse_moment("0001-01-01T00:00:00Z")
_NOT_FOUND = frozenset({"not-found", "not found", "task not found"})
_REFUSALS_WITH_500 = frozenset({"not-found", "workerId is required"})


def _bound(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields as Go binds them (B1): by names in any case, the last of a name, and null changes nothing."""
    return {name.casefold(): value for name, value in fields if value is not None}


_OperationBase = tuple[int, str, int, int, str | None, str, str]

_BODIES = json.JSONDecoder(object_pairs_hook=_bound)

#: Go reads every number of a result as a float.
_VALUES = json.JSONDecoder(parse_int=float)

#: Lone surrogates, which Go replaces, and what may be one.
_ALTERED_BY_GO = re.compile(r"\\u[dD]|[\ud800-\udfff\ufffd]")


def events_of(recording: Recording, settings: Settings) -> Iterator[Event]:
    """The events of `recording`. A call that can neither change nor show a task gives none.

    Raises RecordingError if a successful call cannot be read.
    """
    for call in recording.calls:
        try:
            yield from _Reader(call, settings).events()
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            text = f"{recording.header.name}, call {call.number}: {type(error).__name__}: {error}"
            raise RecordingError(text) from error
    for number, callback in enumerate(recording.callbacks, start=1):
        yield from _called_back(number, callback)


class _Reader:
    """Reads one call."""

    def __init__(self, call: Call, settings: Settings) -> None:
        self.call = call
        self.settings = settings
        self.path = call.path.partition("?")[0]
        self.caller_name = call.identity or "?"
        self.when = (call.number, self.caller_name, call.sent, call.answered)
        self.caller = settings.callers.get(self.caller_name)

    def events(self) -> Iterator[Event]:
        """What the call changed or showed."""
        match (self.call.status or 0) // 100:
            case 2 if self._is_garbled():
                yield from self._lost()
            case 2:
                yield from self._succeeded() if self.call.method == "POST" else self._read_task()
            case 0 | 5 if self._error() not in _REFUSALS_WITH_500:
                yield from self._lost()
            case _:
                yield from self._refused()

    def _succeeded(self) -> Iterator[Event]:
        """What a POST with a 2xx did, by its route."""
        match self.path:
            case "/v1/codeq/tasks":
                yield self._created(self.reply, self._fields_of_create(), 0)
            case "/v1/codeq/tasks/batch":
                items = zip(self._fields()["tasks"], self.reply["results"], strict=True)
                for place, (item, answer) in enumerate(items):
                    if "task" in answer:
                        yield self._created(answer["task"], item or {}, place)
            case "/v1/codeq/tasks/claim" | "/v1/codeq/tasks/claim/batch":
                yield from self._claimed()
            case "/v1/codeq/tasks/batch/results":
                yield from self._results()
            case "/v1/codeq/admin/tasks/cleanup":
                if self.reply["deleted"]:
                    yield Cleanup(*self.when)
            case path:
                match = _TASK_PATH.fullmatch(path)
                if match is not None:
                    yield self._operation(match[1], match[2], "")

    def _read_task(self) -> Iterator[Event]:
        """The task that a GET showed (R12, R13)."""
        match = _TASK_PATH.fullmatch(self.path)
        if match is not None:
            reply = self.reply
            if match[2]:
                yield ResultRead(*self.when, _task(reply["task"]), _record(reply["result"]))
            else:
                yield Read(*self.when, _task(reply))

    def _lost(self) -> Iterator[Event]:
        """A call without a usable reply. A read changes nothing, so a lost one does not matter."""
        call = self.call
        if call.method == "POST" and self.path.startswith("/v1/codeq/"):
            when = (call.number, self.caller_name, call.sent, FOREVER)
            tenant = self.caller.tenant if self.caller else None
            yield Lost(*when, self.path, call.body or "", tenant, self._queues_of_lost())

    def _queues_of_lost(self) -> tuple[str, ...] | None:
        """The queues of a lost claim. A body that no server accepts may name anything."""
        try:
            return _queues(self._fields()) if self.path.startswith(_CLAIM) else None
        except (AttributeError, RecursionError, TypeError, ValueError):
            return None

    def _refused(self) -> Iterator[Event]:
        """What a refusal shows: that there is no such task, or that the caller could not do this to it."""
        match = _TASK_PATH.fullmatch(self.path)
        error = self._error()
        if match is not None and error in _NOT_FOUND:
            yield Missing(*self.when, match[1])
        elif match is not None and match[2] and error == "result not found":
            yield ResultMissing(*self.when, match[1])
        elif match is not None and match[2] and self.call.method == "POST" and error:
            yield self._operation(match[1], match[2], error)

    def _created(self, task: Mapping[str, Any], asked: Mapping[str, Any], place: int) -> Event:
        """The creation of a task, with the delay or the time that its request `asked` for (C6, C7)."""
        moment = _moment_asked(asked.get("runat") or "")
        delay = 0 if moment is not None else asked.get("delayseconds", 0) * SECOND
        return Created(*self.when, _task(task), place, delay, moment)

    def _claimed(self) -> Iterator[Event]:
        """A claim, and a delivery for each task that it got."""
        asked = self._fields()
        queues = _queues(asked)
        reply = self.reply if self.call.reply else {"tasks": ()}  # K3
        tasks = tuple(map(_task, reply.get("tasks", [reply])))
        lease = asked.get("leaseseconds", 0)
        lease = lease * SECOND if lease > 0 else self.settings.default_lease  # K2
        most = asked.get("count", 0) if self.path == _CLAIM_BATCH else 1  # K10
        yield Claim(*self.when, self.caller.tenant if self.caller else None, queues, tasks, most, self._wait(asked))
        for place, task in enumerate(tasks):
            yield Delivery(*self.when, task, place, queues, lease)

    def _wait(self, asked: Mapping[str, Any]) -> int:
        """How long a claim may wait for a task (K2, K9). A batch claim does not wait."""
        return 0 if self.path == _CLAIM_BATCH else min(max(0, asked.get("waitseconds", 0)), _LONGEST_WAIT) * SECOND

    def _operation(self, task_id: str, verb: str, refusal: str) -> Event:
        """The operation of a worker on one task. `verb` is the last part of the path."""
        base = (*self.when, self.caller.subject if self.caller else None, task_id, refusal)
        match verb:
            case "heartbeat":
                extension = 0 if refusal else self._fields().get("extendseconds", 0)
                return Heartbeat(*base, extension * SECOND if extension > 0 else self.settings.default_lease)  # H1
            case "abandon":
                return Abandon(*base)
            case "nack":
                asked, reply = ({}, {}) if refusal else (self._fields(), self.reply)
                return Nack(
                    *base, asked.get("delayseconds", 0), reply.get("delaySeconds", 0), reply.get("status") == "dlq"
                )
            case _:
                reply = {} if refusal else self.reply
                altered = not refusal and self._is_altered(reply)
                return self._result(base, reply, calls_back=True, is_altered=altered)

    def _results(self) -> Iterator[Event]:
        """The results of a batch (S6). Only if some id is unknown, the server treats each by itself and calls back."""
        answers = self.reply["results"]
        one_by_one = any(answer.get("error") == "task not found" for answer in answers)
        for answer in answers:
            error, record = answer.get("error", ""), answer.get("result") or {}
            if error == "task not found":
                yield Missing(*self.when, answer["taskId"])
                continue
            base = (*self.when, self.caller.subject if self.caller else None, answer["taskId"], error)
            yield self._result(base, record, calls_back=one_by_one, is_altered=False)

    @staticmethod
    def _result(base: _OperationBase, record: Mapping[str, Any], *, calls_back: bool, is_altered: bool) -> Result:
        status, completed_at = record.get("status", ""), record.get("completedAt", "")
        return Result(*base, status, completed_at, calls_back, _record(record), is_altered)

    def _is_altered(self, record: Mapping[str, Any]) -> bool:
        """Whether a record has another status, result or error than was sent (S2). False for bodies that Go alters."""
        body = (self.call.body or "").lstrip()
        if _ALTERED_BY_GO.search(body):
            return False
        try:
            fields, _ = _VALUES.raw_decode(body)
        except RecursionError:
            return False
        sent = {name.casefold(): value for name, value in fields.items() if value is not None}
        stored = _VALUES.decode(json.dumps(record))
        return any((sent.get(name) or None) != (stored.get(name) or None) for name in ("status", "result", "error"))

    def _fields(self) -> Mapping[str, Any]:
        """The fields of the body as Go binds them. Text after the first value is ignored (B1)."""
        value, _ = _BODIES.raw_decode((self.call.body or "").lstrip())
        return value or {}

    def _fields_of_create(self) -> Mapping[str, Any]:
        """As `_fields`. A payload that is too deep for Python counts as empty; the reply shows the task."""
        try:
            return self._fields()
        except RecursionError:
            return {}

    @cached_property
    def reply(self) -> Any:  # noqa: ANN401 - JSON of many shapes
        """The reply as JSON. Raises ValueError."""
        return json.loads(self.call.reply)

    def _is_garbled(self) -> bool:
        """Whether the reply was cut or mangled on its way, so that its content is unknown."""
        try:
            return self.call.status != HTTPStatus.NO_CONTENT and not isinstance(self.reply, dict)
        except ValueError:
            return self.path.startswith("/v1/codeq/")

    def _error(self) -> str:
        """The text of the error. Empty if the reply does not come from the API."""
        try:
            error = self.reply["error"]
        except (KeyError, TypeError, ValueError):
            return ""
        return error if isinstance(error, str) else ""  # gateways have objects there


def _moment_asked(run_at: str) -> int | None:
    """The time of a `runAt` (C6). The zero time counts as absent; 0 stands for a time that only Go can read."""
    try:
        moment = parse_moment(run_at) if run_at else None
    except ValueError:
        return 0
    return None if moment == _ZERO_TIME else moment


def _queues(asked: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The queues that a claim names, in its order (K4). None if the server chooses them (K1)."""
    commands: Sequence[str | None] = asked.get("commands") or ()
    return tuple(queue_name(command or "") for command in commands) or None


def _record(shown: Mapping[str, Any]) -> str:
    """The record of a result, in a form that can be compared."""
    return json.dumps(shown, sort_keys=True)


def _task(shown: Mapping[str, Any]) -> TaskSnapshot:
    """The task in a reply."""
    get = shown.get
    return TaskSnapshot(
        id=shown["id"],
        command=shown["command"],
        payload=shown["payload"],
        priority=get("priority", 0),
        webhook=get("webhook", ""),
        status=shown["status"],
        location=get("lastKnownLocation", ""),
        worker=get("workerId", ""),
        attempts=get("attempts", 0),
        max_attempts=get("maxAttempts", 0),
        tenant=get("tenantId", ""),
        created_at=shown["createdAt"],
    )


def _called_back(number: int, callback: Callback) -> Iterator[Event]:
    """A result callback. A redirect followed as a GET has no body (W4), and a notice names no task (U4)."""
    fields = json.loads(callback.body) if callback.body else {}
    if "taskId" in fields:
        when = (number, "server", callback.at, callback.at)
        said = (fields["taskId"], fields["status"], fields["completedAt"])
        yield CallbackReceived(*when, callback.path, *said, callback.headers, callback.body)
