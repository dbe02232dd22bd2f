"""The REST API: creates tasks, shows them, and receives their results by webhook."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from codeq_client import CodeQ, Task
from codeq_client.errors import BadRequest, CodeQError, ConfigurationError, ResultNotFound, TaskNotFound, Unavailable
from codeq_client.webhooks import ResultCallback, WebhookReceiver

from .requests import InvalidRequest, NewDelayed, NewMaster, NewWithWebhook

if TYPE_CHECKING:
    from starlette.requests import Request

_log = logging.getLogger(__name__)


def make_api(codeq: CodeQ, webhook_secret: str | None = None) -> Starlette:
    """Return the application, which closes the client when it shuts down."""
    tasks = Tasks(codeq)
    receiver = WebhookReceiver(webhook_secret)
    receiver.on_result(tasks.remember)

    @asynccontextmanager
    async def lifespan(_api: Starlette) -> AsyncGenerator[None]:
        async with codeq:
            yield

    return Starlette(
        routes=[
            Route("/api/tasks/master", tasks.create_master, methods=["POST"]),
            Route("/api/tasks/with-webhook", tasks.create_with_webhook, methods=["POST"]),
            Route("/api/tasks/delayed", tasks.create_delayed, methods=["POST"]),
            Route("/api/tasks/{id}", tasks.show),
            Route("/health", tasks.health),
            Mount("/webhooks/codeq", receiver),
        ],
        exception_handlers={InvalidRequest: _invalid, CodeQError: _failed},
        lifespan=lifespan,
    )


class Tasks:
    """The routes, and the results received by webhook."""

    def __init__(self, codeq: CodeQ) -> None:
        self._codeq = codeq
        self._results: dict[str, Any] = {}

    async def create_master(self, request: Request) -> JSONResponse:
        """Create a task with a priority."""
        new = NewMaster.read(await _json(request))
        return _accepted(await self._codeq.create("GENERATE_MASTER", {"jobId": new.job_id}, priority=new.priority))

    async def create_with_webhook(self, request: Request) -> JSONResponse:
        """Create a task whose result is sent to a URL, for example to this API's receiver."""
        new = NewWithWebhook.read(await _json(request))
        return _accepted(await self._codeq.create(new.command, new.payload, webhook=new.webhook))

    async def create_delayed(self, request: Request) -> JSONResponse:
        """Create a task that workers get only after a delay."""
        new = NewDelayed.read(await _json(request))
        return _accepted(await self._codeq.create("GENERATE_MASTER", {"jobId": new.job_id}, delay=new.delay_seconds))

    async def show(self, request: Request) -> JSONResponse:
        """Show a task and its result."""
        task = await self._codeq.get(request.path_params["id"])
        if not task.ended:
            return JSONResponse(_shown(task))
        try:
            record = (await self._codeq.result(task.id)).record
        except ResultNotFound:  # a dead letter has none
            return JSONResponse({**_shown(task), "error": task.error})
        return JSONResponse({**_shown(task), "result": record.result, "error": record.error})

    async def health(self, _request: Request) -> JSONResponse:
        """Show that the API is up, and how many results it received by webhook."""
        return JSONResponse({"status": "ok", "results": len(self._results)})

    async def remember(self, callback: ResultCallback) -> None:
        """Keep a result received by webhook."""
        _log.info("task %s is %s", callback.task_id, callback.record.status)
        self._results[callback.task_id] = callback.record.result


async def _json(request: Request) -> Any:  # noqa: ANN401  # any JSON
    try:
        return await request.json()
    except ValueError:
        raise InvalidRequest({"body": "must be a JSON object"}) from None


def _accepted(task: Task) -> JSONResponse:
    return JSONResponse(_shown(task), status_code=202)


def _shown(task: Task) -> dict[str, Any]:
    return {"id": task.id, "command": task.command, "status": task.status, "attempts": task.attempts}


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    problems: Mapping[str, str] = error.problems if isinstance(error, InvalidRequest) else {}
    return JSONResponse({"error": "invalid request", "problems": problems}, status_code=400)


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    """Answer with the status of the cause: the request, a missing task, the server, or this API."""
    codes = {TaskNotFound: 404, BadRequest: 400, ConfigurationError: 400, Unavailable: 503}
    code = next((code for kind, code in codes.items() if isinstance(error, kind)), 502)
    return JSONResponse({"error": str(error)}, status_code=code)
