"""Handlers: the topics of a tenant, and the status of Raft, on versions that have them (G2, G3)."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from codeq_fake import wire
from codeq_fake.core.topics import Policy, Topic

from . import replies
from .limits import LARGEST_POLICY
from .rejections import BadRequest
from .replies import Reply
from .request import Call

_POLICY = wire.StrictStruct(
    "Policy",
    "queuetopic.Policy",
    wire.Struct(
        {
            "priorityTiers": wire.LIST_OF(wire.INT),
            "maxAttempts": wire.INT,
            "deadLetterTopicRef": wire.STRING,
            "retentionSeconds": wire.INT,
            "maxConsumers": wire.INT,
        }
    ),
)
_RAFT_STATUS = replies.json('{"enabled":false,"numGroups":0}')


def raft_status(_: Call) -> Reply:
    """G2: the status of a server with one node."""
    return _RAFT_STATUS


def put(call: Call) -> Reply:
    """G3: create a topic, or change its policy."""
    _check_size(call.body)
    try:
        fields = wire.decode_strictly(call.body, _POLICY)
    except wire.StrictError as error:
        raise BadRequest(f"invalid request body: {error}") from None
    topic, is_new = call.broker.topics.put(call.caller.tenant, call.params["name"], _policy(fields), now=call.now)
    return _reply(topic, 201 if is_new else 200)


def get(call: Call) -> Reply:
    """G3: read a topic."""
    return _reply(call.broker.topics.get(call.caller.tenant, call.params["name"]), 200)


def delete(call: Call) -> Reply:
    """G3: delete a topic, if the query says that this is meant."""
    if call.query("deletionPolicy") != "Delete":
        raise BadRequest("deletionPolicy=Delete is required")
    call.broker.topics.delete(call.caller.tenant, call.params["name"])
    return replies.NO_CONTENT


def _check_size(body: bytes) -> None:
    if len(body) > LARGEST_POLICY:
        raise BadRequest("invalid request body: http: request body too large")


def _policy(fields: dict[str, Any]) -> Policy:
    return Policy(
        tuple(fields.get("priorityTiers", ())),
        fields.get("maxAttempts", 0),
        fields.get("deadLetterTopicRef", ""),
        fields.get("retentionSeconds", 0),
        fields.get("maxConsumers", 0),
    )


def _reply(topic: Topic, status: int) -> Reply:
    """The reply with a topic: limits that are 0 are left out."""
    policy = topic.policy
    limits = {"retentionSeconds": policy.retention, "maxConsumers": policy.max_consumers}
    fields: dict[str, Any] = {
        "topicId": topic.id,
        "tenantId": topic.tenant,
        "topicName": topic.name,
        "policy": {
            "priorityTiers": list(policy.tiers),
            "maxAttempts": policy.max_attempts,
            "deadLetterTopicRef": policy.dead_letter_topic,
            **{name: limit for name, limit in limits.items() if limit},
        },
        "version": topic.version,
        "createdAt": wire.rfc3339_nano(topic.created_at, UTC),
        "updatedAt": wire.rfc3339_nano(topic.updated_at, UTC),
    }
    return replies.json(wire.encode(fields), status)
