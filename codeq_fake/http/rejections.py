"""Refusals on the wire: the one table that says which status and text a rule's no becomes on which route."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from codeq_fake.core import errors

from . import replies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codeq_fake.core.errors import Refused

    from .replies import Reply

#: By refusal; by operation where the routes differ, with None for all others.
_WIRE: Mapping[type[Refused], Mapping[str | None, tuple[int, str]]] = MappingProxyType(
    {
        errors.InvalidCommand: {None: (400, "invalid command")},  # C2
        errors.InvalidWebhook: {None: (400, "invalid webhook url")},  # C3
        errors.InvalidRunAt: {None: (400, "invalid 'runAt' (use RFC3339)")},  # C6
        errors.InvalidDelay: {None: (400, "invalid 'delaySeconds' (must be >= 0)")},  # C6
        errors.EventTypeNotAllowed: {None: (403, "event type not allowed")},  # K1
        errors.WorkerRequired: {None: (500, "workerId is required")},  # A9
        errors.TaskNotFound: {
            "heartbeat": (500, "not-found"),  # H2
            "abandon": (500, "not-found"),  # D2
            "nack": (404, "not-found"),  # N1
            "get": (404, "not found"),  # S8
            None: (404, "task not found"),  # S1, S7
        },
        errors.NotOwner: {None: (403, "not-owner")},  # H2, N1, S1
        errors.NotInProgress: {None: (409, "not-in-progress")},  # N1, S1
        errors.ResultRequired: {None: (400, "result required when status=COMPLETED")},  # S1
        errors.ErrorRequired: {None: (400, "error required when status=FAILED")},  # S1
        errors.InvalidStatus: {None: (400, "invalid status")},  # S1
        errors.ResultNotFound: {None: (404, "result not found")},  # S7
        errors.SubscriptionNotFound: {None: (404, "not-found")},  # U2
        errors.InvalidCallbackUrl: {None: (400, "invalid callback url")},  # U1
        errors.InvalidDeliveryMode: {None: (400, "invalid deliveryMode")},  # U1
        errors.GroupRequired: {None: (400, "groupId is required")},  # U1
    }
)


def status_and_text(refusal: Refused, operation: str) -> tuple[int, str]:
    """What ``refusal`` becomes on the route of ``operation``."""
    if isinstance(refusal, errors.ArtifactUndecodable):
        return 400, f"artifact {refusal.name} base64 decode: {refusal.reason}"  # S5
    by_operation = _WIRE[type(refusal)]
    return by_operation.get(operation) or by_operation[None]


def refuse(refusal: Refused, operation: str) -> Reply:
    """The reply that ``refusal`` becomes on the route of ``operation``."""
    return replies.error(*status_and_text(refusal, operation))
