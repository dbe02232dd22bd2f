"""Artifacts of a result (S5)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest

from codeq_contract.driver import Reply
from codeq_contract.suite.caller import exact
from codeq_contract.suite.case import checks, core, needs
from codeq_contract.suite.case_context import CaseContext

pytestmark = [core, needs("artifacts")]

#: A name that is a byte too long for a file.
LONG = "é" * 128


@checks("S5.1", "S5.2", "S5.12")
def test_artifacts_with_a_url_are_kept(contract: CaseContext) -> None:
    kept = [{"name": " n<a>/ü ", "url": "HTTPS://x.test/%61 b?<>&c#d "}, {"name": "n", "url": "no url"}]
    nameless = {"url": "https://x.test/a"}
    both = {"name": "both", "url": "https://x.test/b", "contentBase64": "aGVsbG8=", "contentType": "text/plain"}
    _, reply = completed(contract, [*kept, nameless, both])
    last = [{"name": "", "url": "https://x.test/a"}, {"name": "both", "url": "https://x.test/b"}]
    assert exact(reply.json["artifacts"]) == exact([*kept, *last])


@checks("S5.3", "S5.5", "S5.6")
def test_artifacts_with_content_get_the_url_of_a_file(contract: CaseContext) -> None:
    contents = {"padded": "aGVsbG8=", "unpadded": "aGVsbG8", "a/broken.txt": "aGVs\r\n\r\nbG8="}
    task, reply = completed(contract, [{"name": name, "contentBase64": text} for name, text in contents.items()])
    assert reply.status == 200
    assert {artifact["name"] for artifact in reply.json["artifacts"]} == contents.keys()
    for artifact in reply.json["artifacts"]:
        assert list(artifact) == ["name", "url"]
        assert artifact["url"].startswith("file://")
        assert artifact["url"].endswith(f"/results/{task['id']}/{artifact['name']}")


@checks("S5.4", "S5.5", "S5.6")
@needs("variants", "files")
def test_the_content_of_an_artifact_is_in_its_file(contract: CaseContext) -> None:
    content = {"bytes": "AAEC/+4KDQo=", "unpadded": "aGVsbG8", "broken": "aGVs\r\n\r\nbG8="}
    content |= {"two": "aGVsbA==", "one of two": "aGVsbA=", "none of two": "aGVsbA", "other digits": "+/+/"}
    content |= {"odd bits": "aGVsbB==", "breaks": "aG\nVsbA=\n=\r\n"}
    with TemporaryDirectory() as folder, contract.server({"LOCAL_ARTIFACTS_DIR": folder}) as server:
        _, reply = completed(server, [{"name": name, "contentBase64": text} for name, text in content.items()])
        files = {artifact["name"]: Path(urlsplit(artifact["url"]).path) for artifact in reply.json["artifacts"]}
        assert {name: file.read_bytes() for name, file in files.items()} == {
            "bytes": b"\x00\x01\x02\xff\xee\n\r\n",
            "unpadded": b"hello",
            "broken": b"hello",
            "two": b"hell",
            "one of two": b"hell",
            "none of two": b"hell",
            "other digits": b"\xfb\xff\xbf",
            "odd bits": b"hell",
            "breaks": b"hell",
        }


@checks("S5.13")
@needs("variants")
def test_the_name_of_an_artifact_may_lead_out_of_the_folder_of_artifacts(contract: CaseContext) -> None:
    with TemporaryDirectory() as folder, contract.server({"LOCAL_ARTIFACTS_DIR": f"{folder}/artifacts"}) as server:
        _, reply = completed(server, [{"name": "../../../up", "contentBase64": "aGVsbG8="}])
        assert reply.json["artifacts"] == [{"name": "../../../up", "url": f"file://{folder}/up"}]


@needs("variants")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("..", "open {folder}/results: is a directory", marks=checks("S5.14", "S5.16")),
        pytest.param("x/../../..", "open {folder}: is a directory", marks=checks("S5.14")),
        pytest.param("../../..", "open {folder.parent}: is a directory", marks=checks("S5.14")),
        pytest.param("x\0y", "open {folder}/results/{id}/x\0y: invalid argument", marks=checks("S5.15", "S5.16")),
        pytest.param("a/x\0/y", "mkdir {folder}/results/{id}/a/x\0: invalid argument", marks=checks("S5.15")),
        pytest.param(LONG, f"open {{folder}}/results/{{id}}/{LONG}: file name too long", marks=checks("S5.15")),
        pytest.param(f"{LONG}/a", f"mkdir {{folder}}/results/{{id}}/{LONG}: file name too long", marks=checks("S5.15")),
    ],
    ids=["results", "folder", "parent", "NUL", "NUL in a folder", "256 bytes", "256 bytes of a folder"],
)
def test_an_artifact_is_refused_if_its_file_cannot_be_opened(contract: CaseContext, name: str, reason: str) -> None:
    with TemporaryDirectory() as folder, contract.server({"LOCAL_ARTIFACTS_DIR": folder}) as server:
        completed(server, [{"name": "first", "contentBase64": "aGk="}])  # now there is a folder of results
        task = server.leased()
        artifact = {"name": name, "contentBase64": "aGk="}
        reply = server.worker.submit(task, status="COMPLETED", result={}, artifacts=[artifact])
        assert reply.refusal == (400, f"artifact {name} upload: {reason.format(folder=Path(folder), id=task['id'])}")
        assert server.worker.seen(task) == task


@checks("S5.15")
@needs("variants")
def test_an_artifact_may_have_a_name_of_255_bytes(contract: CaseContext) -> None:
    with TemporaryDirectory() as folder, contract.server({"LOCAL_ARTIFACTS_DIR": folder}) as server:
        task, reply = completed(server, [{"name": "é" * 127 + "x", "contentBase64": "aGk="}])
        assert reply.json["artifacts"][0]["url"] == f"file://{folder}/results/{task['id']}/{'é' * 127}x"


@checks("S5.9")
def test_artifacts_without_url_and_content_are_dropped(contract: CaseContext) -> None:
    _, reply = completed(contract, [{"name": "neither"}, {"name": "empty", "url": "", "contentBase64": ""}, {}])
    assert (reply.status, list(reply.json)) == (200, ["taskId", "status", "result", "completedAt"])


@checks("S5.10", "S5.11")
def test_artifacts_with_a_url_come_first_and_are_read_later(contract: CaseContext) -> None:
    artifacts = [
        {"name": "d", "contentBase64": "aGVsbG8="},
        {"name": "c", "url": "https://x.test/c"},
        {"name": "b", "contentBase64": "aGVsbG8="},
        {"name": "a", "url": "https://x.test/a"},
    ]
    task, reply = completed(contract, artifacts)
    names = [artifact["name"] for artifact in reply.json["artifacts"]]
    assert names[:2] == ["c", "a"]
    assert sorted(names[2:]) == ["b", "d"]
    assert exact(contract.producer.result(task).json["result"]) == exact(reply.json)


@checks("S1.13", "S5.7", "S5.8")
@pytest.mark.parametrize(("content", "position"), [("!", 0), ("aGVs-G8=", 4), ("aGVsb_8=", 5), ("aGVsbG8=x", 8)])
def test_artifacts_are_checked_before_the_status(contract: CaseContext, content: str, position: int) -> None:
    task = contract.leased()
    for status in ("COMPLETED", "X"):
        reply = contract.worker.submit(task, status=status, artifacts=[{"name": "bad", "contentBase64": content}])
        error = f"artifact bad base64 decode: illegal base64 data at input byte {position}"
        assert reply.refusal == (400, error)
    assert contract.worker.seen(task) == task


@checks("S5.17")
def test_base64_is_refused_with_the_byte_at_which_it_is_wrong(contract: CaseContext) -> None:
    positions = {
        "!!!": 0,
        "a!": 1,
        "aGVsbG8 ": 7,
        "aGVs_G8=": 4,
        "é": 0,
        "aé": 1,
        "aGVs\nb!8=": 6,
        "/+/+\t": 4,
        # The server adds the padding that is missing. Line breaks count for that, although they are passed over.
        "a": 1,
        "aGVsb": 5,
        "=": 0,
        "====": 0,
        "a===": 1,
        "aGVsb===": 5,
        "aGVs\nbG8=": 9,
        "aGVsbG8\n": 5,
        "aGVsbA=x": 6,
        "aGVsbA=\nx===": 7,
        "aGVsbA=\n": 8,
        "aGVsbA===": 8,
        "aGVsbG8=x": 8,
        "aGVsbG8=\nx": 9,
        "aGVsbG8=\n": 9,
        "aGVsbA=\r\n=\r\nx": 12,
        "aG\r\nVsb": 7,
        "\naGVsbG8=": 9,
        "\raGVsbG8=": 9,
    }
    task, found = contract.leased(), {}
    for content in positions:
        reply = contract.worker.submit(task, status="X", artifacts=[{"name": "bad", "contentBase64": content}])
        found[content] = reply.refusal[1].removeprefix("artifact bad base64 decode: illegal base64 data at input byte ")
    assert found == {content: str(position) for content, position in positions.items()}


@checks("S1.14")
def test_a_task_that_is_not_in_progress_is_reported_before_an_artifact(contract: CaseContext) -> None:
    task = contract.producer.created(contract.command())
    reply = contract.worker.submit(task, status="X", artifacts=[{"name": "bad", "contentBase64": "!"}])
    assert reply.refusal == (409, "not-in-progress")


def completed(contract: CaseContext, artifacts: list[dict[str, Any]]) -> tuple[dict[str, Any], Reply]:
    """A task, and the reply to its result with these artifacts."""
    task = contract.leased()
    return task, contract.worker.submit(task, status="COMPLETED", result={"ok": 1}, artifacts=artifacts)
