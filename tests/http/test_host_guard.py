"""The host guard: DNS rebinding does not open the API of tasks while everyone knows the token."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from codeq_fake.clocks import WallClock
from codeq_fake.http.host_guard import HostGuard
from codeq_fake.runtime.fake_server import Config, FakeServer
from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, IDENTITIES, TASKS, Answer, ask, bearer, request_scope

pytestmark = pytest.mark.asyncio

BODY = b'{"command":"A","payload":1,"webhook":"http://10.0.0.1/"}'
STATIC = {
    "PRODUCER_AUTH_PROVIDER": "static",
    "PRODUCER_AUTH_CONFIG": '{"token": "p", "subject": "p"}',
    "WORKER_AUTH_PROVIDER": "static",
    "WORKER_AUTH_CONFIG": '"w"',
}


async def create(fake: FakeCodeQ, host: str, token: str = "dev-token") -> Answer:
    """A create that comes over loopback, as `ask` says."""
    return await ask(fake.app, "POST", TASKS, [BODY], [*bearer(token), (b"host", host.encode("latin-1"))])


FOREIGN = ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1:8080", "[::1", "@localhost", "\xff"]
FOREIGN += ["evil.internal.example", "internal", "localhost.example"]


@pytest.mark.parametrize("host", FOREIGN)
async def test_a_name_that_resolves_to_this_machine_is_refused(host: str) -> None:
    fake = FakeCodeQ()
    for _ in range(2):
        answer = await create(fake, host)
        text = f"call this fake as localhost, not as {host}; with --any-host or tokens that you set any name is allowed"
        assert (answer.status, answer.json) == (403, {"error": text})
    assert fake.tasks() == []
    assert len(fake.requests) == 2


@pytest.mark.parametrize("path", [CLAIM, "/metrics", f"{TASKS}/x", f"{TASKS}/x/result"])
async def test_every_route_is_checked_before_the_token(path: str) -> None:
    method = "POST" if path == CLAIM else "GET"
    assert (await ask(FakeCodeQ().app, method, path, [b"{}"], [(b"host", b"evil.example")])).status == 403


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "127.0.0.2",
        "127.1",
        "0.0.0.0:8080",
        "localhost:8080",
        "LOCALHOST",
        "[::1]:8080",
        "codeq.localhost",
        "host.docker.internal:8080",
        "host.containers.internal",
        "",
    ],
)
async def test_every_name_of_this_machine_is_allowed(host: str) -> None:
    fake = FakeCodeQ()
    for _ in range(2):
        assert (await create(fake, host)).status == 202


async def test_many_names_of_this_machine_take_no_memory() -> None:
    guard = HostGuard(FakeServer(Config(), WallClock("manual")))
    for number in range(200):
        guard.check(b"localhost:%d" % number, request_scope("GET", "/metrics"))
    assert len(guard.known) < 100


@pytest.mark.parametrize(
    ("options", "token"),
    [({"any_host": True}, "dev-token"), ({"identities": IDENTITIES}, "producer"), ({"settings": STATIC}, "p")],
)
async def test_any_name_is_allowed_by_the_flag_and_with_tokens_of_your_own(options: Any, token: str) -> None:
    assert (await create(FakeCodeQ(**options), "codeq.example", token)).status == 202


async def test_a_reset_to_the_known_token_checks_names_again() -> None:
    fake = FakeCodeQ(settings=STATIC)
    assert (await create(fake, "codeq.example", "p")).status == 202
    reset = await ask(fake.app, "POST", "/_fake/reset", [b'{"settings":{}}'], [(b"host", b"localhost")])
    assert reset.status == 200
    assert (await create(fake, "codeq.example")).status == 403


async def test_calls_in_process_may_use_any_name() -> None:
    fake = FakeCodeQ()
    async with fake.async_client(base_url="http://wherever.example") as client:
        assert (await client.get("/metrics")).status_code == 200


@pytest.mark.port
async def test_a_server_on_a_port_checks_the_host() -> None:
    with FakeCodeQ() as fake, fake.serve():
        address = urlsplit(fake.url)
        statuses = []
        for host in (address.netloc, "evil.example"):
            connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
            headers = {"authorization": "Bearer dev-token", "host": host, "content-type": "application/json"}
            connection.request("POST", TASKS, json.dumps({"command": "A", "payload": 1}), headers)
            statuses.append(connection.getresponse().status)
            connection.close()
    assert statuses == [202, 403]
