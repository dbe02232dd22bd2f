"""What CodeQ's main branch does differently from v0.3.3 (G1 to G9, Q1), where no recording shows it."""

from __future__ import annotations

import asyncio
import json

import pytest

from codeq_fake.auth import Authenticator, Forbidden
from codeq_fake.clocks import run
from codeq_fake.control.errors import BadRequestError
from codeq_fake.core import PROFILES, canonical_name
from codeq_fake.http.limits import LARGEST_POLICY
from codeq_fake.server_settings import Settings, SettingsError, StaticAuth
from codeq_fake.testing import FakeCodeQ

TOPIC = "/v1/codeq/admin/topics/orders"
POLICY = {"priorityTiers": [5, 0], "maxAttempts": 3, "deadLetterTopicRef": "dead"}
STATIC = {"type": "static", "config": {"token": "one", "subject": "p", "raw": {"tenantId": "acme"}}}


def multi(*providers: object) -> dict[str, str]:
    config = json.dumps({"providers": providers})
    return {
        f"{side}_AUTH_{part}": text
        for side in ("PRODUCER", "WORKER")
        for part, text in (("PROVIDER", "multi"), ("CONFIG", config))
    }


# Profiles.


def test_a_profile_is_a_version_with_a_store_and_a_store_alone_is_v0_3_3() -> None:
    stores = ("redis", "kvrocks-2.8", "kvrocks-2.9")
    assert list(PROFILES) == [*stores, *(f"main/{store}" for store in (*stores, "pebble"))]
    assert canonical_name("v0.3.3/redis") == canonical_name("redis") == "redis"


@pytest.mark.parametrize(("profile", "shown"), [("v0.3.3/redis", "redis"), ("main/redis", "main/redis")])
def test_the_profile_is_taken_and_shown(profile: str, shown: str) -> None:
    fake = FakeCodeQ(profile=profile)  # type: ignore[arg-type]  # the names are those of `Profile`
    assert shown in repr(fake)


def test_an_unknown_version_is_refused_with_those_that_exist() -> None:
    with pytest.raises(BadRequestError, match=r"profile: found 'v9/redis', allowed are redis, .*, main/redis"):
        FakeCodeQ(profile="v9/redis")  # type: ignore[arg-type]  # what is tested


# Routes.


@pytest.mark.parametrize("profile", ["redis", "main/redis"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/codeq/raft/status"), ("PUT", TOPIC), ("GET", TOPIC)])
def test_v0_3_3_knows_none_of_the_new_routes(profile: str, method: str, path: str) -> None:
    fake = FakeCodeQ(profile=profile)  # type: ignore[arg-type]  # as above
    reply = fake.client().request(method, path, json=POLICY if method == "PUT" else None)
    is_unknown = reply.text == "404 page not found"
    assert is_unknown == (profile == "redis")


def test_a_reset_to_another_version_changes_the_routes_too() -> None:
    fake = FakeCodeQ(profile="redis", clock="manual")
    assert fake.client().get("/v1/codeq/raft/status").status_code == 404
    reset = fake.client().post("/_fake/reset", json={"profile": "main/redis"})
    assert reset.json()["profile"] == "main/redis"
    assert fake.client().get("/v1/codeq/raft/status").json() == {"enabled": False, "numGroups": 0}


def test_the_client_sends_the_token_of_an_administrator_to_topics() -> None:
    identities = {
        "shop": {"kind": "producer", "claims": {"sub": "shop"}},
        "boss": {"kind": "producer", "claims": {"sub": "boss", "role": "ADMIN", "tenantId": "acme"}},
    }
    fake = FakeCodeQ(profile="main/redis", identities=identities)
    created = fake.client().put(TOPIC, json=POLICY)
    assert (created.status_code, created.json()["tenantId"]) == (201, "acme")


@pytest.mark.parametrize(("more", "status"), [(0, 201), (1, 400)])
def test_a_policy_has_at_most_16_kib(more: int, status: int) -> None:
    fake = FakeCodeQ(profile="main/redis")
    policy = json.dumps(POLICY).encode()
    body = policy + b" " * (LARGEST_POLICY - len(policy) + more)
    assert fake.client().put(TOPIC, content=body).status_code == status


@pytest.mark.parametrize(
    ("profile", "version", "queues"),
    [
        ("redis", "v0.3.3", "Sizes of the built-in commands"),
        ("main/redis", "main", "Sizes of the built-in commands"),
        ("main/pebble", "main", "Sizes of all queues that are not empty"),
    ],
)
def test_the_openapi_document_is_that_of_the_profile(profile: str, version: str, queues: str) -> None:
    fake = FakeCodeQ(profile=profile)  # type: ignore[arg-type]  # as above
    document = fake.client().get("/_fake/openapi.json").json()
    has_topics = version == "main"
    assert document["info"]["version"].startswith(version)
    assert (TOPIC.replace("orders", "{name}") in document["paths"]) == has_topics
    assert document["paths"]["/v1/codeq/admin/queues"]["get"]["summary"].startswith(queues)
    assert ("500" in document["paths"]["/v1/codeq/tasks/claim"]["post"]["responses"]) != has_topics
    assert ("putTopic" in fake.client().get("/_fake/api").text) == has_topics


# Waiting for a result (G1).


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("1", 1),
        ("%2B1", 1),
        ("007", 7),
        ("0" * 5000 + "7", 7),
        ("61", 60),
        (str(2**63 - 1), 60),
        (str(2**63), 0),
        ("9" * 5000, 0),
        ("%2B%2B1", 0),
        ("0%2B1", 0),
        ("\u0661", 0),
    ],
    ids=lambda value: str(value)[:25],
)
def test_a_read_waits_for_as_many_seconds_as_go_reads(written: str, seconds: int) -> None:
    fake = FakeCodeQ(profile="main/redis", clock="auto")

    async def waited() -> float:
        task = fake.enqueue("A").id
        async with fake.async_client(timeout=None) as client:
            before = asyncio.get_running_loop().time()
            reply = await client.get(f"/v1/codeq/tasks/{task}/result?waitSeconds={written}")
            assert (reply.status_code, reply.json()) == (404, {"error": "result not found"})
            return asyncio.get_running_loop().time() - before

    assert run(waited()) == pytest.approx(seconds)


# Tenants (G4).


@pytest.mark.parametrize(
    ("claims", "tenant"),
    [
        ({"tid": "acme"}, "acme"),
        ({"tid": " acme ", "tenantId": "acme", "organization_id": "acme"}, "acme"),
        ({}, "sub-1"),
        ({"tid": "acme", "tenantId": "beta"}, None),
        ({"tenantId": "Acme"}, None),
        ({"tenantId": "a"}, None),
        ({"tenantId": "a" * 64}, None),
        ({"tenantId": ""}, None),
        ({"tenantId": None}, None),
        ({"tenantId": 1}, None),
        ({"tenantId": "acme", "organizationId": None}, None),
    ],
)
def test_tenant_claims_must_agree_and_have_one_form(claims: dict[str, object], tenant: str | None) -> None:
    auth = StaticAuth("one", "sub-1", raw=claims)
    door = Authenticator.of(Settings(producer_auth=auth), has_strict_tenants=True)
    if tenant is None:
        with pytest.raises(Forbidden, match="invalid tenant claims"):
            door.producer("Bearer one", now=0)
    else:
        assert door.producer("Bearer one", now=0).tenant == tenant


# Several providers (G8).


@pytest.mark.parametrize(
    ("providers", "text"),
    [
        ([STATIC], "found 1 providers; there must be 2 to 4"),
        ([STATIC] * 5, "found 5 providers; there must be 2 to 4"),
        ([STATIC, {"type": "multi", "config": {}}], "provider 2: found type 'multi'; it must be jwks or static"),
        ([STATIC, "x"], "provider 2: found a text; it must be a JSON object"),
        ([STATIC, {"type": "static", "config": {}}], "provider 2: no token"),
    ],
)
def test_wrong_settings_of_several_providers_are_refused(providers: list[object], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        Settings.from_env(multi(*providers))


def test_v0_3_3_has_one_provider_for_each_side() -> None:
    with pytest.raises(ValueError, match="found multi with the profile redis"):
        FakeCodeQ(profile="redis", settings=multi(STATIC, STATIC))


def test_a_reset_cannot_give_v0_3_3_several_providers() -> None:
    fake = FakeCodeQ(profile="main/redis", clock="manual", settings=multi(STATIC, STATIC))
    refused = fake.client().post("/_fake/reset", json={"profile": "redis"})
    assert (refused.status_code, "found multi with the profile redis" in refused.text) == (400, True)


# The state.


def test_topics_and_the_time_of_repairs_are_part_of_the_state() -> None:
    fake = FakeCodeQ(profile="main/redis", clock="manual")
    admin = fake.client()
    assert admin.put(TOPIC, json=POLICY).status_code == 201
    fake.client().post("/v1/codeq/tasks/claim", json={"commands": ["A"]})
    state = admin.get("/_fake/state").json()
    other = FakeCodeQ(clock="manual")
    other.client().put("/_fake/state", json=state)
    assert other.client().get(TOPIC).json()["policy"] == {**POLICY, "priorityTiers": [0, 5]}
    assert other.client().get("/_fake/state").json() == state


def test_a_state_of_an_older_release_has_no_topics() -> None:
    fake = FakeCodeQ(clock="manual")
    state = fake.client().get("/_fake/state").json()
    del state["broker"]["topics"], state["broker"]["repaired"]
    assert fake.client().put("/_fake/state", json=state).status_code == 200
