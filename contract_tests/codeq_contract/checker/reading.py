"""Reads the calls and callbacks of a recording as events, without keeping them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from codeq_contract.recordings.format import Call, Callback, Header, RecordingError
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
    Sizes,
    TaskSnapshot,
    queue_name,
)
from .settings import Settings

_TASK_PATH = re.compile(r"/v1/codeq/tasks/([^/]+)(?:/(heartbeat|abandon|nack|result))?")
_QUEUE_PATH = re.compile(r"/v1/codeq/admin/queues/([^/]+)")
_CLAIM = "/v1/codeq/tasks/claim"
_CLAIM_BATCH = "/v1/codeq/tasks/claim/batch"
_NO_CONTENT, _BAD_REQUEST, _SERVER_ERROR = 204, 400, 500
_LONGEST_WAIT = 30  # seconds (K2)
_ZERO_TIME = parse_moment("0001-01-01T00:00:00Z")
_NOT_FOUND = frozenset({"not-found", "not found", "task not found"})
_REFUSALS = frozenset({"not-found", "workerId is required", "invalid body"})


def _bound(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields as Go binds them (B1): by names in any case, the last of a name, and null changes nothing."""
    return {name.casefold(): value for name, value in fields if value is not None}


_OperationBase = tuple[int, str, int, int, str | None, str, str]
"""What an `Operation` begins with: number, caller, sent, answered, worker, task id, refusal."""

_REPLIES = json.JSONDecoder()
_BODIES = json.JSONDecoder(object_pairs_hook=_bound)
_RECORDS = json.JSONEncoder(sort_keys=True)

#: Go reads every number of a result as a float.
_VALUES = json.JSONDecoder(parse_int=float)

#: Lone surrogates, which Go replaces, and what may be one.
_ALTERED_BY_GO = re.compile(r"\\u[dD]|[\ud800-\udfff\ufffd]")


class EventReader:
    """Reads the calls and callbacks of a recording as events, one after another.

    Counts the `calls` and `callbacks` that it has read. `end` is the last of their moments.
    """

    def __init__(self, header: Header, settings: Settings) -> None:
        self.calls = 0
        self.callbacks = 0
        self.end = header.epoch
        self._name = header.name
        self._settings = settings
        #: Each text once: those of a task are in many replies.
        self._texts: dict[str, str] = {}

    def events_of(self, entry: Call | Callback) -> Sequence[Event]:
        """The events of one entry. A call that can neither change nor show a task gives none.

        Raises RecordingError if a successful call cannot be read.
        """
        if isinstance(entry, Callback):
            self.callbacks += 1
            self.end = max(self.end, entry.at)
            return _called_back(self.callbacks, entry)
        self.calls += 1
        self.end = max(self.end, entry.answered)
        try:
            return _CallReader(entry, self._settings, self._texts).events()
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            text = f"{self._name}, call {entry.number}: {type(error).__name__}: {error}"
            raise RecordingError(text) from error


class _CallReader:
    """Reads one call. `texts` has all texts so far, so that equal ones are kept once."""

    def __init__(self, call: Call, settings: Settings, texts: dict[str, str]) -> None:
        self.call = call
        self.settings = settings
        self._texts = texts
        self.path = call.path.partition("?")[0]
        self.caller_name = self._interned(call.identity or "?")
        #: What each event of this call begins with: see `Event`.
        self.when = (call.number, self.caller_name, call.sent, call.answered)
        self.caller = settings.callers.get(self.caller_name)
        self.reply = _json_or_none(call.reply)

    def events(self) -> Sequence[Event]:
        """What the call changed or showed."""
        match (self.call.status or 0) // 100:
            case 2 if self._is_garbled():
                return self._lost()
            case 2:
                return self._succeeded() if self.call.method == "POST" else [*self._read_task(), *self._counted()]
            case _ if self._broke_off():
                return self._lost()
            case _:
                return self._refused()

    def _broke_off(self) -> bool:
        """Whether the call may have changed something although it failed. A claim may say so with 400 (K11, G7)."""
        status = self.call.status or 0
        may_be_half_done = not status or status >= _SERVER_ERROR or (status == _BAD_REQUEST and self.path == _CLAIM)
        return may_be_half_done and self._error() not in _REFUSALS

    def _succeeded(self) -> Sequence[Event]:
        """What a POST with a 2xx did, by its route."""
        match self.path:
            case "/v1/codeq/tasks":
                return [self._created(self.reply, self._fields_of_create(), 0)]
            case "/v1/codeq/tasks/batch":
                items = zip(self._fields()["tasks"], self.reply["results"], strict=True)
                return [
                    self._created(answer["task"], item or {}, place)
                    for place, (item, answer) in enumerate(items)
                    if "task" in answer
                ]
            case "/v1/codeq/tasks/claim" | "/v1/codeq/tasks/claim/batch":
                return self._claimed()
            case "/v1/codeq/tasks/batch/results":
                return [*self._results()]
            case "/v1/codeq/admin/tasks/cleanup":
                return [Cleanup(*self.when)] if self.reply["deleted"] else []
            case path:
                match = _TASK_PATH.fullmatch(path)
                return [] if match is None else [self._operation(match[1], match[2])]

    def _read_task(self) -> Sequence[Event]:
        """The task that a GET showed (R12, R13)."""
        match = _TASK_PATH.fullmatch(self.path)
        if match is None:
            return []
        reply = self.reply
        if match[2]:
            return [ResultRead(*self.when, self._task(reply["task"]), self._record(reply["result"]))]
        return [Read(*self.when, self._task(reply))]

    def _counted(self) -> Sequence[Event]:
        """The sizes that a GET showed (R15)."""
        match = _QUEUE_PATH.fullmatch(self.path)
        if match is None or self.caller is None:
            return []
        queue, reply = (self.caller.tenant, queue_name(unquote(match[1]))), self.reply
        return [Sizes(*self.when, queue, reply["ready"] + reply["delayed"] + reply["inProgress"], reply["dlq"])]

    def _lost(self) -> Sequence[Event]:
        """A call without a usable reply. A read changes nothing, so a lost one does not matter."""
        call = self.call
        if call.method != "POST" or not self.path.startswith("/v1/codeq/"):
            return []
        when = (call.number, self.caller_name, call.sent, FOREVER)
        tenant = self.caller.tenant if self.caller else None
        return [Lost(*when, self.path, call.body or "", tenant, self._queues_of_lost())]

    def _queues_of_lost(self) -> tuple[str, ...] | None:
        """The queues of a lost claim. A body that no server accepts may name anything."""
        try:
            return _queues_in(self.call.body or "") if self.path.startswith(_CLAIM) else None
        except (AttributeError, RecursionError, TypeError, ValueError):
            return None

    def _refused(self) -> Sequence[Event]:
        """What a refusal shows: that there is no such task, or that the caller could not do this to it."""
        match = _TASK_PATH.fullmatch(self.path)
        error = self._error()
        if match is None:
            return []
        task_id, verb = self._interned(match[1]), match[2]
        if error in _NOT_FOUND:
            return [Missing(*self.when, task_id)]
        if verb and error == "result not found":
            return [ResultMissing(*self.when, task_id)]
        if verb and self.call.method == "POST" and error:
            return [self._operation(task_id, verb, error)]
        return []

    def _created(self, task: Mapping[str, Any], asked: Mapping[str, Any], place: int) -> Event:
        """The creation of a task, with the delay or the time that its request `asked` for (C6, C7)."""
        moment = _moment_asked(asked.get("runat") or "")
        delay = 0 if moment is not None else asked.get("delayseconds", 0) * SECOND
        return Created(*self.when, self._task(task), place, delay, moment)

    def _claimed(self) -> Sequence[Event]:
        """A claim, and a delivery for each task that it got."""
        asked, queues = self._fields(), _queues_in(self.call.body or "")
        reply = self.reply or _REPLIES.decode(self.call.reply or '{"tasks":[]}')  # K3: no body
        tasks = tuple(map(self._task, reply.get("tasks", [reply])))
        lease = asked.get("leaseseconds", 0)
        lease = lease * SECOND if lease > 0 else self.settings.default_lease  # K2
        most = asked.get("count", 0) if self.path == _CLAIM_BATCH else 1  # K10
        tenant = self.caller.tenant if self.caller else None
        claim = Claim(*self.when, tenant, queues, tasks, most, self._wait(asked))
        return [claim, *(Delivery(*self.when, task, place, queues, lease) for place, task in enumerate(tasks))]

    def _wait(self, asked: Mapping[str, Any]) -> int:
        """How long a claim may wait for a task (K2, K9). A batch claim does not wait."""
        return 0 if self.path == _CLAIM_BATCH else min(max(0, asked.get("waitseconds", 0)), _LONGEST_WAIT) * SECOND

    def _operation(self, task_id: str, verb: str, refusal: str = "") -> Event:
        """The operation of a worker on one task. `verb` is the last part of the path."""
        base = (*self.when, self._worker(), self._interned(task_id), refusal)
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
                altered = not refusal and self._is_altered()
                return self._result(base, reply, calls_back=True, is_altered=altered)

    def _worker(self) -> str | None:
        """The subject of the caller. One without may end any task (A9), so that it counts as unknown."""
        return (self.caller.subject or None) if self.caller else None

    def _results(self) -> Iterator[Event]:
        """The results of a batch. If some id is unknown, the server treats each by itself and calls back (S6, G5)."""
        answers = self.reply["results"]
        one_by_one = any(answer.get("error") == "task not found" for answer in answers)
        calls_back = one_by_one or self.settings.always_calls_back
        for answer, is_altered in zip(answers, self._altered_in_batch(), strict=True):
            error, record = answer.get("error", ""), answer.get("result") or {}
            if error == "task not found":
                yield Missing(*self.when, answer["taskId"])
                continue
            base = (*self.when, self._worker(), self._interned(answer["taskId"]), error)
            yield self._result(base, record, calls_back=calls_back, is_altered=is_altered)

    def _result(self, base: _OperationBase, record: Mapping[str, Any], *, calls_back: bool, is_altered: bool) -> Result:
        status, completed_at = self._interned(record.get("status", "")), record.get("completedAt", "")
        return Result(*base, status, completed_at, calls_back, self._record(record), is_altered)

    def _is_altered(self) -> bool:
        """Whether a record has another status, result or error than was sent (S2). False for bodies that Go alters."""
        sent = self._values_sent()
        # What is equal to the reply as it was read already is so to its numbers as floats, and most is.
        return sent is not None and _differ(sent, self.reply) and _differ(sent, _VALUES.decode(self.call.reply))

    def _altered_in_batch(self) -> Sequence[bool]:
        """As `_is_altered`, for each answer of a batch, which are in the order of its items (S6)."""
        stored = _VALUES.decode(self.call.reply)["results"]
        sent = self._values_sent()
        if sent is None:
            return [False] * len(stored)
        items = _bound([*sent.items()])["results"]
        return [
            "result" in answer and _differ(item, answer["result"]) for item, answer in zip(items, stored, strict=True)
        ]

    def _values_sent(self) -> Mapping[str, Any] | None:
        """The body with numbers as Go reads those of a result. None for bodies that Go alters."""
        body = (self.call.body or "").lstrip()
        if _ALTERED_BY_GO.search(body):
            return None
        try:
            fields: Mapping[str, Any]
            fields, _ = _VALUES.raw_decode(body)
        except RecursionError:
            return None
        return fields

    def _fields(self) -> Mapping[str, Any]:
        """The fields of the body as Go binds them."""
        return _fields_in(self.call.body or "")

    def _fields_of_create(self) -> Mapping[str, Any]:
        """As `_fields`. A payload that is too deep for Python counts as empty; the reply shows the task."""
        try:
            return self._fields()
        except RecursionError:
            return {}

    def _is_garbled(self) -> bool:
        """Whether the reply was cut or mangled on its way, so that its content is unknown."""
        return self.call.status != _NO_CONTENT and not isinstance(self.reply, dict)

    def _error(self) -> str:
        """The text of the error. Empty if the reply does not come from the API."""
        error = self.reply.get("error") if isinstance(self.reply, dict) else None
        return self._interned(error) if isinstance(error, str) else ""  # gateways have objects there

    def _task(self, shown: Mapping[str, Any]) -> TaskSnapshot:
        """The task in a reply, its texts interned. Only fields that a server may leave out have a default."""
        get, interned = shown.get, self._interned
        return TaskSnapshot(
            id=interned(shown["id"]),
            command=interned(shown["command"]),
            payload=interned(shown["payload"]),
            priority=get("priority", 0),
            webhook=interned(get("webhook", "")),
            status=interned(shown["status"]),
            location=interned(get("lastKnownLocation", "")),
            worker=interned(get("workerId", "")),
            attempts=get("attempts", 0),
            max_attempts=get("maxAttempts", 0),
            tenant=interned(get("tenantId", "")),
            created_at=interned(shown["createdAt"]),
        )

    def _record(self, shown: Mapping[str, Any]) -> str:
        """The record of a result, in a form that can be compared."""
        return self._interned(_RECORDS.encode(shown))

    def _interned(self, text: str) -> str:
        """The stored copy of an equal text, so that each text is in memory once."""
        return self._texts.setdefault(text, text)


def _json_or_none(text: str) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return _REPLIES.decode(text) if text else None
    except ValueError:
        return None


def _differ(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Whether a record has another status, result or error than was sent."""
    fields = _bound([*sent.items()])
    return any((fields.get(name) or None) != (stored.get(name) or None) for name in ("status", "result", "error"))


@lru_cache(maxsize=256)
def _fields_in(body: str) -> Mapping[str, Any]:
    """The fields of a body as Go binds them. Text after the first value is ignored (B1). Many bodies are the same."""
    value, _ = _BODIES.raw_decode(body.lstrip())
    return value or {}


def _moment_asked(run_at: str) -> int | None:
    """The time of a `runAt` (C6). The zero time counts as absent; 0 stands for a time that only Go can read."""
    try:
        moment = parse_moment(run_at) if run_at else None
    except ValueError:
        return 0
    return None if moment == _ZERO_TIME else moment


@lru_cache(maxsize=256)
def _queues_in(body: str) -> tuple[str, ...] | None:
    """The queues that the body of a claim names, in its order (K4). None if the server chooses them (K1)."""
    commands: Sequence[str | None] = _fields_in(body).get("commands") or ()
    return tuple(queue_name(command or "") for command in commands) or None


def _called_back(number: int, callback: Callback) -> Sequence[Event]:
    """A result callback. A redirect followed as a GET has no body (W4), and a notice names no task (U4)."""
    fields = json.loads(callback.body) if callback.body else {}
    if "taskId" not in fields:
        return []
    when = (number, "server", callback.at, callback.at)
    said = (fields["taskId"], fields["status"], fields["completedAt"])
    return [CallbackReceived(*when, callback.path, *said, callback.headers, callback.body)]
