"""The control API over HTTP: everything under ``/_fake``, none of it part of the contract's surface."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

from codeq_fake.faults.parsing import KNOWN_FIELDS

from .access import Access
from .arguments import body, duration, field, number, query, whole
from .controls import Controls, instant
from .errors import (
    BadRequestError,
    ConflictError,
    ControlError,
    UnknownCallbackError,
    UnknownCallError,
    UnknownFaultError,
    UnknownTaskError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from codeq_fake.runtime.fake_server import Runtime

    Handler = Callable[[Controls, Request], Awaitable[dict[str, Any]]]

_STATUS: dict[type[ControlError], int] = {
    BadRequestError: 400,
    UnknownTaskError: 404,
    UnknownCallbackError: 404,
    UnknownFaultError: 404,
    UnknownCallError: 404,
    ConflictError: 409,
}

_TASK_LIMIT = 1000
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def routes(runtime: Runtime, *, token: str | None = None) -> list[BaseRoute]:
    """The control routes for one runtime. With a ``token``, each call needs it as its bearer token."""
    controls, access = Controls(runtime), Access(token)

    def route(path: str, methods: Sequence[str], handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            refused = access.refusal(request)
            if refused is not None:
                status, reason = refused
                return JSONResponse({"error": reason}, status)
            try:
                return JSONResponse(await handler(controls, request))
            except ControlError as refusal:
                return JSONResponse({"error": str(refusal)}, _STATUS[type(refusal)])
            except ClientDisconnect:
                return JSONResponse({"error": "you hung up"}, 400)

        return Route(f"/_fake{path}", endpoint, methods=list(methods))

    known = [route(path, (method,), handler) for path, method, handler in _TABLE]
    return [*known, *(route(path, _METHODS, _unknown) for path in ("", "/{rest:path}"))]


async def _unknown(_: Controls, request: Request) -> dict[str, Any]:
    raise UnknownCallError(f"there is no {request.method} {request.url.path}")


async def _health(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.health()


async def _clock(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.clock()


async def _set_clock(controls: Controls, request: Request) -> dict[str, Any]:
    found = await body(request, "now", "mode")
    now, mode = found.get("now"), found.get("mode")
    if mode not in (None, "real", "manual"):
        raise BadRequestError(f"mode: found {mode!r}, allowed are real and manual")
    return await controls.set_clock(now=instant(now) if now is not None else None, mode=mode)


async def _advance(controls: Controls, request: Request) -> dict[str, Any]:
    found = await body(request, "seconds", "to", parse_float=Decimal)
    return await controls.advance(
        by=duration(found["seconds"]) if "seconds" in found else None,
        to=instant(found["to"]) if "to" in found else None,
    )


async def _next(controls: Controls, request: Request) -> dict[str, Any]:
    found = await body(request, "ids", "delays")
    return controls.next(ids=field(found, "ids", list[str], ()), delays=field(found, "delays", list[int], ()))


async def _reset(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.reset(await body(request, "profile", "settings", "yaml", "identities", "clock", "now"))


async def _state(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.state()


async def _restore(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.restore(await body(request, "profile", "now", "broker"))


async def _save(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.save()


async def _tasks(controls: Controls, request: Request) -> dict[str, Any]:
    asked = query(request, "status", "command", "tenant", "limit")
    return {
        "tasks": controls.tasks(
            status=asked.get("status", ""),
            command=asked.get("command", ""),
            tenant=asked.get("tenant"),
            limit=number(request, "limit", _TASK_LIMIT),
        )
    }


async def _task(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.task(request.path_params["id"])


async def _expire(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.expire(request.path_params["id"])


async def _requeue(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.requeue(request.path_params["id"])


async def _delete(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.delete(request.path_params["id"])


async def _requests(controls: Controls, request: Request) -> dict[str, Any]:
    path = query(request, "since", "path", "status").get("path", "")
    status = number(request, "status", 0) or None
    return {"requests": controls.requests(since=number(request, "since", 0), path=path, status=status)}


async def _callbacks(controls: Controls, request: Request) -> dict[str, Any]:
    _ = query(request, "since")
    return {"callbacks": controls.callbacks(since=number(request, "since", 0))}


async def _resend(controls: Controls, request: Request) -> dict[str, Any]:
    return await controls.resend(whole(request.path_params["n"], "the callback's number"))


async def _queues(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.queues()


async def _faults(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.faults.shown()


async def _add_faults(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.faults.add(await body(request, *KNOWN_FIELDS, "faults"))


async def _remove_fault(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.faults.remove(whole(request.path_params["n"], "the fault's number"))


async def _clear_faults(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.faults.clear()


async def _surprises(controls: Controls, _: Request) -> dict[str, Any]:
    return {"surprises": controls.surprises()}


async def _openapi(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.openapi()


async def _contract(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.contract()


_TABLE: tuple[tuple[str, str, Handler], ...] = (
    ("/health", "GET", _health),
    ("/clock", "GET", _clock),
    ("/clock", "PUT", _set_clock),
    ("/clock/advance", "POST", _advance),
    ("/next", "POST", _next),
    ("/reset", "POST", _reset),
    ("/state", "GET", _state),
    ("/state", "PUT", _restore),
    ("/persist", "POST", _save),
    ("/tasks", "GET", _tasks),
    ("/tasks/{id}", "GET", _task),
    ("/tasks/{id}", "DELETE", _delete),
    ("/tasks/{id}/expire", "POST", _expire),
    ("/tasks/{id}/requeue", "POST", _requeue),
    ("/queues", "GET", _queues),
    ("/requests", "GET", _requests),
    ("/callbacks", "GET", _callbacks),
    ("/callbacks/{n}/resend", "POST", _resend),
    ("/faults", "GET", _faults),
    ("/faults", "POST", _add_faults),
    ("/faults", "DELETE", _clear_faults),
    ("/faults/{n}", "DELETE", _remove_fault),
    ("/surprises", "GET", _surprises),
    ("/contract", "GET", _contract),
    ("/openapi.json", "GET", _openapi),
)
