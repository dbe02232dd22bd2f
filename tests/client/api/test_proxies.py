"""Proxies of the environment: a server on this machine is called directly, any other one through them."""

from __future__ import annotations

import asyncio

import pytest

from codeq_client import BlockingCodeQ, CodeQ
from codeq_client.errors import ConfigurationError, Unavailable
from codeq_fake.testing import FakeCodeQ


@pytest.mark.port
@pytest.mark.usefixtures("proxies")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0"])  # noqa: S104 - a host to call
def test_a_server_on_this_machine_is_called_directly(codeq_server: FakeCodeQ, host: str) -> None:
    url = codeq_server.url.replace("127.0.0.1", host)

    async def create() -> None:
        async with CodeQ(url, producer_token="dev-token", retries=0) as codeq:
            await codeq.create("ASYNC", {})

    asyncio.run(create())
    with BlockingCodeQ(url, producer_token="dev-token", retries=0) as codeq:
        codeq.create("BLOCKING", {})
    assert {task.command for task in codeq_server.tasks()} == {"ASYNC", "BLOCKING"}


@pytest.mark.port
@pytest.mark.parametrize("proxies", ["http://127.0.0.1:9"], indirect=True)
def test_another_server_is_called_through_the_proxy(proxies: str) -> None:
    assert proxies
    with (
        BlockingCodeQ("http://your-app.test", worker_token="w", retries=0) as codeq,
        pytest.raises(Unavailable, match="Connection refused"),
    ):
        codeq.get("t-1")


@pytest.mark.parametrize("proxies", ["nonsense://127.0.0.1:9", "http://127.0.0.1:x"], indirect=True)
def test_a_proxy_that_cannot_be_used_is_named_at_the_start(proxies: str) -> None:
    assert proxies
    with pytest.raises(ConfigurationError, match="proxy"):
        BlockingCodeQ("http://your-app.test", worker_token="w")
    with pytest.raises(ConfigurationError, match="proxy"):
        CodeQ("http://your-app.test", worker_token="w")
