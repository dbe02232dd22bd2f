"""Refusals: one exception for each rule by which the core refuses an operation.

A refused operation changes nothing. `codeq_fake.http` turns a refusal into a status and a text, by route.
"""

from __future__ import annotations


class Refused(Exception):
    """The contract refuses this operation. The broker's state has not changed."""

    def __str__(self) -> str:
        return type(self).__doc__ or type(self).__name__  # Python's option -OO removes docstrings


class InvalidCommand(Refused):
    """The command is empty or only white space (C2)."""


class InvalidWebhook(Refused):
    """The webhook is not an absolute http(s) URL with a host (C3)."""


class InvalidRunAt(Refused):
    """`runAt` is not an RFC 3339 time as Go reads it (C6)."""


class InvalidDelay(Refused):
    """`delaySeconds` is negative (C6)."""


class EventTypeNotAllowed(Refused):
    """A requested command is not among the caller's event types (K1)."""


class WorkerRequired(Refused):
    """The caller has no subject, so a lease would have no holder (A9)."""


class InvalidTopic(Refused):
    """A topic has an invalid `field` (G3). `reason` is the server's text."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"The topic's {self.field} {self.reason} (G3)."


class TopicNotFound(Refused):
    """The caller's tenant has no topic `topic_id` (G3)."""

    def __init__(self, topic_id: str) -> None:
        super().__init__(topic_id)
        self.topic_id = topic_id

    def __str__(self) -> str:
        return f"There is no topic {self.topic_id!r} (G3)."


class ArtifactRefused(Refused):
    """The server does not store an artifact of this `name` (S5, G9). `reason` is its text."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"The artifact {self.name!r} cannot be stored (S5): {self.reason}"


class LeaseRefused(Exception):
    """The store refuses the time to live of a lease (K11). Unlike after a `Refused`, the task has changed.

    `reason` is the error of the store.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TaskNotFound(Refused):
    """No task has this id: it never existed, or a clean-up has deleted it (M3)."""


class NotOwner(Refused):
    """Another worker holds the task, or none does (H2, N1, S1)."""


class NotInProgress(Refused):
    """The task is not in progress (N1, S1)."""


class ArtifactUndecodable(Refused):
    """The content of an artifact is not base64 (S5). `reason` is the message of Go's decoder."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"The content of the artifact {self.name!r} is not base64 (S5): {self.reason}"


class ResultRequired(Refused):
    """COMPLETED needs a result (S1)."""


class ErrorRequired(Refused):
    """FAILED needs an error text (S1)."""


class InvalidStatus(Refused):
    """The status of a result is neither COMPLETED nor FAILED (S1)."""


class ResultNotFound(Refused):
    """The task has no result: it has not ended, or is a dead letter, for which none is stored (S7, N4)."""


class SubscriptionNotFound(Refused):
    """No subscription has this id (U2)."""


class InvalidCallbackUrl(Refused):
    """The callback URL is not an absolute http(s) URL with a host (U1)."""


class InvalidDeliveryMode(Refused):
    """The delivery mode is not fanout, group or hash (U1)."""


class GroupRequired(Refused):
    """Delivery mode `group` needs a group id (U1)."""
