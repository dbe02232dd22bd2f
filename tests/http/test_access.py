"""Callers of each route (A5 to A8). Tokens themselves are tested in `tests/auth`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from starlette.responses import JSONResponse

from codeq_fake.http import OPERATIONS
from codeq_fake.testing import FakeCodeQ
from tests.auth.support import NOW as SIGNED_AT
from tests.auth.support import SECOND, jwks, mint
from tests.clauses import CLAUSE_OF
from tests.http.support import CLAIM, TASKS

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from starlette.types import Receive, Scope, Send

    from codeq_fake.http import Operation

#: Section 1: the right and the scope of each route.
RIGHTS = {
    "producer": ("R1", "R2"),
    "codeq:claim": ("R3", "R4"),
    "codeq:heartbeat": ("R5",),
    "codeq:abandon": ("R6",),
    "codeq:nack": ("R7",),
    "codeq:result": ("R8", "R9"),
    "codeq:subscribe": ("R10", "R11"),
    "reader": ("R12", "R13"),
    "admin": ("R14", "R15", "R16"),
    "anyone": ("R17",),
}
RIGHT_OF = {clause: right for right, clauses in RIGHTS.items() for clause in clauses}
WORKERS = [operation for operation in OPERATIONS if RIGHT_OF[CLAUSE_OF[operation.name]].startswith("codeq:")]
TAKEN = [operation for operation in OPERATIONS if RIGHT_OF[CLAUSE_OF[operation.name]] in {"producer", "admin"}]


def call(codeq: FakeCodeQ, token: str, operation: Operation) -> httpx.Response:
    path = operation.path.replace("{id}", "x").replace("{command}", "x")
    with codeq.client(token) as client:
        return client.request(operation.method, path)


def refusal(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: CLAUSE_OF[operation.name])
def test_each_route_has_the_right_and_scope_of_section_1(operation: Operation) -> None:
    assert RIGHT_OF[CLAUSE_OF[operation.name]] == (operation.scope or operation.right)


@pytest.mark.parametrize("operation", [*WORKERS, *TAKEN], ids=lambda operation: CLAUSE_OF[operation.name])
def test_a1_a2_a_bearer_token_is_required(codeq: FakeCodeQ, operation: Operation) -> None:
    path = operation.path.replace("{id}", "x").replace("{command}", "x")
    with codeq.client(headers={"authorization": " "}) as client:
        assert refusal(client.request(operation.method, path)) == (401, "missing Authorization header")
    with codeq.client(headers={"authorization": "Basic abc"}) as client:
        assert refusal(client.request(operation.method, path)) == (401, "invalid Authorization format")


@pytest.mark.parametrize("operation", WORKERS, ids=lambda operation: CLAUSE_OF[operation.name])
def test_a5_a_worker_needs_the_routes_scope(codeq: FakeCodeQ, operation: Operation) -> None:
    assert refusal(call(codeq, "scopeless", operation)) == (403, "missing scope")
    assert call(codeq, "worker", operation).status_code not in {401, 403}


@pytest.mark.parametrize("operation", WORKERS, ids=lambda operation: CLAUSE_OF[operation.name])
def test_a4_a_producer_is_no_worker(codeq: FakeCodeQ, operation: Operation) -> None:
    assert refusal(call(codeq, "producer", operation)) == (401, "invalid audience: [codeq-producer]")


@pytest.mark.parametrize("operation", TAKEN, ids=lambda operation: CLAUSE_OF[operation.name])
def test_a4_a_worker_is_no_producer(codeq: FakeCodeQ, operation: Operation) -> None:
    assert refusal(call(codeq, "worker", operation)) == (401, "invalid audience: [codeq-worker]")


@pytest.mark.codeq(settings={"ALLOW_PRODUCER_AS_WORKER": "true"})
def test_a6_a_producer_may_act_as_a_worker_if_the_settings_allow_it(codeq: FakeCodeQ, producer: httpx.Client) -> None:
    codeq.enqueue("A", tenant="acme")
    task = producer.post(CLAIM, json={"commands": ["A"]}).json()
    assert task["workerId"] == "prod-1"
    assert producer.post(f"{TASKS}/{task['id']}/heartbeat", json={}).json() == {"ok": True}


@pytest.mark.parametrize("path", ["x", "x/result"])
def test_a7_workers_and_producers_may_read(codeq: FakeCodeQ, path: str) -> None:
    for token in ("worker", "scopeless", "producer"):
        with codeq.client(token) as client:
            assert client.get(f"{TASKS}/{path}").status_code == 404
    for header in ("Bearer unknown", "Basic abc", ""):
        with codeq.client(headers={"authorization": header}) as client:
            assert refusal(client.get(f"{TASKS}/{path}")) == (401, "invalid token")


@pytest.mark.codeq(identities={}, settings={})
def test_a3_without_settings_one_token_may_do_everything(codeq: FakeCodeQ) -> None:
    for operation in OPERATIONS:
        assert call(codeq, "dev-token", operation).status_code not in {401, 403}, operation.name
    assert refusal(call(codeq, "other", OPERATIONS[0])) == (401, "invalid token")


async def keys_at(scope: Scope, receive: Receive, send: Send) -> None:
    """An identity provider as an application."""
    await JSONResponse(jwks("k1") if scope["path"] == "/keys" else {})(scope, receive, send)


def test_a4_a_mounted_application_serves_the_keys() -> None:
    config = {"jwksUrl": "http://identity.test/keys", "issuer": "codeq-test", "audience": "codeq-producer"}
    settings = {f"{side}_AUTH_CONFIG": json.dumps(config) for side in ("PRODUCER", "WORKER")}
    token = mint({"kind": "producer", "claims": {"sub": "prod-1", "exp": SIGNED_AT // SECOND + 60}})
    with (
        FakeCodeQ(
            settings=settings,
            webhooks={"http://identity.test": keys_at},
            now=datetime.fromtimestamp(SIGNED_AT / SECOND, UTC),
        ) as fake,
        fake.client(token) as producer,
    ):
        assert producer.post(TASKS, json={"command": "A", "payload": 1}).json()["tenantId"] == "prod-1"


@pytest.mark.parametrize(
    ("url", "origin", "status"),
    [
        ("http://identity.test:80/keys", "http://identity.test", 202),
        pytest.param("http://127.0.0.1:1/keys", "http://127.0.0.1", 401, marks=pytest.mark.port),
    ],
)
def test_a4_a_mounted_application_serves_the_keys_at_its_origin_also_after_a_reset(
    url: str, origin: str, status: int
) -> None:
    config = {"jwksUrl": url, "issuer": "codeq-test", "audience": "codeq-producer"}
    settings = {f"{side}_AUTH_CONFIG": json.dumps(config) for side in ("PRODUCER", "WORKER")}
    token = mint({"kind": "producer", "claims": {"sub": "prod-1", "exp": SIGNED_AT // SECOND + 60}})
    with FakeCodeQ(webhooks={origin: keys_at}, now=datetime.fromtimestamp(SIGNED_AT / SECOND, UTC)) as fake:
        assert fake.client().post("/_fake/reset", json={"settings": settings}).status_code == 200
        reply = fake.client(token).post(TASKS, json={"command": "A", "payload": 1})
        assert reply.status_code == status, reply.text


def test_a4_signed_tokens_are_accepted_until_they_expire(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(jwks("k1")))
    config = json.dumps({"jwksUrl": keys.as_uri(), "issuer": "codeq-test", "audience": "codeq-producer"})
    settings = {
        "PRODUCER_AUTH_CONFIG": config,
        "WORKER_AUTH_CONFIG": config.replace("codeq-producer", "codeq-worker"),
    }
    now = datetime.fromtimestamp(SIGNED_AT / SECOND, UTC)
    token = mint({"kind": "producer", "claims": {"sub": "prod-1", "exp": SIGNED_AT // SECOND + 60}})
    with FakeCodeQ(settings=settings, now=now) as fake, fake.client(token) as producer:
        task = producer.post(TASKS, json={"command": "A", "payload": 1}).json()
        assert task["tenantId"] == "prod-1"
        fake.advance(seconds=59)
        assert producer.get(f"{TASKS}/{task['id']}").status_code == 200
        fake.advance(seconds=1)
        assert refusal(producer.post(TASKS, json={"command": "A", "payload": 1})) == (
            401,
            "token has invalid claims: token is expired",
        )
