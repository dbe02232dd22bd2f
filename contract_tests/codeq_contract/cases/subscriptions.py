"""Subscriptions of a case, and the notices that they got (U1 to U7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codeq_contract.driver import Reply
from codeq_contract.suite.case_context import CaseContext, Hook


def subscribed(contract: CaseContext, hook: Hook, command: str, **fields: Any) -> str:
    """The id of a new subscription to the command."""
    reply: Reply = contract.worker.subscribe(callbackUrl=hook.url, eventTypes=[command], **fields)
    assert reply.status == 200, reply
    subscription: str = reply.json["subscriptionId"]
    return subscription


def with_retry(contract: CaseContext) -> None:
    """A task ends whose callback is sent twice."""
    hook = contract.hook(500)
    contract.worker.submit(contract.leased(webhook=hook.url))
    contract.clock.eventually(lambda: len(hook.received) == 2, within=contract.patience)


def counts(hooks: Sequence[Hook]) -> list[int]:
    """How many notices each got."""
    return [len(hook.received) for hook in hooks]


def two_groups(contract: CaseContext, commands: Sequence[str], **fields: Any) -> list[Hook]:
    """The webhooks of two new groups of two, which subscribe to the same commands."""
    hooks = [contract.hook() for _ in range(4)]
    for number, hook in enumerate(hooks):
        contract.worker.subscribe(
            callbackUrl=hook.url,
            eventTypes=commands,
            deliveryMode="group",
            groupId="g" if number < 2 else "h",
            ttlSeconds=200 + 10 * number,
            **fields,
        )
    return hooks
