"""Topics: an administrator's catalogue by tenant and name, which no task route reads (G3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from . import errors

_LABEL = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LONGEST_LABEL = 63
_NO_LABEL = f"must be a DNS label with at most {_LONGEST_LABEL} characters"

MOST_TIERS = 10
HIGHEST_PRIORITY = 10
MOST_ATTEMPTS = 100
LONGEST_RETENTION = 2_147_483_647
MOST_CONSUMERS = 10_000


class Policy(NamedTuple):
    """What an administrator sets. `tiers` are priorities in ascending order; `retention` is in seconds."""

    tiers: tuple[int, ...]
    max_attempts: int
    dead_letter_topic: str
    retention: int
    max_consumers: int


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. Instants are in ns."""

    tenant: str
    name: str
    policy: Policy
    version: int
    created_at: int
    updated_at: int

    @property
    def id(self) -> str:
        """Tenant and name."""
        return f"{self.tenant}.{self.name}"


class Topics:
    """All topics of a server."""

    def __init__(self) -> None:
        self.by_name: dict[tuple[str, str], Topic] = {}

    def put(self, tenant: str, name: str, policy: Policy, *, now: int) -> tuple[Topic, bool]:
        """Create a topic or change its policy. Returns it, and whether it is new. Raises `InvalidTopic`."""
        _check_name(name)
        _check(policy, name)
        policy = policy._replace(tiers=tuple(sorted(policy.tiers)))
        known = self.by_name.get((tenant, name))
        if known is None:
            topic = Topic(tenant, name, policy, 1, now, now)
        elif known.policy == policy:
            topic = known
        else:
            topic = replace(known, policy=policy, version=known.version + 1, updated_at=now)
        self.by_name[tenant, name] = topic
        return topic, known is None

    def get(self, tenant: str, name: str) -> Topic:
        """A topic. Raises `InvalidTopic` or `TopicNotFound`."""
        _check_name(name)
        topic = self.by_name.get((tenant, name))
        if topic is None:
            raise errors.TopicNotFound(f"{tenant}.{name}")
        return topic

    def delete(self, tenant: str, name: str) -> None:
        """Delete a topic, if there is one. Raises `InvalidTopic`."""
        _check_name(name)
        self.by_name.pop((tenant, name), None)


def _check_name(name: str) -> None:
    """Raise `InvalidTopic` unless this can be a topic's name."""
    if not _is_label(name):
        raise errors.InvalidTopic("topicName", _NO_LABEL)


def _check(policy: Policy, name: str) -> None:
    """Raise InvalidTopic for the first field of a policy that is out of range."""
    if not 1 <= len(policy.tiers) <= MOST_TIERS:
        raise errors.InvalidTopic("priorityTiers", f"must contain between 1 and {MOST_TIERS} priorities")
    seen: set[int] = set()
    for tier in policy.tiers:
        if not 0 <= tier <= HIGHEST_PRIORITY:
            raise errors.InvalidTopic("priorityTiers", f"priorities must be integers from 0 through {HIGHEST_PRIORITY}")
        if tier in seen:
            raise errors.InvalidTopic("priorityTiers", "priorities must be unique")
        seen.add(tier)
    _check_range("maxAttempts", policy.max_attempts, 1, MOST_ATTEMPTS)
    if not _is_label(policy.dead_letter_topic):
        raise errors.InvalidTopic("deadLetterTopicRef", _NO_LABEL)
    if policy.dead_letter_topic == name:
        raise errors.InvalidTopic("deadLetterTopicRef", "must differ from topicName")
    _check_range("retentionSeconds", policy.retention, 0, LONGEST_RETENTION)
    _check_range("maxConsumers", policy.max_consumers, 0, MOST_CONSUMERS)


def _check_range(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise errors.InvalidTopic(field, f"must be between {least} and {most}")


def _is_label(text: str) -> bool:
    return len(text) <= _LONGEST_LABEL and _LABEL.fullmatch(text) is not None
