"""The control API over HTTP: everything under ``/_fake``, none of it part of the contract's surface."""

from __future__ import annotations

import hmac
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from starlette.responses import JSONResponse
from starlette.routing import Route

from codeq_fake.core.units import SECOND

from .controls import DEFAULT_TASK_LIMIT, Controls, instant
from .errors import BadRequestError, ConflictError, ControlError, UnknownTaskError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from codeq_fake.runtime import Runtime

    Handler = Callable[[Controls, Request], Awaitable[dict[str, Any]]]

_STATUS: dict[type[ControlError], int] = {BadRequestError: 400, UnknownTaskError: 404, ConflictError: 409}

_LARGEST_BODY = 256 * 1024 * 1024
_MOST_SECONDS = Decimal(10) ** 12


def routes(runtime: Runtime, *, token: str | None = None) -> list[BaseRoute]:
    """The control routes for one runtime. With a ``token``, each call needs it as its bearer token."""
    controls = Controls(runtime)

    def route(path: str, method: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            if token is not None and not _authorized(request, token):
                return JSONResponse({"error": "this fake's control API needs its token as bearer token"}, 401)
            try:
                return JSONResponse(await handler(controls, request))
            except ControlError as refusal:
                return JSONResponse({"error": str(refusal)}, _STATUS[type(refusal)])

        return Route(f"/_fake{path}", endpoint, methods=[method])

    return [route(*row) for row in _TABLE]


def _authorized(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())


async def _health(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.health()


async def _clock(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.clock()


async def _set_clock(controls: Controls, request: Request) -> dict[str, Any]:
    body = await _body(request, "now", "mode")
    mode = body.get("mode")
    if mode not in (None, "real", "manual"):
        raise BadRequestError(f"mode: found {mode!r}, allowed are real and manual")
    now = body.get("now")
    return await controls.set_clock(now=instant(now) if now is not None else None, mode=mode)


async def _advance(controls: Controls, request: Request) -> dict[str, Any]:
    body = await _body(request, "seconds", "to")
    if ("seconds" in body) == ("to" in body):
        raise BadRequestError('give either {"seconds": number} or {"to": RFC 3339 time}')
    if "to" in body:
        return await controls.advance(to=instant(body["to"]))
    return await controls.advance(by=_duration(body["seconds"]))


async def _next(controls: Controls, request: Request) -> dict[str, Any]:
    body = await _body(request, "ids", "delays")
    ids, delays = body.get("ids") or [], body.get("delays") or []
    if not isinstance(ids, list) or not all(isinstance(one, str) and one for one in ids):
        raise BadRequestError("ids: a list of texts belongs here")
    if not isinstance(delays, list) or not all(type(one) is int and one >= 0 for one in delays):
        raise BadRequestError("delays: a list of whole seconds belongs here")
    return controls.next(ids=ids, delays=delays)


async def _reset(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.reset(await _body(request, "profile", "settings", "yaml", "identities", "clock", "now"))


async def _state(controls: Controls, _: Request) -> dict[str, Any]:
    return controls.state()


async def _restore(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.restore(await _body(request, "profile", "now", "broker"))


async def _tasks(controls: Controls, request: Request) -> dict[str, Any]:
    query = request.query_params
    return {
        "tasks": controls.tasks(
            status=query.get("status", ""),
            command=query.get("command", ""),
            tenant=query.get("tenant"),
            limit=_number(request, "limit", DEFAULT_TASK_LIMIT),
        )
    }


async def _task(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.task(request.path_params["id"])


async def _expire(controls: Controls, request: Request) -> dict[str, Any]:
    return controls.expire(request.path_params["id"])


async def _requests(controls: Controls, request: Request) -> dict[str, Any]:
    status = _number(request, "status", 0) or None
    path = request.query_params.get("path", "")
    return {"requests": controls.requests(since=_number(request, "since", 0), path=path, status=status)}


async def _callbacks(controls: Controls, request: Request) -> dict[str, Any]:
    return {"callbacks": controls.callbacks(since=_number(request, "since", 0))}


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
    ("/tasks", "GET", _tasks),
    ("/tasks/{id}", "GET", _task),
    ("/tasks/{id}/expire", "POST", _expire),
    ("/requests", "GET", _requests),
    ("/callbacks", "GET", _callbacks),
    ("/contract", "GET", _contract),
    ("/openapi.json", "GET", _openapi),
)


async def _body(request: Request, *names: str) -> dict[str, Any]:
    """The request's JSON object, {} for an empty body. Raises BadRequestError, also for a name that means nothing."""
    size, parts = 0, list[bytes]()
    async for part in request.stream():
        size += len(part)
        if size > _LARGEST_BODY:
            raise BadRequestError(f"a control call's body has at most {_LARGEST_BODY} bytes")
        parts.append(part)
    text = b"".join(parts)
    try:
        body = json.loads(text, parse_float=Decimal, parse_constant=_no_constant) if text.strip() else {}
    except (ValueError, RecursionError):
        raise BadRequestError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    if unknown := sorted(body.keys() - set(names)):
        raise BadRequestError(f"unknown: {', '.join(unknown)}; known are {', '.join(names)}")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _duration(seconds: object) -> int:
    if type(seconds) not in (int, Decimal) or not 0 <= seconds <= _MOST_SECONDS:  # type: ignore[operator]
        raise BadRequestError("seconds: a number that is not negative belongs here")
    return int(Decimal(seconds) * SECOND)  # type: ignore[arg-type]


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise BadRequestError(f"{name}: found {text!r} where a whole number belongs")
    return int(text)
