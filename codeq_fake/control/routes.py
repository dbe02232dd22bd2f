"""The control API over HTTP: all calls under `/_fake`. None of them is part of the contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from inspect import isawaitable
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from codeq_fake.clocks import in_slices
from codeq_fake.documents import finite
from codeq_fake.faults.parsing import KNOWN_FIELDS
from codeq_fake.payloads import Advanced
from codeq_fake.runtime.fake_server import FakeServer

from . import json_blocks
from .access import Access
from .argument_readers import (
    Reader,
    anything,
    body,
    check_names,
    clock_mode,
    duration,
    instant,
    number_of,
    phase,
    profile,
    shaped,
    statuses,
    whole,
)
from .controls import Controls
from .errors import ControlError, UnknownCallError
from .limits import MOST_LISTED_TASKS

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class ControlCall:
    """One control call: its route below `/_fake`, its handler, and the readers of its arguments.

    An argument that is not in the path is read from the query of a GET, or from the JSON body of other methods. The
    handler gets those that were sent, by name. The reply is what it returns, as the field `under` if there is one. One
    that `freezes` reads tasks as they are at one instant; only one of these is answered at a time.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    arguments: Mapping[str, Reader] = field(default_factory=dict)
    under: str = ""
    parse_float: Callable[[str], Any] = finite
    is_shaped: bool = False
    freezes: bool = False

    async def answer(self, request: Request) -> Any:  # noqa: ANN401 - any JSON value
        """Read the arguments and call the handler. Raises ControlError."""
        arguments: dict[str, Any] = dict(request.path_params)
        others = [name for name in self.arguments if f"{{{name}}}" not in self.path]
        if others and self.method == "GET":
            check_names(request.query_params, others)
            arguments |= request.query_params
        elif others:
            arguments |= await body(request, others, parse_float=self.parse_float, is_shaped=self.is_shaped)
        reply = self.handler(**{name: self.arguments[name](value, name) for name, value in arguments.items()})
        if isawaitable(reply):
            reply = await reply
        return {self.under: reply} if self.under else reply


def _calls(controls: Controls) -> tuple[ControlCall, ...]:
    """All control calls of one fake: the table of routes, handlers and arguments."""
    faults = controls.faults
    text = anything
    task: Mapping[str, Reader] = {"task_id": text}
    setup: Mapping[str, Reader] = {
        "profile": profile,
        "settings": shaped(dict[str, str]),
        "yaml": shaped(str),
        "identities": anything,
        "clock": clock_mode,
        "now": instant,
        "reaper_phase": phase,
    }
    state = dict.fromkeys(("profile", "now", "broker"), anything)
    rule = dict.fromkeys((*KNOWN_FIELDS, "faults"), anything)
    search: Mapping[str, Reader] = {
        **dict.fromkeys(("status", "command", "tenant", "state", "text", "id"), text),
        "limit": whole,
    }

    requests: Mapping[str, Reader] = {"since": whole, "path": text, "status": statuses, "last": whole}

    def advance(seconds: int | None = None, to: int | None = None) -> Awaitable[Advanced]:
        return controls.advance(by=seconds, to=to)

    return (
        ControlCall("GET", "/health", controls.health),
        ControlCall("GET", "/clock", controls.clock),
        ControlCall("PUT", "/clock", controls.set_clock, {"now": instant, "mode": clock_mode}),
        ControlCall("POST", "/clock/advance", advance, {"seconds": duration, "to": instant}, parse_float=Decimal),
        ControlCall("POST", "/next", controls.next, {"ids": shaped(list[str]), "delays": shaped(list[int])}),
        ControlCall("POST", "/reset", controls.reset_with, setup),
        ControlCall("GET", "/state", controls.begin_state, freezes=True),
        ControlCall("PUT", "/state", lambda **sent: controls.restore_in_slices(sent), state, is_shaped=True),
        ControlCall("POST", "/persist", controls.save),
        ControlCall(
            "GET", "/tasks", partial(controls.begin_tasks, limit=MOST_LISTED_TASKS), search, under="tasks", freezes=True
        ),
        ControlCall("GET", "/tasks/{task_id}", controls.task, task),
        ControlCall("DELETE", "/tasks/{task_id}", controls.delete, task),
        ControlCall("GET", "/tasks/{task_id}/story", controls.story_in_slices, task),
        ControlCall("POST", "/tasks/{task_id}/expire", controls.expire, task),
        ControlCall("POST", "/tasks/{task_id}/take", controls.take_lease, task),
        ControlCall("POST", "/tasks/{task_id}/requeue", controls.requeue, task),
        ControlCall("GET", "/queues", controls.queues_in_slices),
        ControlCall("GET", "/workers", controls.workers_in_slices, under="workers"),
        ControlCall("GET", "/requests", controls.request_journal, requests),
        ControlCall("GET", "/requests/{n}", controls.request, {"n": number_of("request")}),
        ControlCall("GET", "/requests/{n}/pytest", controls.request_as_pytest, {"n": number_of("request")}),
        ControlCall("GET", "/callbacks", controls.callback_journal, {"since": whole, "last": whole}),
        ControlCall("POST", "/callbacks/{n}/resend", controls.resend, {"n": number_of("callback")}),
        ControlCall("GET", "/faults", faults.active),
        ControlCall("POST", "/faults", lambda **sent: faults.add(sent), rule),
        ControlCall("DELETE", "/faults", faults.clear),
        ControlCall("DELETE", "/faults/{n}", faults.remove, {"n": number_of("fault")}),
        ControlCall("GET", "/surprises", controls.surprises_in_slices, under="surprises"),
        ControlCall("GET", "/contract", controls.contract),
        ControlCall("GET", "/openapi.json", controls.openapi),
    )


def routes(runtime: FakeServer, *, token: str | None = None) -> list[BaseRoute]:
    """The control routes of one fake. With a `token`, each call needs it as its bearer token."""
    access = Access(token)

    def route(path: str, methods: tuple[str, ...], answer: Callable[[Request], Awaitable[Sequence[bytes]]]) -> Route:
        async def endpoint(request: Request) -> Response:
            refused = access.refusal(request)
            if refused is not None:
                status, reason = refused
                return JSONResponse({"error": reason}, status)
            try:
                return json_blocks.response(await answer(request))
            except ControlError as error:
                return JSONResponse({"error": str(error)}, error.status)
            except ClientDisconnect:
                return JSONResponse({"error": "you hung up"}, 400)

        return Route(f"/_fake{path}", endpoint, methods=list(methods))

    known = [route(call.path, (call.method,), partial(_answer, runtime, call)) for call in _calls(Controls(runtime))]
    return [*known, *(route(path, _METHODS, _unknown) for path in ("", "/{rest:path}"))]


async def _answer(runtime: FakeServer, call: ControlCall, request: Request) -> Sequence[bytes]:
    """Answer a call, set the timer for what is due next, and return the JSON text of the reply in blocks."""
    async with runtime.freezing if call.freezes else nullcontext():
        answer = await call.answer(request)
        if not runtime.broker.is_idle:
            runtime.arm()
        return await in_slices(json_blocks.encoded(answer))


async def _unknown(request: Request) -> NoReturn:
    raise UnknownCallError(f"there is no {request.method} {request.url.path}")
