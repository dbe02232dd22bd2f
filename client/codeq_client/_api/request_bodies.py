"""Encoding: the bodies of requests. Wrong arguments raise `ConfigurationError`, other values `EncodeError`."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from codeq_client.errors import ConfigurationError, EncodeError

from .arguments import check_number, check_text, instant, whole_seconds, without_surrogates
from .json_values import Json, dumps, encode, to_json, wrap_result
from .models import Artifact, NewTask

T = TypeVar("T")

_LEAST = -(2**63)
"""The least whole number that the server can read."""


@dataclass(frozen=True, slots=True)
class NewItem:
    """An encoded task to create, and whether it has an idempotency key."""

    body: bytes
    keyed: bool


def new_item(new: NewTask, key: str) -> NewItem:
    """Encode a task to create. Raises `ConfigurationError`, and `EncodeError` for its payload."""
    check_text(new.command, "command")
    check_text(key, "idempotency_key")
    if not new.command.strip():  # C2
        raise ConfigurationError("command is empty")
    if new.payload is None:
        raise EncodeError("the server does not take a null payload; send {}")
    body = {"command": new.command, "payload": to_json(new.payload, "$.payload"), "idempotencyKey": key}
    return NewItem(encode(body | _options(new)), bool(key.strip()))


def _options(new: NewTask) -> dict[str, Json]:
    """Return what a task has besides command, payload and key. Most tasks have nothing."""
    if (new.priority, new.max_attempts, new.delay, new.webhook, new.run_at) == (0, 0, 0, "", None):
        return {}
    check_text(new.webhook, "webhook")
    for name, number in (("priority", new.priority), ("max_attempts", new.max_attempts)):
        check_number(number, name, least=-math.inf, is_whole=True)
        if not _LEAST <= number < -_LEAST:
            raise ConfigurationError(f"{name} has more than 64 bits: the server would refuse all items beside it, too")
    if new.delay and new.run_at:
        raise ConfigurationError("give either delay or run_at: the server would ignore the delay (C6)")
    given = {
        "priority": new.priority,
        "webhook": new.webhook,
        "maxAttempts": new.max_attempts,
        "delaySeconds": whole_seconds(new.delay, "delay"),
        "runAt": instant(new.run_at, "run_at"),
    }
    return {name: to_json(value, f"$.{name}") for name, value in without_empty(given).items()}


def result_body(result: object, error: str, artifacts: Sequence[Artifact]) -> bytes:
    """Encode the result of one task; raises `EncodeError`."""
    return encode(_outcome(result, error) | {"artifacts": to_json([_artifact(item) for item in artifacts])})


def submission(task_id: str, result: object, error: str) -> bytes:
    """Encode one task's result for a batch; raises `EncodeError`."""
    return in_batch(task_id, encode(_outcome(result, error)))


def in_batch(task_id: str, body: bytes) -> bytes:
    """Return the item of a batch for the body of a `submit`, which is a JSON object."""
    return b'{"taskId":%b,%b' % (dumps(task_id), body[1:])


def _outcome(result: object, error: str) -> dict[str, Json]:
    """Return how a task ends. With an error, the result is ignored."""
    if error:
        text = without_surrogates(error, "error")
        return {"status": "FAILED", "error": text if text.strip() else "unknown error"}  # S1: blank is missing
    return {"status": "COMPLETED", "result": wrap_result(result)}


def _artifact(artifact: Artifact) -> dict[str, str]:
    if not isinstance(artifact, Artifact):
        raise ConfigurationError(f"an artifact must be an Artifact, not a {type(artifact).__name__}")
    body = {"name": artifact.name, "url": artifact.url, "contentType": artifact.content_type}
    if not artifact.url:
        if not isinstance(artifact.content, bytes | bytearray | memoryview):
            raise ConfigurationError(f"an artifact's content must be bytes, not a {type(artifact.content).__name__}")
        body["contentBase64"] = base64.b64encode(artifact.content).decode()
    return without_empty(body)


def without_empty(fields: dict[str, T]) -> dict[str, T]:
    """Return the fields that are not empty: the server takes empty ones as missing."""
    return {name: value for name, value in fields.items() if value}
