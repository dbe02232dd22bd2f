"""Why the core refuses an operation: a tree that knows the rule, and nothing of the wire.

    Refused
    ├── InvalidCommand, InvalidWebhook, InvalidRunAt, InvalidDelay          create (C2, C3, C6)
    ├── EventTypeNotAllowed, WorkerRequired                                 claim (K1, A9)
    ├── TaskNotFound, NotOwner, NotInProgress                               a held task (H2, N1, S1)
    ├── ArtifactUndecodable, ResultRequired, ErrorRequired, InvalidStatus   submit (S1, S5)
    ├── ResultNotFound                                                      result (S7)
    ├── SubscriptionNotFound                                                renew (U2)
    └── InvalidCallbackUrl, InvalidDeliveryMode, GroupRequired              subscribe (U1)

A refused operation has changed nothing. Which status and text a refusal becomes depends on the route and is the
business of ``codeq_fake.http``.
"""

from __future__ import annotations


class Refused(Exception):
    """The contract says no to this operation; the broker's state is as it was before the call."""


class InvalidCommand(Refused):
    """The command is empty or white space (C2)."""


class InvalidWebhook(Refused):
    """The webhook is no absolute http(s) URL with a host (C3)."""


class InvalidRunAt(Refused):
    """``runAt`` is no RFC 3339 time as Go reads it (C6)."""


class InvalidDelay(Refused):
    """``delaySeconds`` is negative (C6)."""


class EventTypeNotAllowed(Refused):
    """A command asked for is not among the caller's event types (K1)."""


class WorkerRequired(Refused):
    """The caller has no subject, so a lease could have no holder (A9)."""


class TaskNotFound(Refused):
    """No task has this id: never made, or removed by a clean-up (M3)."""


class NotOwner(Refused):
    """The task is held by another worker, or by none any more (H2, N1, S1)."""


class NotInProgress(Refused):
    """The task is not in progress (N1, S1)."""


class ArtifactUndecodable(Refused):
    """An artifact's content is not base64 (S5).

    ``name`` is the artifact's, ``reason`` what Go's decoder says.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason


class ResultRequired(Refused):
    """A task cannot be completed without a result (S1)."""


class ErrorRequired(Refused):
    """A task cannot be failed without an error text (S1)."""


class InvalidStatus(Refused):
    """A result's status is neither COMPLETED nor FAILED (S1)."""


class ResultNotFound(Refused):
    """The task has no result yet, or ended in the dead letter queue, which stores none (S7, N4)."""


class SubscriptionNotFound(Refused):
    """No subscription has this id (U2)."""


class InvalidCallbackUrl(Refused):
    """The callback URL is no absolute http(s) URL with a host (U1)."""


class InvalidDeliveryMode(Refused):
    """The delivery mode is none of fanout, group and hash (U1)."""


class GroupRequired(Refused):
    """Delivery mode ``group`` needs a group id (U1)."""
