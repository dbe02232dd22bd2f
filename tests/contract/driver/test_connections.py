"""Proxies of the environment: a server on this machine is called directly, any other one through them."""

from __future__ import annotations

import httpx
import pytest

from codeq_contract.driver import Receiver, Request, Setup
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.connections import connect, connect_async
from codeq_contract.driver.containers import Containers
from codeq_contract.driver.http_transport import HttpTransport
from codeq_contract.driver.servers import NotRunError
from codeq_contract.driver.targets import Deployment
from codeq_contract.driver.webhooks import serve_in_thread
from codeq_contract.recorder.callers import CallerNames
from codeq_contract.recorder.proxy import Proxy
from codeq_contract.recorder.tape import Tape
from codeq_contract.recorder.webhook_rewriting import WebhookRewriter
from codeq_contract.recordings.files import read_recording
from codeq_contract.recordings.shipped import FOLDER
from codeq_contract.replay.player import replay
from codeq_contract.replay.servers import UrlTarget
from codeq_fake.testing import FakeCodeQ


@pytest.mark.port
@pytest.mark.usefixtures("proxies")
def test_cases_and_loads_call_a_server_on_this_machine_directly(codeq_server: FakeCodeQ) -> None:
    with Deployment(codeq_server.url, {"producer": "dev-token"}, {}).start(Setup()) as driver:
        [reply] = driver.transport.exchange([Request("GET", "/metrics")], 0)
    assert (reply.status, reply.problem) == (200, "")


@pytest.mark.port
@pytest.mark.usefixtures("proxies")
def test_a_replay_calls_a_server_on_this_machine_directly(codeq_server: FakeCodeQ) -> None:
    file = FOLDER / "v0.3.3" / "redis" / "nack.jsonl.gz"
    assert replay(read_recording(file), UrlTarget(codeq_server.url)) == []


@pytest.mark.port
@pytest.mark.usefixtures("proxies")
def test_the_recorder_calls_servers_and_receivers_on_this_machine_directly(codeq_server: FakeCodeQ) -> None:
    clock, hooks, rewriter = RealClock(), Receiver(RealClock().now), WebhookRewriter()
    recorder = Proxy(codeq_server.url, Tape(clock.now), CallerNames(), rewriter)
    with serve_in_thread(recorder) as port, serve_in_thread(hooks) as receiver:
        rewriter.advertised = f"http://127.0.0.1:{port}"
        headers = {"authorization": "Bearer dev-token"}
        with httpx.Client(base_url=rewriter.advertised, headers=headers, trust_env=False) as http:
            task = {"command": "A", "payload": {}, "webhook": f"http://127.0.0.1:{receiver}/done"}
            created = http.post("/v1/codeq/tasks", json=task)
            assert created.status_code == 202
            http.post("/v1/codeq/tasks/claim", json={"commands": ["A"]})
            result = {"status": "COMPLETED", "result": {}}
            http.post(f"/v1/codeq/tasks/{created.json()['id']}/result", json=result)
            codeq_server.advance(seconds=1)
            clock.eventually(lambda: hooks.received("/done"), within=5)


@pytest.mark.port
@pytest.mark.usefixtures("proxies")
def test_what_the_suite_started_is_called_directly_wherever_it_is() -> None:
    clock = RealClock()
    with HttpTransport("http://server.test", clock, direct=True) as transport:
        [reply] = transport.exchange([Request("GET", "/metrics")], 0)
    assert "refused" not in reply.problem, "the proxy was asked"


@pytest.mark.port
@pytest.mark.usefixtures("proxies")
def test_an_engine_on_this_machine_is_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Receiver(RealClock().now)
    with serve_in_thread(engine) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with pytest.raises(NotRunError, match="no Docker engine answers"):
            Containers.of("server", "redis")
        assert engine.received("/version")


@pytest.mark.parametrize("proxies", ["nonsense://127.0.0.1:9", "http://127.0.0.1:x"], indirect=True)
def test_a_proxy_that_cannot_be_used_is_a_reason_not_to_run(proxies: str) -> None:
    assert proxies
    for connecting in (connect, connect_async):
        with pytest.raises(NotRunError, match="proxy"):
            connecting("http://your-app.test")
