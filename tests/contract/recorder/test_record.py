"""`codeq-contract record`: a recorded session is replayed on the fake without a difference."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from codeq_client import CodeQ, Job, Worker
from codeq_contract.cli import main
from codeq_contract.driver import Receiver
from codeq_contract.driver.clocks import RealClock
from codeq_contract.driver.identities import Issuer, Signer, callers
from codeq_contract.driver.webhooks import Receive, Scope, Send, serve_in_thread, serve_webhook
from codeq_contract.recorder.callers import CallerNames
from codeq_contract.recorder.proxy import Proxy
from codeq_contract.recorder.session import session_of
from codeq_contract.recorder.tape import Tape
from codeq_contract.recorder.webhook_rewriting import NOWHERE, WebhookRewriter
from codeq_contract.recordings.files import parse_recording, read_recording, recording_text
from codeq_contract.recordings.format import WEBHOOK_ORIGIN, Header, Recording, bytes_of
from codeq_contract.recordings.times import SECOND
from codeq_contract.replay.player import replay
from codeq_contract.replay.servers import InProcessTarget
from codeq_fake.testing import FakeCodeQ

pytestmark = [
    pytest.mark.process,
    pytest.mark.codeq(clock="real", settings={"RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "1"}),
]
TASKS = "/v1/codeq/tasks"
COMMAND = str(Path(sys.executable).with_name("codeq-contract"))


@dataclass
class Recorder:
    """A recorder in front of a server: its URL for clients, and what it has recorded."""

    url: str
    tape: Tape
    names: CallerNames
    began: int
    skew: int = 0

    def client(self, token: str | None = "dev-token") -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers)

    def recording(self, **about: Any) -> Recording:
        given = {"settings": {"RESULT_WEBHOOK_BASE_BACKOFF_SECONDS": "1"}, "profile": "kvrocks-2.8", **about}
        return session_of(self.tape, self.names, Header("session", epoch=self.began, **given))


@contextmanager
def recorder(url: str, *, ahead: int = 0, relayed: bool = True) -> Iterator[Recorder]:
    clock = RealClock()

    def now() -> int:
        return clock.now() + ahead

    tape, names, rewriter = Tape(now), CallerNames(), WebhookRewriter()
    with serve_in_thread(Proxy(url, tape, names, rewriter)) as port:
        here = f"http://127.0.0.1:{port}"
        if relayed:
            rewriter.advertised = here
        yield Recorder(here, tape, names, now())


def differences(recording: Recording, signer: Signer | None = None) -> list[str]:
    """The differences when the recording is written, read, and replayed on a fake in process."""
    read = parse_recording(recording_text(recording), name="session")
    assert read.calls
    return [str(difference) for difference in replay(read, InProcessTarget(), signer=signer)]


def use_every_route(http: httpx.Client, webhook: str = "") -> str:
    """Use every route of producers and workers. Returns the id of the completed task."""
    http.post(TASKS, json={"command": "A", "payload": {"n": "<&>"}, "priority": 3, "webhook": webhook})
    http.post(TASKS, json={"command": "A", "payload": [1.0], "idempotencyKey": "k", "delaySeconds": 600})
    task_id = http.post(f"{TASKS}/claim", json={"commands": ["A"], "leaseSeconds": 60}).json()["id"]
    http.post(f"{TASKS}/{task_id}/heartbeat", json={"extendSeconds": 120})
    http.post(f"{TASKS}/{task_id}/nack", json={"delaySeconds": -1, "reason": "x"}, headers={"X-Request-Id": "mine"})
    second = http.post(TASKS, json={"command": "B", "payload": 0, "webhook": webhook}).json()
    assert second.get("webhook", "") == webhook
    http.post(f"{TASKS}/claim/batch", json={"commands": ["B"], "count": 2})
    http.post(f"{TASKS}/{second['id']}/result", json={"status": "COMPLETED", "result": {"ok": True}})
    http.get(f"{TASKS}/{second['id']}/result")
    http.get("/v1/codeq/admin/queues/A")
    return str(second["id"])


def test_a_session_with_static_tokens_replays_without_a_difference(codeq_server: FakeCodeQ) -> None:
    with recorder(codeq_server.url) as rec, rec.client() as http:
        use_every_route(http)
        http.post(TASKS, content=b"{")
        http.post(f"{TASKS}/claim", json={"commands": ["C"], "waitSeconds": 1})
        http.get(f"{TASKS}/claim/")
        http.get("/nothing?here=1")
        http.get(f"{TASKS}/none", headers={"Authorization": "bearer  dev-token"})
        http.get(f"{TASKS}/none", headers={"Authorization": "Basic c2VjcmV0"})
        for token in ("of-an-unknown-caller", None):
            with rec.client(token) as other:
                other.post(TASKS, json={"command": "A", "payload": {}})
    recording = rec.recording()
    text = recording_text(recording)
    assert differences(recording) == []
    assert recording.header.static is not None
    assert not [secret for secret in ("dev-token", "of-an-unknown-caller", "c2VjcmV0") if secret in text]


def test_metrics_are_not_recorded(codeq_server: FakeCodeQ) -> None:
    producer = {"Authorization": "Bearer dev-token"}
    httpx.post(f"{codeq_server.url}{TASKS}", json={"command": "EARLIER", "payload": {}}, headers=producer)
    with recorder(codeq_server.url) as rec, rec.client() as http:
        use_every_route(http)
        assert "EARLIER" in http.get("/metrics").text
        http.get("/metrics?all")
    assert "EARLIER" not in recording_text(rec.recording())
    assert differences(rec.recording()) == []


def test_a_session_with_signed_tokens_replays_by_their_claims() -> None:
    signer = Signer()
    tokens = {name: Issuer(signer).token(identity, now=RealClock().now()) for name, identity in callers("t").items()}
    fake = FakeCodeQ(clock="real", settings=dict(signer.settings()))
    with fake.serve(), recorder(fake.url) as rec:
        with rec.client(tokens["producer"]) as http:
            http.post(TASKS, json={"command": "A", "payload": {}})
            http.post(f"{TASKS}/claim", json={"commands": ["A"]})
            http.get("/v1/codeq/admin/queues/A")
        with rec.client(tokens["admin"]) as http:
            http.get("/v1/codeq/admin/queues/A")
        for name in ("other_worker", "worker"):
            with rec.client(tokens[name]) as http:
                http.post(f"{TASKS}/claim", json={"commands": ["A"]})
    recording = rec.recording()
    assert [call.status for call in recording.calls] == [202, 401, 401, 200, 204, 200]
    assert recording.header.identities["worker-2"].claims == callers("t")["worker"].claims
    assert differences(recording, Signer()) == []
    assert not [name for name, token in tokens.items() if token in recording_text(recording)]


def test_callbacks_pass_through_and_are_replayed(codeq_server: FakeCodeQ) -> None:
    hooks = Receiver(RealClock().now)
    with recorder(codeq_server.url) as rec, rec.client() as http, serve_webhook(hooks, {}) as port:
        webhook = f"http://127.0.0.1:{port}/done?a=1&b=2%20%C3%A9"
        task_id = use_every_route(http, webhook)
        [request] = RealClock().eventually(lambda: hooks.received("/done"), within=5, every=0.01)
        RealClock().eventually(lambda: rec.tape.callbacks, within=5, every=0.01)
    recording = rec.recording()
    [callback] = recording.callbacks
    assert json.loads(request.body)["taskId"] == json.loads(callback.body)["taskId"] == task_id
    assert f"127.0.0.1:{port}" not in recording_text(recording)
    assert f"{WEBHOOK_ORIGIN}{callback.path}" in recording_text(recording)
    # The time depends on how busy this machine is.
    assert [text for text in differences(recording) if "\n  time\n" not in text] == []


def test_webhooks_that_the_recorder_cannot_see_lead_nowhere(codeq_server: FakeCodeQ) -> None:
    with recorder(codeq_server.url, relayed=False) as rec, rec.client() as http:
        use_every_route(http, "http://127.0.0.1:1/mine")
    recording = rec.recording()
    assert "http://127.0.0.1:1/mine" in codeq_server.requests[0]["body"]
    assert f"{NOWHERE}/hook-1" in recording_text(recording)
    assert "127.0.0.1:1" not in recording_text(recording)
    assert differences(recording) == []


def test_a_webhook_that_a_server_may_refuse_reaches_it_unchanged(codeq_server: FakeCodeQ) -> None:
    refused = ("ftp://a/b", "http://", "http://a b/", "http://a/%zz", "http://[::1", "HTTP://")
    with recorder(codeq_server.url) as rec, rec.client() as http:
        replies = [http.post(TASKS, json={"command": "A", "payload": {}, "webhook": url}) for url in refused]
    assert {reply.status_code for reply in replies} == {400}
    assert differences(rec.recording()) == []


@pytest.mark.asyncio
async def test_the_real_worker_works_through_it(codeq_server: FakeCodeQ) -> None:
    done: list[int] = []
    with recorder(codeq_server.url) as rec:
        async with CodeQ(rec.url, producer_token="dev-token", worker_token="dev-token") as codeq:
            worker = Worker(codeq, lease=60, poll=1, concurrency=1)

            @worker.handler("RENDER")
            async def render(job: Job[dict[str, int]]) -> dict[str, int]:
                done.append(job.payload["n"])
                return {"n": job.payload["n"]}

            for number in range(3):
                await codeq.create("RENDER", {"n": number})
            await worker.run(burst=True, signals=False)
    recording = rec.recording()
    assert done == [0, 1, 2]
    assert {task.status for task in codeq_server.tasks()} == {"COMPLETED"}
    assert sum(call.path.endswith("/result") and call.status == 200 for call in recording.calls) == 3
    assert await asyncio.to_thread(differences, recording) == []


def test_a_client_that_hangs_up_leases_nothing_and_its_call_has_no_reply(codeq_server: FakeCodeQ) -> None:
    with recorder(codeq_server.url) as rec, rec.client() as http:
        with pytest.raises(httpx.ReadTimeout):
            http.post(f"{TASKS}/claim", json={"commands": ["A"], "waitSeconds": 30}, timeout=0.3)
        http.post(TASKS, json={"command": "A", "payload": {}})
        first, second = rec.recording().calls
        RealClock().eventually(lambda: len(codeq_server.requests) > 1, within=5, every=0.01)
    assert (first.status, first.reply, second.status) == (0, "", 202)
    assert codeq_server.tasks()[0].status == "PENDING"
    assert differences(rec.recording()) == []


def test_without_a_server_the_client_gets_a_502_and_the_call_has_no_reply() -> None:
    with recorder("http://127.0.0.1:1") as rec, rec.client() as http:
        reply = http.post(TASKS, json={"command": "A", "payload": {}})
    assert reply.status_code == 502
    assert reply.json() == {"error": "codeq-contract record: the server did not answer: ConnectError"}
    assert [call.status for call in rec.recording().calls] == [0]


@pytest.mark.parametrize("ahead", [-7, 3600])
def test_a_session_is_replayed_by_the_clock_of_the_server(codeq_server: FakeCodeQ, ahead: int) -> None:
    with recorder(codeq_server.url, ahead=ahead * SECOND) as rec, rec.client() as http:
        use_every_route(http)
    assert differences(rec.recording()) == []


@pytest.mark.codeq(clock="real", yaml="timezone: UTC\n")
def test_a_server_that_answers_in_utc_is_replayed_so(codeq_server: FakeCodeQ) -> None:
    with recorder(codeq_server.url) as rec, rec.client() as http:
        http.post(TASKS, json={"command": "A", "payload": {}})
    recording = rec.recording(settings={})
    assert recording.header.yaml == "timezone: UTC\n"
    assert differences(recording) == []


@pytest.mark.process
def test_the_command_records_another_command(codeq_server: FakeCodeQ, tmp_path: Path) -> None:
    out = tmp_path / "session.jsonl.gz"
    post = f"import os, httpx; httpx.post(os.environ['CODEQ_BASE_URL'] + '{TASKS}', json={{}}); raise SystemExit(7)"
    command = [COMMAND, "record", "--url", codeq_server.url, "--out", str(out), "--", sys.executable, "-c", post]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (7, f"{out}: 1 calls, 0 callbacks\n")
    assert [call.status for call in read_recording(out).calls] == [401]


@pytest.mark.process
@pytest.mark.usefixtures("proxies")
def test_a_recorded_command_calls_the_recorder_directly(codeq_server: FakeCodeQ, tmp_path: Path) -> None:
    out = tmp_path / "session.jsonl.gz"
    get = "import os, urllib.request as r; r.urlopen(os.environ['CODEQ_BASE_URL'] + '/metrics')"
    command = [COMMAND, "record", "--url", codeq_server.url, "--out", str(out), "--", sys.executable, "-c", get]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.process
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_writes_the_session_when_it_is_stopped(
    codeq_server: FakeCodeQ, tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "session.jsonl"
    command = [COMMAND, "record", "--url", codeq_server.url, "--out", str(out), "--profile", "redis"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as running:
        assert running.stdout is not None
        url = running.stdout.readline().split()[0]
        httpx.get(f"{url}/nothing")
        parked = threading.Thread(target=_long_poll, args=(url,))
        parked.start()
        RealClock().eventually(lambda: len(codeq_server.requests) > 0, within=5, every=0.01)
        running.send_signal(how)
        assert running.wait(timeout=5) == 0
        parked.join()
    recording = read_recording(out)
    assert (recording.header.profile, recording.header.drained) == ("redis", False)
    assert recording.calls[0].path == "/nothing"


def _long_poll(url: str) -> None:
    token = {"Authorization": "Bearer dev-token"}
    try:
        httpx.post(f"{url}{TASKS}/claim", json={"commands": ["A"], "waitSeconds": 30}, headers=token, timeout=40)
    except httpx.TransportError:
        return


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--setting", "nonsense"], "--setting: found 'nonsense'; it must be NAME=VALUE"),
        (["--listen", "nowhere"], "--listen"),
        (["--out", "/nowhere/at/all.jsonl"], "/nowhere/at/all.jsonl"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, arguments: list[str], error: str) -> None:
    given = ["record", "--url", "http://127.0.0.1:1", "--out", str(tmp_path / "x.jsonl"), *arguments]
    ran = CliRunner().invoke(main, given)
    assert ran.exit_code == 2
    assert error in ran.output


def test_every_byte_of_a_body_is_recorded(codeq_server: FakeCodeQ) -> None:
    bodies = [
        b'{"command":"A","payload":"\xff\xc3\xa9\xed\xa0\x80\\ud800"}',
        b'{"command":"A\xff","payload":1,"webhook":"http://127.0.0.1:9/x"}',
        b"\xfe\xff{",
    ]
    with recorder(codeq_server.url) as rec, rec.client() as http:
        shown = [http.post(TASKS, content=body).json() for body in bodies]
    assert shown[0]["payload"] == '"\ufffd\xe9\ufffd\ufffd\ufffd\ufffd"'
    recording = rec.recording()
    read = parse_recording(recording_text(recording), name="session")
    assert bytes_of(read.calls[0].body or "") == bodies[0]
    assert bytes_of(read.calls[2].body or "") == bodies[2]
    assert b'"command":"A\xff"' in bytes_of(read.calls[1].body or "")
    recording_text(recording).encode()  # a file can keep it
    assert differences(recording) == []


def test_targets_are_recorded_and_replayed_byte_for_byte(codeq_server: FakeCodeQ) -> None:
    targets = [f"{TASKS}/a/?b=%22'%zz\"", f"{TASKS}/%E9%2e/", f"{TASKS}/./a/"]
    with recorder(codeq_server.url) as rec, rec.client() as http:
        for target in targets:
            http.send(http.build_request("GET", "/", extensions={"target": target.encode()}))
    assert [call.path for call in rec.recording().calls] == targets
    assert differences(rec.recording()) == []


def test_a_large_body_and_a_large_reply_go_on_as_they_come() -> None:
    arrived, read_on = threading.Event(), threading.Event()
    part = b'{"webhook":"http://hooks.example/x"},' * 40_000

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
            arrived.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await asyncio.to_thread(read_on.wait, 10)
        await send({"type": "http.response.body", "body": body[len(body) // 2 :]})

    def content() -> Iterator[bytes]:
        yield part
        assert arrived.wait(10), "the beginning of the body was kept back"
        yield part

    with serve_in_thread(app) as port, recorder(f"http://127.0.0.1:{port}") as rec, rec.client() as http:
        received = b""
        with http.stream("POST", TASKS, content=content(), timeout=20) as reply:
            for piece in reply.iter_bytes():
                received += piece
                read_on.set()
    assert received == part * 2
    [call] = rec.tape.calls
    on_tape = (part * 2).decode().replace("http://hooks.example/x", f"{WEBHOOK_ORIGIN}/hook-1")
    assert (call.body, call.reply) == (on_tape, on_tape)
