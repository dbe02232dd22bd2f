"""Why a request is rejected, in words for a person. The journal notes them; the reply has the server's text alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from codeq_fake import wire
from codeq_fake.auth import Forbidden, Unauthenticated
from codeq_fake.core import Task, errors
from codeq_fake.http.request import Call
from codeq_fake.wire import Struct

from .bad_body import of_bad_body

#: By a text of `auth.authenticator`: what it does not say (A1 to A8). The other texts are those of a JWT library.
_OF_TOKENS: Mapping[str, str] = MappingProxyType(
    {
        "missing Authorization header": "the request has no token: there is no Authorization header (A1)",
        "invalid Authorization format": "the Authorization header is not `Bearer TOKEN` (A2)",
        "invalid token": "no caller of this route has this token (A3, A7)",
        "missing eventTypes": "the token has no event types, so it is no worker's (A5)",
        "unauthorized. Admin only": "the token is not an admin's (A8)",
    }
)


def of_rejection(rejection: Exception, call: Call, operation: str, *, scope: str, body: Struct | None) -> str:
    """Why the request of `call` is rejected. Its operation needs `scope`, and reads the fields of `body` if any."""
    match rejection:
        case Forbidden(text="missing scope"):
            return f"the token lacks the scope {scope} (A5)"
        case Forbidden() | Unauthenticated():
            return _OF_TOKENS.get(rejection.text, rejection.text)
        case wire.BadBody() if body is not None:
            return of_bad_body(call.body, body, operation)
        case errors.EventTypeNotAllowed():
            return f"{rejection} They are: {', '.join(call.caller.event_types)}."
        case _:
            return _with_task(rejection, call)


def _with_task(rejection: Exception, call: Call) -> str:
    task = call.broker.store.tasks.get(call.params.get("id", ""))
    return str(rejection) if task is None else f"{rejection} {_state_of(task, call)}"


def _state_of(task: Task, call: Call) -> str:
    if not task.worker or task.worker == call.caller.subject:
        return f"It is {task.status.value}, held by {'you' if task.worker else 'no worker'}."
    return (
        f"It is {task.status.value}, held by {task.worker}; you are {call.caller.subject or 'a caller without name'}."
    )
