"""No request chooses a file or a folder: only what the fake was started with does."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.control.support import ID, claim, create, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

TASKS = "/v1/codeq/tasks"


class OpenedFiles:
    """The files that Python opens, in the folders that are watched."""

    def __init__(self) -> None:
        # Not a name of the module: Python clears those at its exit, when events still come.
        self._watched: list[tuple[str, set[str]]] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        for folder, opened in self._watched:
            if event == "open" and str(arguments[0]).startswith(folder):
                opened.add(str(arguments[0]))

    @contextmanager
    def watching(self, folder: Path) -> Iterator[set[str]]:
        """The files below ``folder`` that Python opens, to read or to write, while the context lasts."""
        opened: set[str] = set()
        self._watched.append((str(folder), opened))
        try:
            yield opened
        finally:
            self._watched.pop()


watching = OpenedFiles().watching


@pytest.fixture
def bait(tmp_path: Path) -> Path:
    """A file that a request names."""
    file = tmp_path / "bait.yaml"
    file.write_text("env: prod\n")
    return file


def submit_artifact(http: httpx.Client, name: str, task_id: str = ID) -> str:
    """The URL of an artifact of this name, handed in with a new task."""
    create(http, task_id)
    claim(http)
    artifacts = [{"name": name, "contentBase64": b64encode(b"evil").decode()}]
    result = {"status": "COMPLETED", "result": {}, "artifacts": artifacts}
    reply = http.post(f"{TASKS}/{task_id}/result", json=result).raise_for_status()
    [artifact] = reply.json()["artifacts"]
    return str(artifact["url"])


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# The folder of artifacts.


@pytest.mark.parametrize("name", ["a.txt", "../../../.ssh/authorized_keys", "/etc/passwd"])
def test_a_reset_changes_the_url_of_artifacts_and_writes_nothing(http: httpx.Client, tmp_path: Path, name: str) -> None:
    http.post("/_fake/reset", json={"settings": {"LOCAL_ARTIFACTS_DIR": str(tmp_path / "x" / "y")}}).raise_for_status()
    with watching(tmp_path) as opened:
        assert submit_artifact(http, name).startswith(f"file://{tmp_path}")
    assert (files(tmp_path), opened) == ([], set())


def test_a_reset_by_yaml_writes_nothing_either(http: httpx.Client, tmp_path: Path) -> None:
    http.post("/_fake/reset", json={"yaml": f"localArtifactsDir: {tmp_path}"}).raise_for_status()
    assert submit_artifact(http, "a.txt") == f"file://{tmp_path}/results/{ID}/a.txt"
    assert files(tmp_path) == []


def test_without_a_folder_given_at_the_start_nothing_is_written(http: httpx.Client) -> None:
    with watching(Path("/tmp")) as opened:  # noqa: S108 - the real server's default
        assert submit_artifact(http, "a.txt") == f"file:///tmp/codeq-artifacts/results/{ID}/a.txt"
    assert opened == set()


def test_the_content_stays_in_the_journal_of_requests(http: httpx.Client) -> None:
    submit_artifact(http, "a.txt")
    last = http.get("/_fake/requests").json()["requests"][-1]
    assert json.loads(last["body"])["artifacts"][0]["contentBase64"] == b64encode(b"evil").decode()


def test_the_folder_of_the_start_stays_the_only_one(tmp_path: Path) -> None:
    given, other = tmp_path / "given", tmp_path / "other"
    with FakeCodeQ(settings={"LOCAL_ARTIFACTS_DIR": str(given)}) as fake, fake.client() as http:
        submit_artifact(http, "first", "t-1")
        http.post("/_fake/reset", json={"settings": {"LOCAL_ARTIFACTS_DIR": str(other)}}).raise_for_status()
        submit_artifact(http, "second", "t-2")
        http.post("/_fake/reset", json={"settings": {"LOCAL_ARTIFACTS_DIR": str(given / "inside")}}).raise_for_status()
        submit_artifact(http, "third", "t-3")
    assert files(tmp_path) == ["given/inside/results/t-3/third", "given/results/t-1/first"]


def test_an_id_that_is_queued_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    with FakeCodeQ(settings={"LOCAL_ARTIFACTS_DIR": str(tmp_path / "given")}) as fake, fake.client() as http:
        fake.next(ids=["../../out"])
        fake.enqueue("A")
        claim(http)
        result = {"status": "COMPLETED", "result": {}, "artifacts": [{"name": "a", "contentBase64": "aGk="}]}
        # R8's path cannot name such an id. In a batch, an unknown id lets each item go the way of R8 (S6).
        items = [{"taskId": "../../out", **result}, {"taskId": "unknown", **result}]
        [done, _] = http.post(f"{TASKS}/batch/results", json={"results": items}).json()["results"]
        assert done["result"]["artifacts"][0]["url"] == f"file://{tmp_path}/out/a"
    assert files(tmp_path) == []


# Files that are read.


@pytest.mark.parametrize("side", ["PRODUCER", "WORKER"])
def test_a_reset_names_no_file_of_keys(http: httpx.Client, bait: Path, side: str) -> None:
    http_keys = {"jwksUrl": "http://127.0.0.1:9/", "issuer": "i", "audience": "a"}
    configs = {"PRODUCER_AUTH_CONFIG": json.dumps(http_keys), "WORKER_AUTH_CONFIG": json.dumps(http_keys)}
    configs[f"{side}_AUTH_CONFIG"] = json.dumps({**http_keys, "jwksUrl": bait.as_uri()})
    with watching(bait.parent) as opened:
        reply = http.post("/_fake/reset", json={"settings": configs})
    advice = "a request cannot name a file: start the fake with it, or give the document itself as jwks"
    assert refusal(reply) == (400, f"{side}_AUTH_CONFIG: found jwksUrl '{bait.as_uri()}'; {advice}")
    assert opened == set()


def test_a_reset_may_name_the_file_of_keys_that_the_fake_was_started_with(bait: Path) -> None:
    keys = json.dumps({"jwksUrl": bait.as_uri(), "issuer": "i", "audience": "a"})
    settings = {"PRODUCER_AUTH_CONFIG": keys, "WORKER_AUTH_CONFIG": keys}
    with FakeCodeQ(settings=settings) as fake, fake.client() as http:
        http.post("/_fake/reset", json={"settings": settings}).raise_for_status()
        assert http.post("/_fake/reset", json={}).status_code == 200


@pytest.mark.parametrize(
    "setup",
    [
        {"settings": {"CODEQ_CONFIG_PATH": "BAIT"}},
        {"settings": {"CODEQ_CONFIG_PATH": "BAIT"}, "yaml": ""},
        {"yaml": "timezone: ../../../../../../BAIT"},
        {"yaml": "timezone: BAIT"},
        {"yaml": "env: !!python/object/apply:open [BAIT]"},
        {"profile": "BAIT"},
        {"now": "BAIT"},
        {"identities": {"w": {"kind": "worker", "token": "BAIT", "claims": {"iss": "file://BAIT"}}}},
    ],
)
def test_no_setup_of_a_reset_opens_a_file(http: httpx.Client, bait: Path, setup: dict[str, Any]) -> None:
    sent = json.dumps(setup).replace("BAIT", str(bait))
    with watching(bait.parent) as opened:
        reply = http.post("/_fake/reset", content=sent, headers={"content-type": "application/json"})
        http.post(TASKS, json={"command": "A", "payload": 1})
    assert reply.status_code in (200, 400)
    assert opened == set()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "faults", {"on": "claim", "do": "refuse", "body": "file://BAIT"}),
        ("POST", "faults", {"on": "BAIT", "do": "garble", "how": "BAIT"}),
        ("PUT", "state", {"profile": "BAIT", "now": "BAIT", "broker": {"version": 1}}),
        ("POST", "persist", {}),
        ("POST", "persist", {"file": "BAIT"}),
        ("PUT", "clock", {"now": "BAIT"}),
        ("GET", "page/BAIT", None),
        ("GET", "page/..%2f..%2f..%2fBAIT", None),
        ("GET", "tasks/BAIT", None),
    ],
)
def test_no_control_call_opens_a_file(http: httpx.Client, bait: Path, method: str, path: str, body: object) -> None:
    content = json.dumps(body).replace("BAIT", str(bait)) if body is not None else ""
    with watching(bait.parent) as opened:
        reply = http.request(method, f"/_fake/{path.replace('BAIT', str(bait))}", content=content)
    assert reply.status_code in (200, 400, 404, 409)
    assert opened == set()


@pytest.mark.parametrize("url", ["file://BAIT", "file:BAIT", "unix://BAIT"])
def test_no_callback_opens_a_file(http: httpx.Client, bait: Path, url: str) -> None:
    with watching(bait.parent) as opened:
        http.post(TASKS, json={"command": "A", "payload": 1, "webhook": url.replace("BAIT", str(bait))})
        claim(http)
        [task] = http.get("/_fake/tasks").json()["tasks"] or [None]
        if task is not None:
            http.post(f"{TASKS}/{task['id']}/result", json={"status": "COMPLETED", "result": {}})
            http.post("/_fake/clock/advance", json={"seconds": 1})
    assert opened == set()
