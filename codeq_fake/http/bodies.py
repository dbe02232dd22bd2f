"""Request bodies: the fields that each route reads, with their types (B1, B2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codeq_fake import wire
from codeq_fake.wire import ANY, INT, LIST_OF, OBJECT, STRING, Kind, Struct

from .limits import LARGEST_BATCH, MOST_ARTIFACTS, MOST_COMMANDS
from .rejections import BadRequest, TooMany

CREATE = Struct(
    {
        "command": STRING,
        "payload": ANY,
        "priority": INT,
        "webhook": STRING,
        "maxAttempts": INT,
        "idempotencyKey": STRING,
        "runAt": STRING,
        "delaySeconds": INT,
    }
)
CREATE_BATCH = Struct({"tasks": LIST_OF(CREATE, LARGEST_BATCH)})
CLAIM = Struct({"commands": LIST_OF(STRING, MOST_COMMANDS), "leaseSeconds": INT, "waitSeconds": INT})
CLAIM_BATCH = Struct({"commands": LIST_OF(STRING, MOST_COMMANDS), "leaseSeconds": INT, "count": INT})
HEARTBEAT = Struct({"extendSeconds": INT})
NACK = Struct({"delaySeconds": INT, "reason": STRING})
ARTIFACT = Struct({"name": STRING, "url": STRING, "contentBase64": STRING, "contentType": STRING})
#: `workerId` is read so that its type is checked. The worker is the token's subject.
_RESULT: dict[str, Kind] = {
    "workerId": STRING,
    "status": STRING,
    "result": OBJECT,
    "error": STRING,
    "artifacts": LIST_OF(ARTIFACT, MOST_ARTIFACTS),
}
SUBMIT = Struct(_RESULT)
SUBMIT_BATCH = Struct({"results": LIST_OF(Struct({"taskId": STRING, **_RESULT}), LARGEST_BATCH)})
SUBSCRIBE = Struct(
    {
        "callbackUrl": STRING,
        "eventTypes": LIST_OF(STRING, MOST_COMMANDS),
        "ttlSeconds": INT,
        "deliveryMode": STRING,
        "groupId": STRING,
        "minIntervalSeconds": INT,
    }
)
RENEW = Struct({"ttlSeconds": INT}, is_lenient=True)
CLEANUP = Struct({"limit": INT, "before": STRING}, is_lenient=True)

#: For a route whose handler reads the body itself.
NONE = Struct({})


def arguments(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a body as arguments of the core, which has the defaults: `maxAttempts` is `max_attempts`."""
    return {_ARGUMENTS[name]: value for name, value in fields.items()}


_ARGUMENTS = {
    name: "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    for struct in (CREATE, NACK, ARTIFACT, SUBSCRIBE, RENEW)
    for name in struct.fields
}


def batch(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of a batch, from the only field of its body. Raises BadBody if there are none, or BadRequest."""
    items: list[dict[str, Any]] = next(iter(fields.values()), [])
    if not items:
        raise wire.BadBody
    if len(items) > LARGEST_BATCH:
        raise BadRequest(f"batch size exceeds maximum of {LARGEST_BATCH}")
    return items


def check_commands(commands: Sequence[str], most: float = MOST_COMMANDS) -> None:
    """Raise TooMany for more commands than allowed."""
    if len(commands) > most:
        raise TooMany("commands", MOST_COMMANDS)


def check_artifacts(count: int) -> None:
    """Raise TooMany if the results of a request have more artifacts than allowed."""
    if count > MOST_ARTIFACTS:
        raise TooMany("artifacts", MOST_ARTIFACTS)
