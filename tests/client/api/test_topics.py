"""Topics (G3), and tenants as CodeQ's main branch takes them (G4), on its fake and on that of v0.3.3."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import pytest

from codeq_client import CodeQ, TopicPolicy
from codeq_client._api.operations import check_worker_token
from codeq_client.errors import BadRequest, InvalidTenant, NotFound, TopicNotFound
from codeq_fake.testing import FakeCodeQ
from tests.client.support import CLAIMS

T = TypeVar("T")

POLICY = TopicPolicy(
    priority_tiers=(5, 0), max_attempts=3, dead_letter_topic="dead", retention=timedelta(hours=1), max_consumers=7
)
IDENTITIES: dict[str, Any] = {
    "boss": {"kind": "producer", "claims": {"sub": "boss", "tenantId": "acme", "role": "ADMIN"}},
    "torn": {"kind": "producer", "claims": {"sub": "torn", "tenantId": "acme", "tid": "beta"}},
    "worker": {"kind": "worker", "claims": {**CLAIMS, "tenantId": "Acme"}},
}


def on(profile: Any, act: Callable[[CodeQ], Awaitable[T]], producer: str = "boss") -> T:
    """Return what `act` does with a client of a fake of this profile."""

    async def main() -> T:
        fake = FakeCodeQ(profile=profile, identities=IDENTITIES)
        transport = httpx.ASGITransport(fake.app)
        tokens = {"producer_token": producer, "worker_token": "worker"}
        async with CodeQ("http://codeq.test", transport=transport, retries=0, **tokens) as codeq:  # type: ignore[arg-type]  # the tokens' dict
            return await act(codeq)

    return asyncio.run(main())


def test_a_topic_is_created_changed_read_and_deleted() -> None:
    async def act(codeq: CodeQ) -> None:
        created = await codeq.put_topic("orders", POLICY)
        assert (created.id, created.tenant_id, created.name, created.version) == ("acme.orders", "acme", "orders", 1)
        tiers = TopicPolicy(
            priority_tiers=(0, 5), max_attempts=3, dead_letter_topic="dead", retention=3600, max_consumers=7
        )
        assert created.policy == tiers, "the server sorts the tiers"
        assert await codeq.put_topic("orders", POLICY) == created
        changed = await codeq.put_topic(
            "orders", TopicPolicy(priority_tiers=(1,), max_attempts=1, dead_letter_topic="dead")
        )
        assert (changed.version, changed.created_at) == (2, created.created_at)
        assert (changed.policy.retention, changed.policy.max_consumers) == (0, 0)
        assert await codeq.get_topic("orders") == changed
        await codeq.delete_topic("orders")
        await codeq.delete_topic("orders")
        with pytest.raises(TopicNotFound, match=r"acme\.orders"):
            await codeq.get_topic("orders")

    on("main/redis", act)


def test_a_policy_that_the_server_does_not_take_is_a_bad_request() -> None:
    policy = TopicPolicy(priority_tiers=(11,), max_attempts=1, dead_letter_topic="dead")
    with pytest.raises(BadRequest, match="invalid priorityTiers: priorities must be") as caught:
        on("main/redis", lambda codeq: codeq.put_topic("orders", policy))
    assert caught.value.status == 422


def test_v0_3_3_has_no_topics() -> None:
    with pytest.raises(NotFound, match="404 page not found") as caught:
        on("redis", lambda codeq: codeq.put_topic("orders", POLICY))
    assert type(caught.value) is NotFound


def test_a_token_with_torn_tenant_claims_is_refused_in_words() -> None:
    with pytest.raises(InvalidTenant) as caught:
        on("main/redis", lambda codeq: codeq.create("X", {}), producer="torn")
    assert caught.value.message == "invalid tenant claims"
    assert "HTTP 403" in str(caught.value)
    assert "tid, tenantId, tenant_id, organizationId and organization_id of the token must all be" in str(caught.value)
    assert on("redis", lambda codeq: codeq.create("X", {}), producer="torn").tenant_id == "acme"


def test_the_check_of_a_worker_names_its_tenant_and_no_scope() -> None:
    with pytest.raises(InvalidTenant):
        on("main/redis", lambda codeq: codeq.run(check_worker_token(codeq.core)))
