"""The history of a fake as a recording of the contract suite, made from its journals and its tasks.

A recording is a sequence of JSON objects: a header, and one for each request and each try of a callback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any, TypeAlias

from codeq_fake.core import Task
from codeq_fake.http import rendering
from codeq_fake.journal import Callback, Request
from codeq_fake.runtime.fake_server import FakeServer

Line: TypeAlias = Mapping[str, Any]

_SECOND = 1_000_000_000
_CREATED = 202
_NO_REPLY = 0


def recording(runtime: FakeServer, started_at: int) -> list[Line]:
    """The lines of a recording of all since `started_at` (ns), of a fake with the default settings.

    Requests that a fault kept from being carried out are not in it.
    """
    epoch = started_at // _SECOND * _SECOND
    requests = [request for request in runtime.requests.entries if _is_carried_out(request)]
    return [
        _header(runtime, requests, epoch),
        *(_call(request, epoch) for request in requests),
        *_creates_by_hand(runtime, requests, epoch),
        *(line for callback in runtime.deliveries.journal.entries for line in _tries(callback, epoch)),
    ]


def _is_carried_out(request: Request) -> bool:
    return request.status != _NO_REPLY and "refuse" not in request.faults


def _header(runtime: FakeServer, requests: list[Request], epoch: int) -> Line:
    """The profile, the epoch, and an identity for each caller by name and tenant."""
    callers = {_caller(request): request for request in requests if request.caller}
    return {
        "kind": "header",
        "name": "simulation",
        "profile": runtime.config.profile.removeprefix("v0.3.3/"),
        "epoch_unix": epoch // _SECOND,
        "drained": False,
        "settings": {},
        "yaml": None,
        "static": None,
        "identities": {
            name: {"kind": "worker", "claims": {"sub": request.caller, "tenantId": request.tenant}}
            for name, request in callers.items()
        },
    }


def _caller(request: Request) -> str | None:
    return f"{request.caller} of {request.tenant}" if request.caller else None


def _call(request: Request, epoch: int) -> Line:
    return {
        "kind": "call",
        "n": request.n,
        "t0": (request.arrived - epoch) / _SECOND,
        "t1": (request.answered - epoch) / _SECOND,
        "as": _caller(request),
        "method": request.method,
        "path": request.path,
        "headers": {},
        "body": request.body.decode(errors="surrogateescape"),
        "status": request.status,
        "reply_headers": {},
        "reply": request.reply.decode(errors="surrogateescape"),
    }


def _creates_by_hand(runtime: FakeServer, requests: list[Request], epoch: int) -> Iterator[Line]:
    """A create without a caller for each task that the test itself has created.

    Their numbers, 0 and below, are those of no request.
    """
    #: Task -> when the first request came that may have created it.
    arrived: dict[str, int] = {}
    for request in requests:
        for created in request.created:
            arrived.setdefault(created.id, request.arrived)
    for n, task in enumerate(runtime.broker.store.tasks.values()):
        if arrived.get(task.id, task.created_at + 1) > task.created_at:
            moment = (task.created_at - epoch) / _SECOND
            yield {
                "kind": "call",
                "n": -n,
                "t0": moment,
                "t1": moment,
                "as": None,
                "method": "POST",
                "path": "/v1/codeq/tasks",
                "headers": {},
                "body": "{}",
                "status": _CREATED,
                "reply_headers": {},
                "reply": rendering.task(_as_created(task), runtime.config.settings.timezone),
            }


def _as_created(task: Task) -> Task:
    """A task as it was when it was created."""
    created = copy(task)
    created.state = task.history[0].after
    created.attempts = created.lease_until = 0
    created.worker = created.error = ""
    created.record = None
    return created


def _tries(callback: Callback, epoch: int) -> Iterator[Line]:
    for tried in callback.tries:
        yield {
            "kind": "callback",
            "t": (tried.at - epoch) / _SECOND,
            "method": "POST",
            "path": callback.url,
            "headers": {name.lower(): value for name, value in callback.headers},
            "body": callback.body.decode(errors="surrogateescape"),
            "answered": tried.status or 0,
        }
