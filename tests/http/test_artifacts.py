"""Artifacts of a result: their content is stored in one directory and nowhere else (S5)."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from codeq_fake.testing import FakeCodeQ
from tests.http.support import CLAIM, NOW, TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The artifacts directory, beside a file that must not change."""
    (tmp_path / "precious").write_text("untouched")
    return tmp_path / "artifacts"


@pytest.fixture
def fake(directory: Path) -> Iterator[FakeCodeQ]:
    with FakeCodeQ(now=NOW, settings={"LOCAL_ARTIFACTS_DIR": str(directory)}) as fake:
        fake.next(ids=["t-1"])
        yield fake


def submit(fake: FakeCodeQ, *artifacts: dict[str, Any]) -> httpx.Response:
    """The reply to a result with these artifacts of a task `t-1`."""
    fake.enqueue("A")
    with fake.client() as http:
        http.post(CLAIM, json={"commands": ["A"]})
        return http.post(f"{TASKS}/t-1/result", json={"status": "COMPLETED", "result": {}, "artifacts": artifacts})


def content(text: str) -> str:
    return b64encode(text.encode()).decode()


def written(directory: Path) -> dict[str, str]:
    """Every file beside and below the artifacts directory."""
    root = directory.parent
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_s5_content_is_stored_under_the_tasks_name_and_gets_a_file_url(fake: FakeCodeQ, directory: Path) -> None:
    reply = submit(fake, {"name": "sub/a.txt", "contentBase64": content("hi"), "contentType": "text/plain"})
    url = f"file://{directory}/results/t-1/sub/a.txt"
    assert reply.json()["artifacts"] == [{"name": "sub/a.txt", "url": url}]
    assert written(directory) == {"precious": "untouched", "artifacts/results/t-1/sub/a.txt": "hi"}


@pytest.mark.parametrize("encoded", ["aGVsbG8=", "aGVsbG8", "aGVs\r\nbG8=\r\n"])
def test_s5_padding_is_optional_and_line_breaks_are_ignored(fake: FakeCodeQ, directory: Path, encoded: str) -> None:
    assert submit(fake, {"name": "a", "contentBase64": encoded}).status_code == 200
    assert written(directory)["artifacts/results/t-1/a"] == "hello"


def test_s5_content_that_cannot_be_decoded_rejects_the_result(fake: FakeCodeQ, directory: Path) -> None:
    good, bad = {"name": "a", "contentBase64": content("hi")}, {"name": "b", "contentBase64": "aG-_"}
    reply = submit(fake, good, bad)
    assert (reply.status_code, reply.json()) == (
        400,
        {"error": "artifact b base64 decode: illegal base64 data at input byte 2"},
    )
    assert fake.task("t-1").status == "IN_PROGRESS"
    assert written(directory) == {"precious": "untouched"}


@pytest.mark.parametrize(
    "name",
    [
        "../../../precious",
        "../../../../precious",
        "/../../../precious",
        "x/../../../../precious",
        "../../../artifacts2/x",
    ],
)
def test_s5_a_name_that_leads_out_of_the_directory_is_shown_but_not_written(
    fake: FakeCodeQ, directory: Path, name: str
) -> None:
    reply = submit(fake, {"name": name, "contentBase64": content("evil")})
    assert reply.status_code == 200
    assert reply.json()["artifacts"][0]["url"].startswith("file://")
    assert written(directory) == {"precious": "untouched"}


def test_s5_a_link_that_leads_out_of_the_directory_is_not_followed(fake: FakeCodeQ, directory: Path) -> None:
    (directory / "results").mkdir(parents=True)
    (directory / "results" / "t-1").symlink_to(directory.parent)
    submit(fake, {"name": "precious", "contentBase64": content("evil")})
    assert written(directory)["precious"] == "untouched"


@pytest.mark.parametrize("name", ["", "/", ".", "é\ud800", "con/./b"])
def test_s5_a_name_that_no_file_can_have_does_not_change_the_reply(fake: FakeCodeQ, name: str) -> None:
    fake.enqueue("A")
    with fake.client() as http:
        http.post(CLAIM, json={"commands": ["A"]})
        body = {"status": "COMPLETED", "result": {}, "artifacts": [{"name": name, "contentBase64": content("hi")}]}
        reply = http.post(f"{TASKS}/t-1/result", content=json.dumps(body))
        assert reply.status_code == 200
        assert http.get(f"{TASKS}/t-1/result").json()["result"] == reply.json()


def test_s6_the_batch_path_writes_nothing(fake: FakeCodeQ, directory: Path) -> None:
    fake.enqueue("A")
    with fake.client() as http:
        http.post(CLAIM, json={"commands": ["A"]})
        result = {
            "taskId": "t-1",
            "status": "COMPLETED",
            "result": {},
            "artifacts": [{"name": "a", "contentBase64": content("hi")}],
        }
        (answer,) = http.post(f"{TASKS}/batch/results", json={"results": [result]}).json()["results"]
    assert "artifacts" not in answer["result"]
    assert written(directory) == {"precious": "untouched"}
