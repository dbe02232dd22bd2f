"""The handle FakeCodeQ on a port."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from codeq_fake.serving.server import PortTakenError
from codeq_fake.testing import FakeCodeQ
from tests.in_process.support import CLAIM, NOW

pytestmark = pytest.mark.port


def test_a_fake_on_a_port_is_the_same_fake(fake: FakeCodeQ) -> None:
    task = fake.enqueue("A")
    with fake.serve() as served:
        assert served is fake
        assert fake.env == {
            "CODEQ_BASE_URL": fake.url,
            "CODEQ_PRODUCER_TOKEN": "dev-token",
            "CODEQ_WORKER_TOKEN": "dev-token",
            "CODEQ_ADMIN_TOKEN": "dev-token",
        }
        headers = {"authorization": "Bearer dev-token"}
        reply = httpx.post(f"{fake.url}{CLAIM}", headers=headers, json={"commands": ["A"]}, trust_env=False)
        assert reply.json()["id"] == task.id
        assert httpx.get(f"{fake.url}/_fake/health", trust_env=False).json()["now"] == NOW
    assert fake.task(task.id).status == "IN_PROGRESS"
    with pytest.raises(RuntimeError, match="on no port"):
        _ = fake.url


def test_a_fake_may_be_served_again(fake: FakeCodeQ) -> None:
    for _ in range(2):
        with fake.serve():
            assert httpx.get(f"{fake.url}/metrics", trust_env=False).status_code == 200


def test_a_taken_port_is_named(fake: FakeCodeQ) -> None:
    with FakeCodeQ() as other, other.serve():
        port = int(other.url.rpartition(":")[2])
        with pytest.raises(PortTakenError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            fake.serve(port=port).__enter__()


@pytest.mark.parametrize(("token", "status"), [(None, 404), ("t", 200)])
def test_other_machines_reach_the_control_api_by_its_token_alone(token: str | None, status: int) -> None:
    with FakeCodeQ(control_token=token) as fake, fake.serve(host="0.0.0.0"):  # noqa: S104 - that is the point
        url = fake.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - as above
        headers = {"authorization": f"Bearer {token}"}
        assert httpx.get(f"{url}/_fake/health", headers=headers, trust_env=False).status_code == status
        assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 200


def test_a_fake_may_be_served_beside_a_running_loop(fake: FakeCodeQ) -> None:
    async def story() -> None:
        with fake.serve():
            async with httpx.AsyncClient(base_url=fake.url, trust_env=False) as http:
                assert (await http.get("/metrics")).status_code == 200
            await fake.aadvance(1)

    asyncio.run(story())
    assert fake.now == "2026-01-31T12:00:01Z"


def test_a_fake_that_lives_in_the_running_loop_cannot_be_served_there(fake: FakeCodeQ) -> None:
    async def story() -> None:
        await fake.aadvance(1)
        with pytest.raises(RuntimeError, match=r"call serve\(\) before them"):
            fake.serve().__enter__()

    asyncio.run(story())
