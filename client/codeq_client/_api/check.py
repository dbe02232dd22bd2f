"""Whether a token may do what a worker does, asked of the server without effect on any task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeq_client.errors import BadRequest, ConfigurationError, Forbidden, TaskNotFound

from .calls import Call, Reply, Role

if TYPE_CHECKING:
    from .retries import Core, Flow

# An empty body, and a task that is not there, are refused after token and scope (B3), so nothing comes of the calls.
_NEEDED = {
    "codeq:claim": "/v1/codeq/tasks/claim",
    "codeq:heartbeat": "/v1/codeq/tasks/codeq-worker-check/heartbeat",
    "codeq:result": "/v1/codeq/tasks/codeq-worker-check/result",
    "codeq:nack": "/v1/codeq/tasks/codeq-worker-check/nack",
    "codeq:abandon": "/v1/codeq/tasks/codeq-worker-check/abandon",
}


def check_token(core: Core) -> Flow[None]:
    """Raise `ConfigurationError` for scopes that a worker needs and the token lacks, and what else goes wrong."""
    missing = []
    for scope, path in _NEEDED.items():
        call: Call[Any] = Call("POST", path, Role.WORKER, _never)
        try:
            yield from core.send(call, retries=0)
        except (BadRequest, TaskNotFound):
            pass
        except Forbidden:
            missing.append(scope)
    if missing:
        raise ConfigurationError(f"the worker's token lacks {', '.join(missing)}")


def _never(_reply: Reply) -> None:
    raise ValueError("CodeQ would have refused this")
